"""A training environment as the loop sees it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from td3_hpc.spaces import Observation
from td3_hpc.training.simulation import Simulation

Result = TypeVar("Result")


@dataclass
class EnvSlot:
    """One of the environments that are driven at once, and where its episode stands."""

    env_index: int
    """Its number, from 0: its place in every round, and its number in the replay buffer."""
    simulation: Simulation
    observation: Observation | None = None
    """The newest one; None between two episodes."""
    index: int = 0
    """Number of its episode within the run."""
    seed: int = 0
    """Seed of its episode."""
    first_step: int = 1
    """Step of the run that the episode's first decision is."""
    action: np.ndarray | None = None
    """The decision in flight, whose outcome is not in yet."""
    held: np.ndarray | None = None
    """The random action drawn last in its episode."""
    held_for: int = 0
    """How many more decisions it is held for."""
    standing: int = 0
    """Decisions for which the ego has stood, but those in which it waits at a light or behind a car."""

    @property
    def is_random(self) -> bool:
        """Whether the decision in flight was drawn at random."""
        return self.action is not None and self.held is not None and np.array_equal(self.action, self.held)


def side_by_side(calls: Sequence[Callable[[], Result]]) -> list[Future[Result]]:
    """Make calls that wait for simulators, all at once; returns when every one has ended, however it did."""
    if not calls:
        return []
    with ThreadPoolExecutor(len(calls)) as pool:
        return [pool.submit(call) for call in calls]
