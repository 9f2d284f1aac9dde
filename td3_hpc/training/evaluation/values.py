"""What a driver expected to earn, held against what it earned: Monte-Carlo returns of an evaluation's episodes.

So do van Hasselt, Guez and Silver 2016 ("Deep Reinforcement Learning with Double Q-learning") and Fujimoto, van Hoof
and Meger 2018 (section 4.1) measure overestimation: the critic's value of states that the policy meets, against the
discounted return that follows them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from td3_hpc.spaces import Observation

EVERY = 10
"""Decisions between two states that are looked at: neighbours tell the same."""
REST = 0.05
"""Most that what lies beyond the end of a truncated episode may weigh in a return: its value there is not known."""


@dataclass(frozen=True)
class Value:
    """A driver's opinion of what its actions are worth."""

    of: Callable[[Observation, NDArray[np.float32]], NDArray[np.float64]]
    """Observations (n, ...) and actions (n, 2) to values (n,)."""
    discount: float
    """γ of those values, below 1."""


@dataclass
class States:
    """Every tenth state of an episode, or of several."""

    value: Value | None = None
    expected: list[float] = field(default_factory=list)
    """The driver's value of each state and its own action there."""
    earned: list[float] = field(default_factory=list)
    """The discounted return from there on."""
    _seen: list[tuple[Observation, NDArray[np.float32]]] = field(default_factory=list)
    _rewards: list[float] = field(default_factory=list)

    def decide(self, observation: Observation, action: NDArray[np.float32]) -> None:
        """A decision of the episode."""
        if self.value is not None and len(self._rewards) % EVERY == 0:
            self._seen.append((observation, action))

    def earn(self, reward: float) -> None:
        """What the decision earned."""
        self._rewards.append(reward)

    def end(self, terminated: bool) -> None:
        """The episode is over: its states are looked at, and forgotten.

        After a terminated episode nothing is earned. Of a truncated one only those states count after which it went on
        for so long that what was cut off weighs at most REST of its own value.
        """
        if self.value is not None:
            discount = self.value.discount
            cut = 0 if terminated else math.ceil(math.log(REST) / math.log(discount)) if discount > 0 else 1
            count = math.ceil(max(0, len(self._rewards) - cut) / EVERY)
            self.earned = discounted_returns(self._rewards, discount)[::EVERY][:count].tolist()
            self.expected = self._values(self.value, self._seen[:count])
        self._seen, self._rewards = [], []

    @staticmethod
    def _values(value: Value, seen: Sequence[tuple[Observation, NDArray[np.float32]]]) -> list[float]:
        if not seen:
            return []
        observations = {name: np.stack([observation[name] for observation, _ in seen]) for name in seen[0][0]}
        return value.of(observations, np.stack([action for _, action in seen])).tolist()  # type: ignore[no-any-return]

    @staticmethod
    def together(episodes: Sequence["States"]) -> "States":
        """The states of several episodes."""
        return States(
            expected=[value for states in episodes for value in states.expected],
            earned=[value for states in episodes for value in states.earned],
        )

    def as_fields(self) -> dict[str, Any]:
        """For the record: the means, and over how many states; nothing where there are none."""
        if not self.earned:
            return {}
        return {
            "q_estimate": float(np.mean(self.expected)),
            "discounted_return": float(np.mean(self.earned)),
            "value_states": len(self.earned),
        }


def discounted_returns(rewards: Sequence[float], discount: float) -> NDArray[np.float64]:
    """(n,): from each decision on, the sum over k of discount ** k times the k-th reward from there."""
    returns, following = np.zeros(len(rewards)), 0.0
    for index in range(len(rewards) - 1, -1, -1):
        following = returns[index] = rewards[index] + discount * following
    return returns
