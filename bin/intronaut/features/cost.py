"""What embedding took: seconds, device and memory, as features record it with --record-cost."""

import time

from intronaut.core.log import peak_bytes


class Stopwatch:
    """Measures an embedder from its making on.

    Args:
        device: as ``finetune`` names it: ``cpu``, or the name of the GPU.
        n_parameters: of the model that computes the features; all of them are frozen.
    """

    def __init__(self, device: str = "cpu", n_parameters: int = 0) -> None:
        self.device, self.n_parameters, self.started = device, n_parameters, time.monotonic()

    def cost(self, n_windows: int, n_computed: int, peak: int | None = None) -> dict:
        """The cost of ``n_windows``, of which this run computed ``n_computed`` and a killed one before it the rest.

        ``peak`` is the most memory that was held on the device, in bytes; that of the process where it is not given.
        """
        seconds = time.monotonic() - self.started
        return {
            "seconds": round(seconds * n_windows / max(n_computed, 1), 3),
            "device": self.device,
            "windows": n_windows,
            "peak_bytes": peak_bytes() if peak is None else peak,
            "parameters_fitted": 0,
            "parameters_frozen": self.n_parameters,
            "parameters_total": self.n_parameters,
        }


def joined_costs(costs: list[dict | None]) -> dict | None:
    """The cost of the shards of one input together: seconds and windows add up; None where one of them is not known."""
    known = [cost for cost in costs if cost]
    if len(known) < len(costs):
        return None
    devices = sorted({cost["device"] for cost in known})
    sums = {name: sum(cost[name] for cost in known) for name in ("seconds", "windows")}
    largest = {"peak_bytes": max(cost["peak_bytes"] for cost in known)}
    return known[0] | {"seconds": round(sums["seconds"], 3), "windows": sums["windows"]} | largest | {
        "device": ", ".join(devices)
    }  # fmt: skip
