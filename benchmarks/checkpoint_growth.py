"""The cost of a checkpoint at 10K, 100K and 1M stored transitions: the same, for only new rows are written.

    python -m benchmarks checkpoint_growth

Each unit is a whole checkpoint with 10,000 new transitions, durable when it returns, as on a signal. Promised: at most
1.2 times the cost at 10K; at 1M durable within 2 seconds (after at most one update). Needs 9 GB of memory and 9 GB in
the temporary directory.
"""

import os
import tempfile
from functools import partial

from benchmarks.checkpoint_save import NEW, new_store
from benchmarks.pairs import Facts, Setup, Work, measure
from td3_hpc.training.descriptions import DESCRIPTIONS

SIZES = (10_000, 100_000, 1_000_000)
ROUNDS = 9


def saving(stored: int) -> tuple[Work, Facts]:
    """A whole checkpoint with `stored` transitions in the buffer."""
    store, rows, agent, _ = new_store(stored)
    step = 0

    def work() -> None:
        nonlocal step
        step += NEW
        rows.grow()
        store.save(step, {"agent": agent.state()}, rows, descriptions=DESCRIPTIONS)

    return work, {}


def main() -> None:
    """Print the table."""
    peers: dict[str, Setup] = {f"{stored:,}": partial(saving, stored) for stored in SIZES}
    with tempfile.TemporaryDirectory() as directory:
        os.environ["TMPDIR"] = directory
        results = measure(peers, threads=1, rounds=ROUNDS)
    smallest = results[f"{SIZES[0]:,}"]
    for name, result in results.items():
        lower, middle, upper = smallest.ratio_to(result)
        print(
            f"  {name:>9} stored: {1e3 * result.median:5.0f} ms (slowest {1e3 * max(result.seconds):.0f}), "
            f"{middle:.2f} times the cost at {SIZES[0]:,} (quartiles {lower:.2f} to {upper:.2f}; promised 1.2)"
        )


if __name__ == "__main__":
    main()
