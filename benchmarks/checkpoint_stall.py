"""What a periodic checkpoint costs the training thread, in updates.

    python -m benchmarks checkpoint_stall

Eight updates with a checkpoint of 10,000 new transitions begun before them, less eight updates without one: the
snapshot and whatever the writing in the background slows down, over the time of an update. Both are measured in turn;
every second update also updates the policy. Promised: at most 1.5 updates.
"""

import shutil
import statistics
import time

import torch

from benchmarks.checkpoint_save import NEW, new_store
from td3_hpc.training.descriptions import DESCRIPTIONS

ROUNDS = 9
UPDATES = 8
THREADS = (1, 2)
LIMIT = 1.5


def main() -> None:
    """Measure with one thread and with two."""
    for threads in THREADS:
        torch.set_num_threads(threads)
        store, rows, agent, directory = new_store(2 * NEW)
        replay = rows.replay

        def updates(agent=agent, replay=replay) -> float:  # type: ignore[no-untyped-def]
            started = time.perf_counter()
            for _ in range(UPDATES):
                agent.update(replay.sample(256))
            return time.perf_counter() - started

        updates()
        stalls, snapshots, singles = [], [], []
        for number in range(ROUNDS):
            without = updates()
            rows.grow()
            started = time.perf_counter()
            store.save_in_background(number + 1, {"agent": agent.state()}, rows, descriptions=DESCRIPTIONS)
            snapshot = time.perf_counter() - started
            with_checkpoint = snapshot + updates()
            store.wait()
            (outcome,) = store.poll()
            assert outcome.error is None, outcome.error
            update = without / UPDATES
            singles.append(update)
            snapshots.append(snapshot / update)
            stalls.append((with_checkpoint - without) / update)
        lower, middle, upper = statistics.quantiles(stalls, n=4)
        print(
            f"  {threads} thread{'s' * (threads > 1)}: {middle:.2f} updates of {1e3 * statistics.median(singles):.0f} "
            f"ms (quartiles {lower:.2f} to {upper:.2f}; promised {LIMIT}), of them the snapshot "
            f"{statistics.median(snapshots):.2f}"
        )
        store.close()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
