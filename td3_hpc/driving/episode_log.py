"""The log of an episode: all that is needed to rebuild it, and to tell whether the rebuilt one is the same."""

import numpy as np
import numpy.typing as npt
import xxhash

from td3_hpc.spaces import ACTION, OBSERVATION, Observation


class EpisodeLog:
    """Seed, route and completed actions of an episode, and a checksum of all that the learner saw of it."""

    def __init__(
        self,
        seed: int,
        route: int | None,
        actions: npt.NDArray[np.float32] | None = None,
        checksums: npt.NDArray[np.uint64] | None = None,
    ) -> None:
        """A new log, or one from the arrays that its properties gave."""
        self.seed = seed
        self.route = route
        """Number of the held-out evaluation route; None for one drawn from the seed."""
        self._actions = [] if actions is None else [_numbers(action) for action in actions]
        self._checksums = [] if checksums is None else [int(value) for value in checksums]

    def __len__(self) -> int:
        """Completed decisions."""
        return len(self._actions)

    @property
    def actions(self) -> npt.NDArray[np.float32]:
        """(n, 2) float32, as they were sent."""
        return np.array(self._actions, np.float32).reshape(-1, *ACTION.shape)

    @property
    def checksums(self) -> npt.NDArray[np.uint64]:
        """(n + 1,) uint64: the first observation's, then each decision's (see `checksum`)."""
        return np.array(self._checksums, np.uint64)

    def begin(self, observation: Observation) -> None:
        """Book the first observation."""
        self._checksums.append(checksum(observation, 0.0))

    def append(self, action: npt.NDArray[np.float32], observation: Observation, reward: float) -> None:
        """Book a completed decision."""
        self._actions.append(_numbers(action))
        self._checksums.append(checksum(observation, reward))


def checksum(observation: Observation, reward: float) -> int:
    """xxh3_64 over the bytes of each entry in its order, of a stack the newest frame's, and of the reward.

    The reward is a little-endian float64; 0 at the start of an episode.
    """
    digest = xxhash.xxh3_64()
    for entry in OBSERVATION:
        digest.update(entry.newest(observation[entry.name]).tobytes())
    digest.update(np.float64(reward).astype("<f8").tobytes())
    return digest.intdigest()


def _numbers(action: npt.NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(float(value) for value in action)
