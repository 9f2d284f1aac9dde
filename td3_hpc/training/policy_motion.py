"""Whether the policy still moves: how its actions on the same observations change from one cycle to the next."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from td3_hpc.replay import ReplayBuffer
from td3_hpc.td3 import TD3Agent

OBSERVATIONS = 256
"""Of the oldest ones in the replay buffer, as many as are looked at."""
ROWS_OF_ENDS = 4
"""Steps for each of which a row more is reckoned with: every end of an episode takes one."""


class PolicyMotion:
    """Keeps what the policy did at the last evaluation cycle, on which rows of the buffer."""

    def __init__(self) -> None:
        self._rows: NDArray[np.int64] = np.empty(0, np.int64)
        self._actions: NDArray[np.float32] = np.empty((0, 2), np.float32)

    def measure(self, agent: TD3Agent, replay: ReplayBuffer, steps_ahead: int) -> float | None:
        """Mean absolute change of the actions since the last call, in [0, 2]; None for the first one, and where the
        buffer has overwritten a row of then. `steps_ahead` lie before the next call: what it will look at outlives
        them, where the buffer is large enough."""
        motion = None
        if len(self._rows) and replay.has(self._rows):
            now = agent.actions(replay.observations(self._rows))
            motion = float(np.abs(now - self._actions).mean())
        new_rows = steps_ahead + steps_ahead // ROWS_OF_ENDS
        lasting = min(replay.next_row + new_rows - replay.capacity, replay.next_row - 2 * OBSERVATIONS)
        oldest = replay.oldest(OBSERVATIONS, max(0, lasting))
        if motion is None or len(oldest) != len(self._rows) or self._rows[0] < lasting:
            self._rows, now = oldest, agent.actions(replay.observations(oldest))
        self._actions = now
        return motion

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"rows": self._rows, "actions": self._actions}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore from `state()`."""
        self._rows, self._actions = state["rows"], state["actions"]
