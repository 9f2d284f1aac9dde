"""How an observation lies in the memory that a worker shares with its learner: entry after entry, in their order."""

import mmap

import numpy as np
from numpy.typing import NDArray

from td3_hpc.spaces import OBSERVATION, Entry, Observation

_ALIGNMENT = 8
"""Every entry begins at a multiple of this, in bytes."""


def _layout() -> tuple[list[tuple[Entry, int]], int]:
    """Each entry with its offset, and the end of the last one, in bytes."""
    offsets, end = [], 0
    for entry in OBSERVATION:
        begin = -(-end // _ALIGNMENT) * _ALIGNMENT
        offsets.append((entry, begin))
        end = begin + entry.nbytes
    return offsets, end


_OFFSETS, OBSERVATION_BYTES = _layout()


def write_observation(memory: mmap.mmap, observation: Observation) -> None:
    """Put an observation into the memory, over the one before."""
    for entry, offset in _OFFSETS:
        memory[offset : offset + entry.nbytes] = observation[entry.name].tobytes()


def read_observation(memory: mmap.mmap) -> dict[str, NDArray[np.generic]]:
    """A copy of the observation in the memory: the next decision overwrites that."""
    data = bytearray(memory[:OBSERVATION_BYTES])
    return {
        entry.name: np.frombuffer(data, entry.dtype, entry.size, offset).reshape(entry.shape)
        for entry, offset in _OFFSETS
    }
