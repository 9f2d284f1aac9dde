"""How far ahead the way along a route is taken, from the positions of what is on it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from td3_hpc.driving.proximity import BoundingBox
from td3_hpc.driving.route import Route

REACH_M = 50.0
"""Beyond this the way is taken for free."""
_STEP_M = 0.5
_COMFORTABLE_BRAKING = 2.5
"""m/s²."""
_BEFORE_OBSTACLE_M, _BEFORE_LINE_M = 4.0, 2.0  # where a careful driver stops


class Ahead(NamedTuple):
    """What there is on the way of a car, in metres along its route from its front; infinite where there is nothing."""

    obstacle: float
    """To what is in its way."""
    red_light: float
    """To the stop line of a light that is red or yellow."""

    @property
    def safe_speed(self) -> float:
        """m/s from which it can brake at 2.5 m/s² to stand 4 m before an obstacle, or 2 m before a line."""
        room = min(self.obstacle - _BEFORE_OBSTACLE_M, self.red_light - _BEFORE_LINE_M)
        return math.sqrt(2.0 * _COMFORTABLE_BRAKING * max(room, 0.0))


FREE = Ahead(math.inf, math.inf)
"""Nothing is on the way."""


def gap_ahead(
    route: Route, front: float, half_width: float, others: Sequence[BoundingBox], reach_m: float = REACH_M
) -> float:
    """Metres along the route from `front`, the distance of a car's front from the route's start, to the first place
    where a strip of `half_width` metres on either side touches a box; infinite where none does within reach.

    Exact to half a metre, the step in which the route is looked along.
    """
    if not others:
        return math.inf
    ahead = np.arange(0.0, reach_m, _STEP_M)
    x, y, _ = route.place(front + ahead)
    taken = np.zeros(len(ahead), bool)
    for other in others:
        yaw, dx, dy = math.radians(other.yaw), x - other.x, y - other.y
        along = np.abs(dx * math.cos(yaw) + dy * math.sin(yaw)) - other.half_length
        beside = np.abs(dy * math.cos(yaw) - dx * math.sin(yaw)) - other.half_width
        taken |= np.hypot(along.clip(0.0), beside.clip(0.0)) <= half_width
    return float(ahead[taken.argmax()]) if taken.any() else math.inf
