"""The log of an episode: all that is needed to rebuild it, and to tell whether the rebuilt one is the same."""

import numpy as np
import numpy.typing as npt
import xxhash

from td3_hpc.driving.observation import Observation


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
        self._actions = [] if actions is None else [(float(steering), float(pedal)) for steering, pedal in actions]
        self._checksums = [] if checksums is None else [int(value) for value in checksums]

    def __len__(self) -> int:
        """Completed decisions."""
        return len(self._actions)

    @property
    def actions(self) -> npt.NDArray[np.float32]:
        """(n, 2) float32, as they were sent."""
        return np.array(self._actions, np.float32).reshape(-1, 2)

    @property
    def checksums(self) -> npt.NDArray[np.uint64]:
        """(n + 1,) uint64: the first observation's, then each decision's (see `checksum`)."""
        return np.array(self._checksums, np.uint64)

    def begin(self, observation: Observation) -> None:
        """Book the first observation."""
        self._checksums.append(checksum(observation, 0.0))

    def append(self, action: npt.NDArray[np.float32], observation: Observation, reward: float) -> None:
        """Book a completed decision."""
        self._actions.append((float(action[0]), float(action[1])))
        self._checksums.append(checksum(observation, reward))


def checksum(observation: Observation, reward: float) -> int:
    """xxh3_64 over the newest frame's bytes, the vector's and the reward's (float64 little-endian; 0 at the start)."""
    digest = xxhash.xxh3_64(observation["image"][-1].tobytes())
    digest.update(observation["vector"].tobytes())
    digest.update(np.float64(reward).astype("<f8").tobytes())
    return digest.intdigest()
