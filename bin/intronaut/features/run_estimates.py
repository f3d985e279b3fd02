"""What a study takes on this machine: short trials of its steps, scaled to all introns.

Time is measured as CPU time, so that a busy machine does not lengthen the estimate. What is not tried is scaled from
runs of 2,600 introns on two cores (docs/scale.md), by how fast this machine multiplies matrices.
"""

import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

# of a run with 2,605 introns and 1,758 features: seconds, and what they grow with
REFERENCE_INTRONS, REFERENCE_FEATURES = 2605, 1758
# seconds of a product of two 600 x 600 float64 matrices on the reference machine, one thread
REFERENCE_PRODUCT = 0.0105
START = 0.6
TRIAL_WINDOWS = 12
GIGABYTE = 1e9
KMER_FEATURES = 2080


def estimates(
    introns: int, window: int, embedders: list[str], cpus: int, labelled: int | None = None
) -> list[dict[str, Any]]:
    """Dicts of step, seconds, memory_gb and disk_gb, in the order of the pipeline.

    Args:
        introns: their number; ``window``: bases around each; ``embedders``: of ``motifs`` and ``kmers``.
        cpus: how many the steps may use.
        labelled: introns that calls can label, which models are fitted on; all where None.
    """
    speed = product_seconds() / REFERENCE_PRODUCT
    scale = introns / REFERENCE_INTRONS
    fitted = min(introns, labelled or introns)
    share = fitted / introns
    steps = [
        _step("LABEL_INTRONS", START + 2.7 * scale * speed, 0.3 + introns * 2e-6, introns * 2e-7),
        _step("FETCH_SEQUENCES", START + 0.1 * scale, 0.06, introns * window * 3e-10),
        _step("SPLIT_INTRONS", START + 0.5 * scale * speed, 0.12 + introns * 1e-6, introns * 2e-7),
        # seeds are looked up, not multiplied: its time does not follow the product's
        _step("AUDIT_SPLIT", START + 9 * share * scale * (window / 600), 0.2 + introns * window * 7e-8, 1e-4),
    ]
    columns = 0
    for name in embedders:
        features = motif_features() if name == "motifs" else KMER_FEATURES
        size, columns = introns * features * 4 / GIGABYTE, columns + features
        each = motif_seconds(window) if name == "motifs" else 0.0004 * (window / 600) * speed
        work = scale * features / REFERENCE_FEATURES * speed
        steps += [
            _step(f"EMBED_{name.upper()}", 2 + introns * each / cpus, 0.15, size * 0.9),
            _step("MERGE_FEATURES", START + 0.2 * scale, 0.12, size * 0.9),
            _step(f"FIT ({name})", START + 4 + 6 * share * work, 0.25 + 2 * size, introns * 5e-7),
            _step(f"EXPLAIN_INTRON ({name})", START + (1 + 3 * share) * work, 0.25 + size, 1e-3),
            _step(f"EXPLAIN ({name})", START + (6 + 20 * share) * work, 0.5 + 7 * size, size * 0.6),
        ]
        if name == "motifs":
            scanned = 2 * fitted * site_seconds(window) / cpus
            steps.append(
                _step("FIND_MOTIFS", 12 + scanned + 5 * share * scale * speed, 0.35 + introns * 1e-5, introns * 4e-6)
            )
    # every set of blocks is fitted, and each embedder doubles their number
    sets = 22 * share * scale * columns / REFERENCE_FEATURES * speed * 2 ** (len(embedders) - 1)
    return [
        *steps,
        _step("PARTITION", START + sets, 0.3 + 3 * introns * columns * 4 / GIGABYTE, 1e-4),
        _step("COMPARE", START + 1.5 + share * scale * speed, 0.2, 1e-4),
        _step("MAKE_REPORT", START + 1 + 0.4 * scale, 0.17 + introns * 5e-6, min(introns, 25_000) * 6e-8 + 2e-4),
        _step("MAKE_TRACKS", START + 0.5 * scale, 0.12, introns * 2e-7),
    ]


def _step(name, seconds, memory, disk):
    return {"step": name, "seconds": round(seconds, 1), "memory_gb": round(memory, 2), "disk_gb": round(disk, 4)}


def product_seconds(repeats: int = 3) -> float:
    """CPU seconds of a product of two matrices, the best of a few."""
    matrix = np.random.default_rng(0).random((600, 600))
    with threadpool_limits(1):
        return min(_cpu_seconds(lambda: matrix @ matrix) for _ in range(repeats))


def motif_features() -> int:
    """How many features the motifs of JASPAR have by default."""
    return 2 * len(_motifs())


def motif_seconds(window: int) -> float:
    """CPU seconds of the motif scores of one window, from a trial of a few random ones."""
    from intronaut.motifs.trap import Scanner

    return _of_one(Scanner(_motifs(), 0.8, [0.25] * 4).scan, ["".join(part) for part in _random_windows(window)])


def site_seconds(window: int) -> float:
    """CPU seconds of the motif sites of one window, from a trial of a few random ones."""
    from intronaut.core.dna import base_codes
    from intronaut.motifs.sites import SiteScanner

    scanner = SiteScanner(_motifs(), 0.8, np.full(4, 0.25), 1e-4)
    return _of_one(scanner.scan, [base_codes("".join(part)) for part in _random_windows(window)])


def _motifs():
    from intronaut.motifs.pwm import jaspar_motifs

    if not _FOUND:
        _FOUND.extend(jaspar_motifs("JASPAR2024", "vertebrates"))
    return _FOUND


_FOUND = []


def _random_windows(window):
    return np.random.default_rng(1).choice(list("ACGT"), (TRIAL_WINDOWS, window))


def _of_one(work, windows):
    with threadpool_limits(1):
        work(windows[0])
        return _cpu_seconds(lambda: [work(one) for one in windows[1:]]) / (len(windows) - 1)


def _cpu_seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start
