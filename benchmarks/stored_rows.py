"""A replay buffer as a checkpoint sees it, of any size and growing at will, from the rows of a real one."""

import numpy as np

from benchmarks.transitions import fill_ours
from td3_hpc.replay import ReplayBuffer

BLOCK = 10_000
"""Transitions that are generated; larger buffers repeat them."""


class StoredRows:
    """The rows of a full buffer of `transitions`; `grow` seals more, which are those of its beginning again."""

    schema = ReplayBuffer.schema

    def __init__(self, transitions: int) -> None:
        self.replay = filled(transitions)
        self._count = self.sealed_row = self.replay.next_row

    @property
    def first_row(self) -> int:
        return self.sealed_row - self._count

    def grow(self, rows: int) -> None:
        self.sealed_row += rows

    def read_rows(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Views of the real buffer's memory, but where they wrap."""
        begin, count = start % self._count, stop - start
        head = self.replay.read_rows(begin, min(begin + count, self._count))
        if begin + count <= self._count:
            return head
        tail = self.replay.read_rows(0, begin + count - self._count)
        return {name: np.concatenate([array, tail[name]]) for name, array in head.items()}


def filled(transitions: int) -> ReplayBuffer:
    """A buffer of `transitions` (a multiple of 10,000, or fewer), all of its memory in use."""
    block = fill_ours(min(transitions, BLOCK))
    if transitions <= BLOCK:
        return block
    rows = block.read_rows(0, block.next_row)
    replay = ReplayBuffer(transitions // BLOCK * block.next_row, np.random.default_rng(1))
    replay.restore(0, (rows for _ in range(transitions // BLOCK)))
    return replay
