"""The junctions that a route goes through."""

from typing import Any, NamedTuple

import carla
import numpy as np

from td3_hpc.driving.route import Route

_LIGHT_TYPE = "1000001"
_LIGHT_AHEAD_M = 15.0  # from the place before the junction


class Crossroads(NamedTuple):
    """A junction that the route goes through, in metres from the route's start."""

    begin: float
    end: float
    has_lights: bool


def find_crossroads(carla_map: Any, route: Route) -> list[Crossroads]:
    """In the order of the route."""
    waypoints = [carla_map.get_waypoint(carla.Location(*(float(value) for value in point))) for point in route.points]
    inside = np.array([waypoint.is_junction for waypoint in waypoints])
    begins = np.flatnonzero(inside[1:] & ~inside[:-1]) + 1
    found = []
    for begin in begins:
        outside = np.flatnonzero(~inside[begin:])
        end = begin + int(outside[0]) if len(outside) else len(inside) - 1
        lights = waypoints[begin - 1].get_landmarks_of_type(_LIGHT_AHEAD_M, _LIGHT_TYPE)
        found.append(Crossroads(float(route.distances[begin]), float(route.distances[end]), bool(lights)))
    return found
