"""What stands in an exported file beside the weights: how observations are made, what actions mean, its origin."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from td3_hpc.spaces import ACTION, ACTION_COMPONENTS, OBSERVATION, Entry

FORMAT = 1
"""Raised with every change that an older reader would misunderstand."""
KEY = "td3_hpc"
"""Of the file's metadata, under which the description stands as JSON."""


class Array(BaseModel):
    """An input or the output, without its first axis, which counts observations."""

    model_config = ConfigDict(frozen=True)

    name: str
    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    meaning: str
    unit: str


class Description(BaseModel):
    """All that somebody needs who drives with the file alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = Field(ge=1)
    weights_sha256: str
    """Of all weights in the file, in its order."""
    observation: tuple[Array, ...]
    action: Array
    components: tuple[str, ...]
    """Of the action, in words."""
    decision_seconds: float
    """Simulated seconds from one action to the next."""
    environment: dict[str, Any]
    """The environment's configuration: town, vehicle, camera, route, reward."""
    vector: dict[str, float]
    """What the vector's numbers are divided by: `td3_hpc.driving.observation.vector`."""
    origin: dict[str, Any]
    """Stage, step, seed, versions and digest of the code."""


def array_of(entry: Entry) -> Array:
    """The description of an entry of the observation, or of the action."""
    return Array(
        name=entry.name,
        shape=entry.shape,
        dtype=entry.dtype.name,
        low=entry.low,
        high=entry.high,
        meaning=entry.meaning,
        unit=entry.unit,
    )


def arrays() -> dict[str, Any]:
    """The description's part about this version's observation and action."""
    return {
        "observation": tuple(array_of(entry) for entry in OBSERVATION),
        "action": array_of(ACTION),
        "components": tuple(ACTION_COMPONENTS),
    }
