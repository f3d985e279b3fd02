"""What the benchmarks say of the machine they ran on."""

import os
import platform
import time
from pathlib import Path

TOLD_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def cpu_flags():
    """The instruction sets of the CPU, on Linux."""
    return set(Path("/proc/cpuinfo").read_text().split()) if platform.system() == "Linux" else set()


def processor():
    """The name of the CPU, how many of them, and what it computes in hardware."""
    name = platform.processor() or platform.machine()
    if platform.system() == "Linux":
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(": ")[1] for line in lines if line.startswith("model name")), name)
    flags = [flag for flag in TOLD_FLAGS if flag in cpu_flags()]
    return f"{name}, {os.cpu_count()} processors ({', '.join(flags) or 'no vector flags known'})"


def clock(threads, device="cpu"):
    """The clock to time with: on one thread of a CPU that of the process, which other work cannot slow."""
    return time.process_time if threads == 1 and device == "cpu" else time.perf_counter
