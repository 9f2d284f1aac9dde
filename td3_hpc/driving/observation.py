"""What the agent sees: four stacked grayscale frames and a vector of 53 numbers, each in [-1, 1]."""

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from td3_hpc.driving.route import Route, RoutePosition

Frame: TypeAlias = npt.NDArray[np.uint8]
Observation: TypeAlias = dict[str, npt.NDArray[Any]]

FRAME_SIZE = 84
STACKED_FRAMES = 4
WAYPOINTS = 25
VECTOR_SIZE = 3 + 2 * WAYPOINTS
IMAGE_BYTES = STACKED_FRAMES * FRAME_SIZE * FRAME_SIZE
OBSERVATION_BYTES = IMAGE_BYTES + 4 * VECTOR_SIZE

SPEED_RANGE = 20.0
"""m/s; speed is divided by this."""
LATERAL_RANGE = 4.0
"""Metres; lateral deviation is divided by this."""
HEADING_RANGE = 180.0
"""Degrees; heading error is divided by this."""


def observation_space() -> spaces.Dict:
    """`image` (4, 84, 84) uint8 and `vector` (53,) float32 in [-1, 1]."""
    return spaces.Dict(
        {
            "image": spaces.Box(0, 255, (STACKED_FRAMES, FRAME_SIZE, FRAME_SIZE), np.uint8),
            "vector": spaces.Box(-1.0, 1.0, (VECTOR_SIZE,), np.float32),
        }
    )


class FrameStack:
    """The last four frames, newest last; at the start of an episode the first frame four times."""

    def __init__(self, first: Frame) -> None:
        self._frames = np.repeat(first[None], STACKED_FRAMES, axis=0)

    def push(self, frame: Frame) -> None:
        """Add the newest frame, (84, 84) uint8; the oldest goes."""
        self._frames = np.concatenate((self._frames[1:], frame[None]))

    @property
    def image(self) -> Frame:
        """(4, 84, 84) uint8; never changed afterwards."""
        return self._frames


def observation_vector(
    route: Route, position: RoutePosition, spacing_m: float, x: float, y: float, yaw_deg: float, speed: float
) -> npt.NDArray[np.float32]:
    """Speed, lateral deviation, heading error, then x and y of the 25 waypoints ahead in the ego frame; (53,) float32.

    The ego is at x, y (metres), faces yaw_deg and moves forward at `speed` (m/s). Waypoint k (1 to 25) lies k times
    spacing_m further along the route than the ego's projection; past the goal it is the goal. Its coordinates (x
    forward, y right) are divided by k * spacing_m + LATERAL_RANGE, which they cannot exceed while the ego is within
    LATERAL_RANGE of its route. Everything is clipped to [-1, 1].
    """
    ahead = np.arange(1, WAYPOINTS + 1, dtype=np.float64) * spacing_m
    route_x, route_y, _ = route.place(position.distance + ahead)
    yaw = math.radians(yaw_deg)
    east, south = route_x - x, route_y - y
    ranges = ahead + LATERAL_RANGE
    vector = np.empty(VECTOR_SIZE)
    vector[0] = speed / SPEED_RANGE
    vector[1] = position.lateral / LATERAL_RANGE
    vector[2] = position.heading_error / HEADING_RANGE
    vector[3::2] = (math.cos(yaw) * east + math.sin(yaw) * south) / ranges
    vector[4::2] = (math.cos(yaw) * south - math.sin(yaw) * east) / ranges
    return np.clip(vector, -1.0, 1.0).astype(np.float32)
