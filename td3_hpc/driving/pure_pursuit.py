"""A scripted driver that follows the route by pure pursuit (Coulter 1992), from the observation's vector alone.

It sees no cars and no lights: it shows what a route is worth without traffic, and that the task can be done. Told how
far ahead the way is taken, it shows what there is to be gained by seeing.
"""

import math

import numpy as np
import numpy.typing as npt

from td3_hpc.config.environment import EnvironmentConfig
from td3_hpc.driving.observation.vector import LATERAL_RANGE, WAYPOINT_MARGIN
from td3_hpc.spaces import VECTOR, WAYPOINTS, Observation

_WHEELBASE_M = 2.9
_STEERING_DEG = 35.0
"""Angle of a bicycle's front wheel at steering 1 that turns as CARLA's cars do, whose own wheels turn by 70 at most."""
_BACK_TO_THE_LINE = 0.1
"""Steering per metre that the car is off its route."""
_LATERAL_ACCELERATION = 2.0
"""m/s² allowed in a curve."""
_PEDAL_GAIN = 0.4
"""Pedal per m/s of speed error."""


def pure_pursuit(
    observation: Observation, config: EnvironmentConfig, target_speed_kmh: float
) -> npt.NDArray[np.float32]:
    """The action (2,) float32 that steers at a waypoint ahead, slower in curves.

    `config` says how the vector is scaled.
    """
    vector, spacing_m = observation[VECTOR.name].astype(np.float64), config.route.waypoint_spacing_m
    speed = vector[0] * config.speed_range
    ranges = np.arange(1, WAYPOINTS + 1) * spacing_m + WAYPOINT_MARGIN
    ahead, right = vector[3::2] * ranges, vector[4::2] * ranges
    aim = _index(3.0 + 0.3 * speed, spacing_m)
    curvature = 2.0 * right[aim] / max(ahead[aim] ** 2 + right[aim] ** 2, 1.0)
    steering = math.degrees(math.atan(_WHEELBASE_M * curvature)) / _STEERING_DEG
    steering -= _BACK_TO_THE_LINE * LATERAL_RANGE * vector[1]
    look = _index(6.0 + 1.2 * speed, spacing_m)
    bend = 2.0 * np.abs(right[: look + 1]) / np.maximum(ahead[: look + 1] ** 2 + right[: look + 1] ** 2, 16.0)
    allowed = min(target_speed_kmh / 3.6, math.sqrt(_LATERAL_ACCELERATION / max(float(bend.max()), 1e-3)))
    pedal = _PEDAL_GAIN * (allowed - speed)
    return np.array((steering, pedal), np.float32).clip(-1.0, 1.0)


def careful_pursuit(
    observation: Observation, config: EnvironmentConfig, target_speed_kmh: float, safe_speed: float
) -> npt.NDArray[np.float32]:
    """The same, for a driver that knows what is ahead: no faster than it allows, in m/s (`hazard.Ahead`)."""
    return pure_pursuit(observation, config, min(target_speed_kmh, 3.6 * safe_speed))


def _index(distance_m: float, spacing_m: float) -> int:
    """The waypoint about that far ahead."""
    return min(WAYPOINTS - 1, max(0, round(distance_m / spacing_m) - 1))
