"""A replay buffer as a checkpoint sees it, of any size and growing at will, from the rows of a real one."""

import numpy as np

from benchmarks.transitions import fill_ours
from td3_hpc.replay import ReplayBuffer

BLOCK = 10_000
"""Transitions that are generated; larger buffers repeat them."""


class StoredRows:
    """The rows of a full buffer of `transitions` (a multiple of 10,000), whose ring comes round at every `grow`."""

    schema = ReplayBuffer.schema

    def __init__(self, transitions: int) -> None:
        self.replay = filled(transitions)
        self._count = self.sealed_row = self.replay.next_row
        self.block_rows = self._count * BLOCK // transitions

    @property
    def first_row(self) -> int:
        return self.sealed_row - self._count

    def grow(self) -> None:
        """10,000 new transitions, the ones that stood there before."""
        self.sealed_row += self.block_rows

    def read_rows(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Views of the real buffer's memory."""
        begin = start % self._count
        return self.replay.read_rows(begin, begin + stop - start)


def filled(transitions: int) -> ReplayBuffer:
    """A buffer of `transitions` (a multiple of 10,000), all of its memory in use."""
    block = fill_ours(BLOCK)
    rows = block.read_rows(0, block.next_row)
    replay = ReplayBuffer(transitions // BLOCK * block.next_row, np.random.default_rng(1))
    replay.restore(0, (rows for _ in range(transitions // BLOCK)))
    return replay
