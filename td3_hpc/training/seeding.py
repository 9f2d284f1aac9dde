"""Every random number follows from the run's seed and the name of the stream it belongs to."""

import zlib

import numpy as np


def _sequence(seed: int, stream: str, index: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, zlib.crc32(stream.encode()), index])


def generator(seed: int, stream: str) -> np.random.Generator:
    """The generator of a stream, independent of every other stream's."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, stream, 0)))


def derived_seed(seed: int, stream: str, index: int = 0) -> int:
    """The index-th seed of a stream, in [0, 2**63): a function of its arguments alone."""
    return int(_sequence(seed, stream, index).generate_state(1, np.uint64)[0] >> np.uint64(1))
