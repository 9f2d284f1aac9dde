"""Whether the policy still moves: how its actions on the same observations change from one cycle to the next."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from td3_hpc.replay import ReplayBuffer
from td3_hpc.td3 import TD3Agent

OBSERVATIONS = 256
"""Of the oldest ones in the replay buffer, as many as are looked at."""


class PolicyMotion:
    """Keeps what the policy did at the last evaluation cycle, on which rows of the buffer."""

    def __init__(self) -> None:
        self._rows: NDArray[np.int64] = np.empty(0, np.int64)
        self._actions: NDArray[np.float32] = np.empty((0, 2), np.float32)

    def measure(self, agent: TD3Agent, replay: ReplayBuffer) -> float | None:
        """Mean absolute change of the actions since the last call, in [0, 2]; None for the first one, and where the
        buffer has overwritten a row of then."""
        motion = None
        if len(self._rows) and replay.has(self._rows):
            now = agent.actions(replay.observations(self._rows))
            motion = float(np.abs(now - self._actions).mean())
        oldest = replay.oldest(OBSERVATIONS)
        if motion is None or len(oldest) != len(self._rows):
            self._rows, now = oldest, agent.actions(replay.observations(oldest))
        self._actions = now
        return motion

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"rows": self._rows, "actions": self._actions}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore from `state()`."""
        self._rows, self._actions = state["rows"], state["actions"]
