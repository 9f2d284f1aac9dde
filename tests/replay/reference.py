"""The replay buffer's reference: it keeps every observation whole and recomputes all there is to know."""

from dataclasses import dataclass

import numpy as np

from td3_hpc.replay import Batch
from td3_hpc.spaces import OBSERVATION, Observation

Transition = tuple[Observation, np.ndarray, Observation, bool]


def frame(number: int, shape: tuple[int, ...]) -> np.ndarray:
    """A frame that no other number has."""
    image = np.full(shape, number % 251, np.uint8)
    image[0, :4] = np.array([number], np.uint32).view(np.uint8)
    return image


def first_observation(number: int) -> Observation:
    """What an environment returns from reset: one frame repeated."""
    return {
        e.name: np.stack([frame(number, e.shape[1:])] * 4) if e.stacked else np.full(e.shape, number, e.dtype)
        for e in OBSERVATION
    }


def next_observation(observation: Observation, number: int) -> Observation:
    """What an environment returns from step: the oldest frame gone, a new one added."""
    newest = first_observation(number)
    return {
        e.name: np.concatenate([observation[e.name][1:], newest[e.name][-1:]]) if e.stacked else newest[e.name]
        for e in OBSERVATION
    }


@dataclass
class _Row:
    observation: Observation
    episode: list[int]
    """Numbers of the episode's rows up to this one."""
    action: np.ndarray | None = None
    terminated: bool = False
    following: Observation | None = None


class ReferenceReplay:
    """Same rows, same numbers, no ring."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.rows: list[_Row] = []
        self.env_indices: dict[int, int] = {}

    @property
    def first_row(self) -> int:
        return max(0, len(self.rows) - self.capacity)

    @property
    def sealed_row(self) -> int:
        return min([row for row in self.env_indices.values() if row >= self.first_row], default=len(self.rows))

    def begin(self, observation: Observation, env_index: int) -> None:
        self.env_indices[env_index] = len(self.rows)
        self.rows.append(_Row(observation, [len(self.rows)]))

    def add(
        self, action: np.ndarray, observation: Observation, terminated: bool, truncated: bool, env_index: int
    ) -> None:
        newest = self.rows[self.env_indices[env_index]]
        newest.action, newest.terminated, newest.following = action, terminated, observation
        self.env_indices[env_index] = len(self.rows)
        self.rows.append(_Row(observation, [*newest.episode, len(self.rows)]))
        if terminated or truncated:
            self.truncate(env_index)

    def truncate(self, env_index: int) -> None:
        del self.env_indices[env_index]

    def transitions(self) -> dict[int, Transition]:
        """All that may be sampled, by row number, which the tests also use as the reward."""
        return {
            number: (
                row.observation,
                row.action,
                row.following,
                row.terminated,
            )
            for number, row in enumerate(self.rows)
            if row.action is not None and row.following is not None and min(row.episode[-4:]) >= self.first_row
        }


def assert_drawn_from(batch: Batch, transitions: dict[int, Transition]) -> None:
    """Every sampled transition is, byte for byte, the reference's of that row."""
    for i, reward in enumerate(batch.reward):
        observation, action, next_observation, terminated = transitions[int(reward)]
        for found, expected in ((batch.observation, observation), (batch.next_observation, next_observation)):
            assert found.keys() == expected.keys()
            for name, arrays in found.items():
                np.testing.assert_array_equal(arrays[i], expected[name])
        np.testing.assert_array_equal(batch.action[i], action)
        assert batch.terminated[i] == terminated
