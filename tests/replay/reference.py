"""The replay buffer's reference: it keeps every observation whole and recomputes all there is to know."""

from dataclasses import dataclass

import numpy as np

from td3_hpc.replay import Batch, Observation

Transition = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]


def frame(number: int) -> np.ndarray:
    """A frame that no other number has."""
    image = np.full((84, 84), number % 251, np.uint8)
    image[0, :4] = np.array([number], np.uint32).view(np.uint8)
    return image


def first_observation(number: int) -> Observation:
    """What an environment returns from reset: one frame repeated."""
    return {"image": np.stack([frame(number)] * 4), "vector": np.full(53, number, np.float32)}


def next_observation(observation: Observation, number: int) -> Observation:
    """What an environment returns from step: the oldest frame gone, a new one added."""
    image = np.concatenate([observation["image"][1:], frame(number)[None]])
    return {"image": image, "vector": np.full(53, number, np.float32)}


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
                row.observation["image"],
                row.observation["vector"],
                row.action,
                row.following["image"],
                row.following["vector"],
                row.terminated,
            )
            for number, row in enumerate(self.rows)
            if row.action is not None and row.following is not None and min(row.episode[-4:]) >= self.first_row
        }


def assert_drawn_from(batch: Batch, transitions: dict[int, Transition]) -> None:
    """Every sampled transition is, byte for byte, the reference's of that row."""
    for i, reward in enumerate(batch.reward):
        image, vector, action, next_image, next_vector, terminated = transitions[int(reward)]
        np.testing.assert_array_equal(batch.image[i], image)
        np.testing.assert_array_equal(batch.vector[i], vector)
        np.testing.assert_array_equal(batch.action[i], action)
        np.testing.assert_array_equal(batch.next_image[i], next_image)
        np.testing.assert_array_equal(batch.next_vector[i], next_vector)
        assert batch.terminated[i] == terminated
