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
    age: int
    action: np.ndarray | None = None
    terminated: bool = False


class ReferenceReplay:
    """Same rows, same numbers, no ring."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.rows: list[_Row] = []
        self.in_episode = False

    @property
    def first_row(self) -> int:
        return max(0, len(self.rows) - self.capacity)

    def begin(self, observation: Observation) -> None:
        self.rows.append(_Row(observation, 0))
        self.in_episode = True

    def add(self, action: np.ndarray, observation: Observation, terminated: bool, truncated: bool) -> None:
        newest = self.rows[-1]
        newest.action, newest.terminated = action, terminated
        self.rows.append(_Row(observation, newest.age + 1))
        self.in_episode = not (terminated or truncated)

    def truncate(self) -> None:
        self.in_episode = False

    def transitions(self) -> dict[int, Transition]:
        """All that may be sampled, by row number, which the tests also use as the reward."""
        first = self.first_row
        return {
            number: (
                row.observation["image"],
                row.observation["vector"],
                row.action,
                self.rows[number + 1].observation["image"],
                self.rows[number + 1].observation["vector"],
                row.terminated,
            )
            for number, row in enumerate(self.rows)
            if row.action is not None and number - min(row.age, 3) >= first
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
