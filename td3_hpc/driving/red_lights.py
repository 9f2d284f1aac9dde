"""The traffic lights of a route: where one stops for them, and whether somebody did."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import carla
import numpy as np

from td3_hpc.driving.route import Route

MET_M = 10.0
"""An ego whose front is within this before a stop line, and whose light is red, has met a red light."""
_GRID_M = 0.5
_JUNCTION_WITHIN = 60  # steps of the grid behind a light's trigger volume
_OF_ITS_LANE_M, _OF_ITS_LANE_DEG = 1.5, 45.0  # between a stop line's middle and the route that crosses it
STOP = (carla.TrafficLightState.Red, carla.TrafficLightState.Yellow)


class StopLine(NamedTuple):
    """Where a route meets a traffic light."""

    distance: float
    """Metres from the route's start."""
    light: Any
    """Its `carla.TrafficLight`."""


class RedLights:
    """What the lights along a route show, as the ego comes to them."""

    def __init__(self, lines: Sequence[StopLine]) -> None:
        """`lines`: in the route's order."""
        self._lines = lines
        self._met: set[int] = set()
        self._run: set[int] = set()

    def told(self) -> dict[str, int]:
        """What an episode's summary says: stop lines that the ego came to at red, and those that it crossed then."""
        return {"red_lights_met": len(self._met), "red_lights_run": len(self._run)}

    def gap(self, front: float) -> float:
        """Metres from the ego's front, `front` metres along the route, to the next stop line where it must stop now:
        its light is red or yellow. Infinite without one."""
        gaps = ((line.distance - front, line.light) for line in self._lines)
        return next((gap for gap, light in gaps if gap >= 0 and light.get_state() in STOP), math.inf)

    def passed(self, before: float, after: float) -> bool:
        """Book a decision in which the ego's front moved from `before` to `after` metres along the route; whether it
        crossed a stop line at red."""
        ran = False
        for index, line in enumerate(self._lines):
            if line.distance < before or line.distance > after + MET_M:
                continue
            if line.light.get_state() == carla.TrafficLightState.Red:
                self._met.add(index)
                if line.distance <= after:
                    self._run.add(index)
                    ran = True
        return ran


def lights_along(world: Any, carla_map: Any, route: Route) -> list[StopLine]:
    """The stop lines of the world's traffic lights that a route crosses, in its order.

    A light tells on which lanes it is heeded (`get_stop_waypoints`, from its trigger volume); the line is where the
    route enters the junction behind, as in the CARLA Leaderboard's test of red lights.
    """
    along = np.arange(0.0, route.length, _GRID_M)
    x, y, yaw = route.place(along)
    z = np.interp(along, route.distances, route.points[:, 2])
    found = []
    for light in world.get_actors().filter("traffic.traffic_light*"):
        for waypoint in light.get_stop_waypoints():
            place, heading = waypoint.transform.location, waypoint.transform.rotation.yaw
            distances = np.hypot(x - place.x, y - place.y)
            turned = np.abs((yaw - heading + 180.0) % 360.0 - 180.0)
            distances[turned > _OF_ITS_LANE_DEG] = np.inf
            nearest = int(distances.argmin())
            if distances[nearest] > _OF_ITS_LANE_M:
                continue
            ahead = range(nearest, min(nearest + _JUNCTION_WITHIN, len(along)))
            places = ((index, carla.Location(float(x[index]), float(y[index]), float(z[index]))) for index in ahead)
            line = next((index for index, place in places if carla_map.get_waypoint(place).is_junction), nearest)
            found.append(StopLine(float(along[line]), light))
    return sorted(found, key=lambda line: line.distance)
