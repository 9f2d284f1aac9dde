"""Saving 10K new transitions of a buffer of 100K, against Stable-Baselines3 and against plain writing.

    python -m benchmarks checkpoint_save

Stable-Baselines3 saves its whole DictReplayBuffer of 100,000 transitions by what `save_replay_buffer` calls. Ours
writes the segment of the new rows, or the whole checkpoint: networks, optimizers, segment, manifest, all of it fsynced
(theirs is not). Plain writing is the same bytes in as many files, written and fsynced, and the oldest ones removed, as
a checkpoint does. Ours and the plain ones are new files each time, as a run's are. Promised: the segment 50 times, the
checkpoint 25 times as fast as theirs; the checkpoint at 60 % of the plain rate.
Before each, the disk is given time to take what was left in the page cache (theirs leaves up to 6 GB there) and to
discard freed blocks, which some file systems do after the sync.
Needs 7 GB of memory and 10 GB in the temporary directory.
"""

import itertools
import os
import tempfile
import time
from pathlib import Path

from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.save_util import save_to_pkl

from benchmarks.pairs import Facts, Setup, Work, measure
from benchmarks.stored_rows import StoredRows
from benchmarks.transitions import ACTION_SPACE, OBSERVATION_SPACE, fill_theirs
from td3_hpc.checkpoint import CheckpointStore
from td3_hpc.checkpoint.hdf5_file import table_image, write_file
from td3_hpc.config import AgentConfig, CheckpointConfig
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.descriptions import DESCRIPTIONS

STORED = 100_000
NEW = 10_000
ROUNDS = 15
DISCARDING_S = 3.0
KEPT = CheckpointConfig().keep_last


def new_store(stored: int) -> tuple[CheckpointStore, StoredRows, TD3Agent, Path]:
    """A run directory with a checkpoint of `stored` transitions."""
    directory = Path(tempfile.mkdtemp())
    store = CheckpointStore(directory, CheckpointConfig())
    store.open_for_writing()
    rows, agent = StoredRows(stored), TD3Agent(AgentConfig(), "cpu", seed=1)
    store.save(0, {"agent": agent.state()}, rows, descriptions=DESCRIPTIONS)
    return store, rows, agent, directory


def checkpoint() -> tuple[Work, Facts]:
    """This package's whole checkpoint."""
    store, rows, agent, _ = new_store(STORED)
    step = 0

    def work() -> None:
        nonlocal step
        step += NEW
        rows.grow()
        written.append(store.save(step, {"agent": agent.state()}, rows, descriptions=DESCRIPTIONS).bytes)

    written: list[int] = []
    work()
    return work, {"bytes": float(written[0])}


def segment() -> tuple[Work, Facts]:
    """This package's segment alone."""
    rows, directory = StoredRows(STORED), Path(tempfile.mkdtemp())
    names = (f"rows-{number}.h5" for number in itertools.count())

    def work() -> None:
        write_file(directory / next(names), table_image(rows.read_rows(0, rows.block_rows), 0, False, DESCRIPTIONS))

    return work, {}


def plain() -> tuple[Work, Facts]:
    """As many bytes as a checkpoint's state and segment, written and fsynced."""
    directory = Path(tempfile.mkdtemp())
    contents = {"state": os.urandom(64_100_000), "rows": os.urandom(73_900_000)}
    numbers = itertools.count()

    def work() -> None:
        number = next(numbers)
        for name, content in contents.items():
            with (directory / f"{name}-{number}").open("wb", buffering=0) as file:
                view = memoryview(content)
                while view:
                    view = view[file.write(view) :]
                os.fsync(file.fileno())
            (directory / f"{name}-{number - KEPT}").unlink(missing_ok=True)

    return work, {"bytes": float(sum(map(len, contents.values())))}


def stable_baselines3() -> tuple[Work, Facts]:
    """Stable-Baselines3's buffer."""
    buffer = DictReplayBuffer(STORED, OBSERVATION_SPACE, ACTION_SPACE, "cpu")
    fill_theirs(buffer, STORED)
    path = Path(tempfile.mkdtemp()) / "buffer.pkl"

    def work() -> None:
        save_to_pkl(path, buffer)

    return work, {}


def quiet_disk() -> None:
    """Wait until it has taken what the peer before wrote and removed."""
    os.sync()
    time.sleep(DISCARDING_S)


def main() -> None:
    """Print the table."""
    peers: dict[str, Setup] = {
        "Stable-Baselines3": stable_baselines3,
        "segment": segment,
        "checkpoint": checkpoint,
        "plain writing": plain,
    }
    with tempfile.TemporaryDirectory() as directory:
        os.environ["TMPDIR"] = directory
        results = measure(peers, threads=1, rounds=ROUNDS, warm_up=1, settle=quiet_disk)
    for name, result in results.items():
        print(f"  {name:18} {1e3 * result.median:8.0f} ms")
    for name, promise in (("segment", 50), ("checkpoint", 25)):
        lower, middle, upper = results[name].ratio_to(results["Stable-Baselines3"])
        print(f"  {name}: {middle:.0f} times as fast (quartiles {lower:.0f} to {upper:.0f}; promised {promise})")
    sizes = results["checkpoint"].facts["bytes"] / results["plain writing"].facts["bytes"]
    lower, middle, upper = (sizes * ratio for ratio in results["checkpoint"].ratio_to(results["plain writing"]))
    print(f"  checkpoint: {middle:.0%} of the plain rate (quartiles {lower:.0%} to {upper:.0%}; promised 60 %)")


if __name__ == "__main__":
    main()
