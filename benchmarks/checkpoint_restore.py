"""Restoring a run, against Stable-Baselines3's `load_replay_buffer`; and the memory that it takes.

    python -m benchmarks checkpoint_restore

Ours opens the run directory, verifies every file, reads networks and optimizers into an agent and 100,000 transitions
into a replay buffer. Stable-Baselines3 loads its DictReplayBuffer of as many by what `load_replay_buffer` calls. Then
1,000,000 transitions, in a process of its own. Promised: twice as fast as theirs; 1M within 9 GB of memory.
Needs 12 GB of memory and 14 GB in the temporary directory.
"""

import os
import resource
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.save_util import load_from_pkl, save_to_pkl

from benchmarks.checkpoint_save import new_store
from benchmarks.pairs import Facts, Setup, Work, measure
from benchmarks.transitions import ACTION_SPACE, OBSERVATION_SPACE, fill_theirs
from td3_hpc.checkpoint import CheckpointStore
from td3_hpc.config import AgentConfig, CheckpointConfig
from td3_hpc.replay import ReplayBuffer
from td3_hpc.td3 import TD3Agent

STORED = 100_000
MANY = 1_000_000
ROUNDS = 5
GB = 1e9


def ours() -> tuple[Work, Facts]:
    """This package's."""
    directory = written(STORED)
    return partial(restore, directory), {}


def written(stored: int) -> Path:
    """A run directory with a checkpoint of `stored` transitions."""
    store, rows, agent, directory = new_store(stored)
    store.save(1, {"agent": agent.state(), "replay": rows.replay.state()}, rows)
    store.close()
    return directory


def restore(directory: Path) -> None:
    """What resuming does before it needs a simulator."""
    store = CheckpointStore(directory, CheckpointConfig())
    checkpoint = store.latest()
    assert checkpoint is not None
    state = checkpoint.state()
    TD3Agent(AgentConfig(), "cpu", seed=2).load_state(state["agent"])
    replay = ReplayBuffer(checkpoint.manifest.next_row, np.random.default_rng(2))
    replay.restore(checkpoint.first_row, checkpoint.rows())
    replay.load_state(state["replay"])


def stable_baselines3() -> tuple[Work, Facts]:
    """Stable-Baselines3's."""
    buffer = DictReplayBuffer(STORED, OBSERVATION_SPACE, ACTION_SPACE, "cpu")
    fill_theirs(buffer, STORED)
    path = Path(tempfile.mkdtemp()) / "buffer.pkl"
    save_to_pkl(path, buffer)
    del buffer
    return partial(load_from_pkl, path), {}


def peak_memory(directory: Path) -> tuple[Work, Facts]:
    """Restores once; the process's largest memory."""
    restore(directory)
    return lambda: None, {"bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def write_many() -> tuple[Work, Facts]:
    """The run directory of the 1M, written in a process that ends before it is restored."""
    written(MANY)
    return lambda: None, {}


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ["TMPDIR"] = directory
        peers: dict[str, Setup] = {"Stable-Baselines3": stable_baselines3, "ours": ours}
        results = measure(peers, threads=1, rounds=ROUNDS, warm_up=1)
        for name, result in results.items():
            print(f"  {name:18} {1e3 * result.median:8.0f} ms for {STORED:,}")
        lower, middle, upper = results["ours"].ratio_to(results["Stable-Baselines3"])
        print(f"  ours: {middle:.1f} times as fast (quartiles {lower:.1f} to {upper:.1f}; promised 2)")
    with tempfile.TemporaryDirectory() as directory:
        os.environ["TMPDIR"] = directory
        measure({"writing": write_many}, threads=1, rounds=0, warm_up=0)
        (run_dir,) = (state.parent for state in Path(directory).glob("*/state"))
        memory = measure({"restoring": partial(peak_memory, run_dir)}, threads=1, rounds=0, warm_up=0)
    print(f"  {MANY:,}: {memory['restoring'].facts['bytes'] / GB:.1f} GB at most (promised 9)")


if __name__ == "__main__":
    main()
