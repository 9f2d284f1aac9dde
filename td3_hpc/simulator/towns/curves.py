"""How fast the curves of a road can be driven, where its limit is higher.

OpenDRIVE's `<speed>` is often a country's general limit (CARLA's Town03 says 55 mph in front of its roundabout), a sign
holds through junctions, and traffic that only brakes in the curve leaves the road.
"""

import math
from collections.abc import Callable

from td3_hpc.roads.client_map import ClientLanes
from td3_hpc.roads.lanes import LaneKey

_ACROSS = 0.6 * 9.81  # m/s² across, with which the Traffic Manager turns (its MotionPlan::FRICTION times GRAVITY).
_BRAKING = 2.0  # m/s² ahead of a curve.
_STEP = 4.0  # m
_FASTEST = 60.0  # m/s; nothing is said above it.
_ROUND_KMH = 10.0

Places = list[tuple[float, float]]
"""(s in metres, speed in m/s) every few metres along a lane, in the direction of traffic."""


class CurveSpeeds:
    """The speeds that the curves allow for which the roads' limits are too high, braking in time included."""

    def __init__(self, lanes: ClientLanes, limit_kmh: Callable[[LaneKey, float], float]) -> None:
        """`limit_kmh`: of a lane's road at s metres; a curve that can be driven at its limit asks for nothing."""
        self._places = {key: _by_curvature(lanes, key, limit_kmh) for key in lanes.starts}
        following, waiting = lanes.graph.following, set(self._places)
        leading: dict[LaneKey, list[LaneKey]] = {key: [] for key in following}
        for key, after in following.items():
            for later in after:
                leading[later].append(key)
        while waiting:  # a lane that became slower may ask those that lead into it to brake earlier
            key = waiting.pop()
            before = self._places[key][0][1]
            ends = [self._places[after][0][1] for after in following[key] if after in self._places]
            _brake(self._places[key], min(ends, default=_FASTEST))
            if self._places[key][0][1] < before:
                waiting |= {lane for lane in leading[key] if lane in self._places}

    def below(self, key: LaneKey, limit_kmh: float) -> list[tuple[float, float]]:
        """(s, km/h) where a lane's limit changes, in the order of s, rounded down; empty where it holds all along."""
        changes: list[tuple[float, float]] = []
        places = self._places.get(key, [])
        slower = [(s, min(limit_kmh, max(_ROUND_KMH, _rounded(speed)))) for s, speed in places]
        if all(speed == limit_kmh for _, speed in slower):
            return []
        for s, speed in slower if key.lane < 0 else reversed(slower):
            if not changes or changes[-1][1] != speed:
                changes.append((s, speed))
        return changes


def _rounded(speed: float) -> float:
    return math.floor(speed * 3.6 / _ROUND_KMH) * _ROUND_KMH


def _by_curvature(lanes: ClientLanes, key: LaneKey, limit_kmh: Callable[[LaneKey, float], float]) -> Places:
    course = lanes.course(lanes.starts[key], _STEP)
    speeds = [_FASTEST] * len(course)
    for index in range(2, len(course)):  # over two steps, since the client's headings are not smooth
        first, last = course[index - 2].transform, course[index].transform
        turned = abs((last.rotation.yaw - first.rotation.yaw + 180.0) % 360.0 - 180.0)
        middle = course[index - 1].transform.location
        ahead = first.location.distance(middle) + middle.distance(last.location)  # a hairpin's ends are near each other
        if turned > 0.1 and ahead > _STEP / 4.0:
            allowed = math.sqrt(_ACROSS * ahead / math.radians(turned))
            if allowed * 3.6 < limit_kmh(key, course[index - 1].s):
                speeds[index - 1] = allowed
    return [(place.s, speed) for place, speed in zip(course, speeds, strict=True)]


def _brake(places: Places, end: float) -> None:
    """Lower the speeds so that whoever brakes comes to each of them, and to the lane's end at `end` m/s."""
    allowed, at = end, places[-1][0]
    for index in range(len(places) - 1, -1, -1):
        s, speed = places[index]
        allowed = min(speed, math.sqrt(allowed**2 + 2.0 * _BRAKING * abs(at - s)))
        places[index], at = (s, allowed), s
