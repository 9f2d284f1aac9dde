"""The vector: speed and place on the route, and the waypoints ahead, 53 numbers in [-1, 1]."""

import math

import numpy as np
import numpy.typing as npt

from td3_hpc.driving.observation.base import ObservationPart, Scene
from td3_hpc.driving.route import Route, RoutePosition
from td3_hpc.spaces import VECTOR, WAYPOINTS

LATERAL_RANGE = 2.0
"""Metres; lateral deviation is divided by this. Past it the car has left its lane."""
HEADING_RANGE = 45.0
"""Degrees; heading error is divided by this."""
WAYPOINT_MARGIN = 4.0
"""Metres that a waypoint may be farther away than along the route, as the ego is off it."""


class RouteVector(ObservationPart):
    """The ego's motion and the route ahead of it; see `observation_vector`."""

    def value(self, scene: Scene) -> npt.NDArray[np.float32]:
        """(53,) float32."""
        ego, spacing = scene.ego, self.config.route.waypoint_spacing_m
        speed = ego.speed / self.config.speed_range
        return observation_vector(scene.route, scene.position, spacing, ego.x, ego.y, ego.yaw, speed)


def observation_vector(
    route: Route, position: RoutePosition, spacing_m: float, x: float, y: float, yaw_deg: float, speed: float
) -> npt.NDArray[np.float32]:
    """Speed, lateral deviation, heading error, then x and y of the 25 waypoints ahead in the ego frame; (53,) float32.

    The ego is at x, y (metres), faces yaw_deg and moves forward at `speed`, in parts of the configuration's
    `speed_range_kmh`. Waypoint k (1 to 25) lies k times spacing_m further along the route than the ego's projection;
    past the goal the lane goes on, up to where it ends. Its coordinates (x forward, y right) are divided by
    k * spacing_m + WAYPOINT_MARGIN, which they cannot exceed while the ego is within WAYPOINT_MARGIN of its route.
    Everything is clipped to [-1, 1].
    """
    ahead = np.arange(1, WAYPOINTS + 1, dtype=np.float64) * spacing_m
    route_x, route_y, _ = route.place(position.distance + ahead)
    yaw = math.radians(yaw_deg)
    east, south = route_x - x, route_y - y
    ranges = ahead + WAYPOINT_MARGIN
    vector = np.empty(VECTOR.size)
    vector[0] = speed
    vector[1] = position.lateral / LATERAL_RANGE
    vector[2] = position.heading_error / HEADING_RANGE
    vector[3::2] = (math.cos(yaw) * east + math.sin(yaw) * south) / ranges
    vector[4::2] = (math.cos(yaw) * south - math.sin(yaw) * east) / ranges
    return np.clip(vector, -1.0, 1.0).astype(np.float32)
