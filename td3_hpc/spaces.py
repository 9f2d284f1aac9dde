"""The observation and the action, declared once: whatever makes, sends, stores, checks or learns from them iterates
over these entries.

A new sensor is a new entry here, and a part of the same name in `td3_hpc.driving.observation` that makes it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gymnasium import spaces

Observation = Mapping[str, NDArray[Any]]
"""An array for each entry of `OBSERVATION`, by name."""


@dataclass(frozen=True)
class Entry:
    """One array of an observation, or the action."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    low: float
    high: float
    """Its values lie in [low, high]. Numbers of a float type are normalised where they are made: [-1, 1]."""
    meaning: str
    """In a few words, for the descriptions in a checkpoint."""
    unit: str
    stacked: bool = False
    """Whether the first axis counts frames, of the last `STACK` decisions, oldest first. Only the newest is stored."""
    stored_as: str = ""
    """Field of a replay row that holds it; its own name where empty."""

    @property
    def size(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of it."""
        return self.size * self.dtype.itemsize

    @property
    def row_field(self) -> str:
        """Field of a replay row that holds what is stored of it."""
        return self.stored_as or self.name

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of what is stored of it: of one frame of a stack, else of all."""
        return self.shape[1:] if self.stacked else self.shape

    @property
    def middle(self) -> float:
        """The middle of its range: of pixels 128, of floats 0."""
        middle = (self.low + self.high) / 2
        return middle if self.dtype.kind == "f" else math.ceil(middle)

    def newest(self, array: NDArray[Any]) -> NDArray[Any]:
        """What is stored of it (a view): the newest frame of a stack, else all."""
        return array[-1] if self.stacked else array

    def fits(self, array: NDArray[Any]) -> bool:
        """Whether an array has its shape and type."""
        return array.shape == self.shape and array.dtype == self.dtype

    def normalised(self, value: float) -> float:
        """A value of it on the scale [-1, 1] of the networks: a pixel's within its range; a float is there already."""
        return value if self.dtype.kind == "f" else 2.0 * (value - self.low) / (self.high - self.low) - 1.0

    def random(self, generator: np.random.Generator) -> NDArray[Any]:
        """Values of `row_shape`, uniform within its range."""
        if self.dtype.kind == "f":
            return generator.uniform(self.low, self.high, self.row_shape).astype(self.dtype)
        return generator.integers(int(self.low), int(self.high) + 1, self.row_shape, self.dtype)


STACK = 4
"""Decisions whose frames an observation holds."""
FRAME_SHAPE = (84, 84)
"""Height and width of a frame, in pixels."""
WAYPOINTS = 25
"""Waypoints ahead in the vector, each with x and y; before them speed, lateral deviation and heading error."""

IMAGE = Entry(
    "image", (STACK, *FRAME_SHAPE), np.dtype(np.uint8), 0, 255,
    "camera frame", "grey level, 0 to 255", stacked=True, stored_as="frame",
)  # fmt: skip
VECTOR = Entry(
    "vector", (3 + 2 * WAYPOINTS,), np.dtype(np.float32), -1, 1,
    f"speed, lateral deviation, heading error, {WAYPOINTS} waypoints ahead", "normalised",
)  # fmt: skip
OBSERVATION = (IMAGE, VECTOR)
"""In this order the entries are stored, summed up in checksums and joined for the networks."""
ACTION = Entry("action", (2,), np.dtype(np.float32), -1, 1, "steering; throttle or brake", "[-1, 1]")
"""Steering (right positive), then throttle (positive) or brake (negative)."""
ACTION_COMPONENTS = ("steering", "pedal")
"""Short names of the action's two numbers."""


def first_stack(frame: NDArray[Any]) -> NDArray[Any]:
    """A stack at the start of an episode: the first frame `STACK` times."""
    return np.repeat(frame[None], STACK, axis=0)


def next_stack(stack: NDArray[Any], frame: NDArray[Any]) -> NDArray[Any]:
    """A new stack: the oldest frame gone, `frame` as the newest."""
    return np.concatenate((stack[1:], frame[None]))


def random_observation(generator: np.random.Generator, before: Observation | None = None) -> dict[str, NDArray[Any]]:
    """Uniform values: an episode's first observation, or one that may follow `before`. For benchmarks and tests."""
    made = {}
    for entry in OBSERVATION:
        made[entry.name] = entry.random(generator)
        if entry.stacked:
            newest = made[entry.name]
            made[entry.name] = first_stack(newest) if before is None else next_stack(before[entry.name], newest)
    return made


def gymnasium_spaces() -> tuple["spaces.Dict", "spaces.Box"]:
    """The observation space and the action space."""
    from gymnasium import spaces

    def box(entry: Entry) -> spaces.Box:
        return spaces.Box(entry.low, entry.high, entry.shape, entry.dtype.type)

    return spaces.Dict({entry.name: box(entry) for entry in OBSERVATION}), box(ACTION)
