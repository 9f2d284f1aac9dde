"""The ways to compute the CNN on this processor, as rows for the table in td3_hpc/td3/kernels.py.

    python -m benchmarks kernels

Each unit is two updates at batch 256, as in `td3_update`; the ways take turns. Compared by processor time with one
thread, and by the clock with two, where waiting for each other counts.
"""

import functools
import statistics

import torch

from benchmarks.pairs import Setup, measure
from benchmarks.td3_update import ROUNDS, ours
from td3_hpc.td3.kernels import DEVICES, Measured, computes_bfloat16, processor_kind

BATCH = 256


def main() -> None:
    """Measure every way and print the rows."""
    precisions = ["float32", "bfloat16"] if computes_bfloat16(torch.device("cpu")) else ["float32"]
    for precision in precisions:
        for threads in (1, 2):
            print(_row(precision, threads), flush=True)


def _row(precision: str, threads: int) -> Measured:
    setups: dict[str, Setup] = {
        name: functools.partial(ours, BATCH, precision, name) for name, devices in DEVICES.items() if "cpu" in devices
    }
    results = measure(setups, threads, ROUNDS)
    seconds = {
        name: statistics.median(result.processor_seconds if threads == 1 else result.seconds)
        for name, result in results.items()
    }
    print("  " + ", ".join(f"{name} {500 * each:.1f} ms an update" for name, each in seconds.items()))
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    return Measured(processor_kind(), (major, minor), threads, precision, min(seconds, key=lambda name: seconds[name]))


if __name__ == "__main__":
    main()
