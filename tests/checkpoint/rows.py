"""A small source of rows, and a state tree with one entry of each kind that a run saves."""

import numpy as np

from td3_hpc.checkpoint import CheckpointStore
from td3_hpc.config import CheckpointConfig

SCHEMA = {"frame": (np.dtype(np.uint8), (6, 6)), "reward": (np.dtype(np.float32), ())}


class GrowingRows:
    """Rows whose content follows from their number, in a ring of `capacity`."""

    schema = SCHEMA

    def __init__(self, sealed_row: int = 0, capacity: int = 10**9) -> None:
        self.sealed_row = sealed_row
        self.capacity = capacity

    @property
    def first_row(self) -> int:
        return max(0, self.sealed_row - self.capacity)

    def read_rows(self, start: int, stop: int) -> dict[str, np.ndarray]:
        if start < self.first_row or stop > self.sealed_row:
            raise ValueError(f"rows {start} to {stop} are not here")
        return content(start, stop)


def content(start: int, stop: int) -> dict[str, np.ndarray]:
    numbers = np.arange(start, stop)
    frames = np.broadcast_to((numbers % 251).astype(np.uint8)[:, None, None], (stop - start, 6, 6)).copy()
    return {"frame": frames, "reward": numbers.astype(np.float32)}


def tree(step: int = 0) -> dict:
    return {
        "counters": {"step": step, "updates": 2 * step},
        "agent": {
            "actor": {"weight": np.full((4, 3), step, np.float32)},
            "optimizer": {"moment": np.arange(5, dtype=np.float64) + step},
            "generator": {"state": str(2**100 + step), "bytes": np.arange(7, dtype=np.uint8)},
        },
        "episode": None if step % 2 else {"seed": 2**62 + step, "actions": np.zeros((step, 2), np.float32)},
        "flag": step > 3,
        "rate": 0.1 + step,
        "config": f"name: tree {step}\nnote: größer\n",
        "empty": {},
        "provenance": {"host": "here", "record_bytes": 10},
    }


def open_store(run_dir, **config) -> CheckpointStore:
    store = CheckpointStore(run_dir, CheckpointConfig(**config))
    store.open_for_writing()
    return store


def same(a, b) -> bool:
    """Whether two trees are the same, types included."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and a == b


def loaded_rows(checkpoint) -> tuple[int, dict[str, np.ndarray]]:
    blocks = list(checkpoint.rows())
    names = blocks[0] if blocks else {}
    return checkpoint.first_row, {name: np.concatenate([block[name] for block in blocks]) for name in names}
