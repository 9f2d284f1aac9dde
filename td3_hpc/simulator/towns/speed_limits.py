"""The speed limit on every lane, from signs and from the roads themselves."""

import bisect
import xml.etree.ElementTree as ET
from collections import defaultdict, deque
from collections.abc import Iterable

import carla

from td3_hpc.roads.client_map import ClientLanes, key_of
from td3_hpc.roads.lanes import LaneKey, LaneSpan
from td3_hpc.simulator.towns.curves import CurveSpeeds

DEFAULT_KMH = 30.0
"""CARLA's speed limit before the first sign."""

_KMH = {"m/s": 3.6, "km/h": 1.0, "mph": 1.609344}


class SpeedLimits:
    """Speed limits by road, lane and distance.

    As in CARLA a sign holds until the next sign, through junctions. A lane that no sign upstream speaks of has the
    limit of its road; one whose road names none, the default. Any limit is lower in curves that do not allow it.

    Args:
        signs: (road id, lane id, s in metres, limit in km/h) of every lane that a sign is for.
    """

    def __init__(
        self,
        root: ET.Element,
        road_map: carla.Map,
        lanes: ClientLanes,
        signs: Iterable[tuple[int, int, float, float]],
    ) -> None:
        self._of_road = {int(road.attrib["id"]): _road_limits(road) for road in root.findall("road")}
        self._of_lane = _spread(road_map, lanes, signs)
        self._of_lane |= self._in_curves(lanes)

    def at(self, road_id: int, lane_id: int, s: float) -> float:
        """The limit in km/h at a distance of s metres from the road's start."""
        changes = self._changes(road_id, lane_id)
        return _at(changes, s) if changes else DEFAULT_KMH

    def _changes(self, road_id: int, lane_id: int) -> list[tuple[float, float]]:
        return self._of_lane.get((road_id, lane_id)) or self._of_road.get(road_id, [])

    def _in_curves(self, lanes: ClientLanes) -> dict[tuple[int, int], list[tuple[float, float]]]:
        """(s, km/h) of every lane whose limit is above what its curves allow, by road and lane."""
        speeds = CurveSpeeds(lanes, lambda key, s: self.at(key.road, key.lane, s))
        found: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
        slower: set[tuple[int, int]] = set()
        for key, span in sorted(lanes.graph.lanes.items()):
            low, high = sorted((span.start, span.end))
            here = _within(self._changes(key.road, key.lane) or [(low, DEFAULT_KMH)], low, high)
            pieces = speeds.below(key, max(limit for _, limit in here))
            slower |= {(key.road, key.lane)} if pieces else set()
            found[key.road, key.lane] += _lowest(here, pieces)
        return {lane: sorted(found[lane]) for lane in slower}


def _road_limits(road: ET.Element) -> list[tuple[float, float]]:
    """(s, km/h) where the road's own limit changes."""
    found = []
    for kind in road.findall("type"):
        speed = kind.find("speed")
        try:
            limit = float(speed.get("max", "")) if speed is not None else 0.0
            start = float(kind.get("s", "0"))
        except ValueError:  # 'no limit', 'undefined'
            continue
        if speed is not None and 0.0 < limit < 1000.0:
            found.append((start, limit * _KMH.get(speed.get("unit", "m/s"), 3.6)))
    return sorted(found)


def _piece(changes: list[tuple[float, float]], s: float) -> int:
    """Which of a list of (s, km/h) in the order of s holds at s; before the first it is the first one."""
    return max(bisect.bisect_right(changes, (s, float("inf"))) - 1, 0)


def _at(changes: list[tuple[float, float]], s: float) -> float:
    return changes[_piece(changes, s)][1]


def _within(limits: list[tuple[float, float]], low: float, high: float) -> list[tuple[float, float]]:
    """The pieces of a road's limits from `low` to `high` metres."""
    first = _piece(limits, low)
    return [(max(s, low), limit) for s, limit in limits[first:] if s < high] or [(low, limits[first][1])]


def _lowest(one: list[tuple[float, float]], other: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Two lists of (s, km/h), each in the order of s, as one: the lower of both everywhere."""
    found: list[tuple[float, float]] = []
    for s in sorted({s for s, _ in (*one, *other)}):
        here = min(_at(changes, s) for changes in (one, other) if changes)
        if not found or found[-1][1] != here:
            found.append((s, here))
    return found


def _spread(
    road_map: carla.Map, lanes: ClientLanes, signs: Iterable[tuple[int, int, float, float]]
) -> dict[tuple[int, int], list[tuple[float, float]]]:
    """(s, km/h) of every lane that a sign speaks of, by road and lane; the nearest sign upstream counts."""
    on_lane: dict[LaneKey, list[tuple[float, float]]] = defaultdict(list)
    for road_id, lane_id, s, limit in signs:
        waypoint = road_map.get_waypoint_xodr(road_id, lane_id, s)
        if waypoint is not None:
            on_lane[key_of(waypoint)].append((s, limit))
    entry: dict[LaneKey, float] = {}
    waiting = deque(sorted(on_lane))
    leaving = {key: (max if key.lane < 0 else min)(places)[1] for key, places in on_lane.items()}
    while waiting:
        key = waiting.popleft()
        limit = leaving.get(key, entry.get(key, DEFAULT_KMH))
        for after in lanes.graph.following.get(key, ()):
            if after not in entry:
                entry[after] = limit
                if after not in on_lane:
                    waiting.append(after)
    changes: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for key in sorted(set(entry) | set(on_lane)):
        if key in lanes.graph.lanes:
            span, here = lanes.graph.lanes[key], sorted(on_lane.get(key, []))
            changes[key.road, key.lane] += _pieces(key, span, entry.get(key), here)
    return {lane: sorted(found) for lane, found in changes.items()}


def _pieces(
    key: LaneKey, span: LaneSpan, entry: float | None, signs: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    """(s of its lower end, km/h) of the pieces into which signs cut one lane; s runs against traffic if the id > 0."""
    if key.lane < 0:
        before = entry if entry is not None else signs[0][1]
        return [(span.start, before), *signs]
    limits = [limit for _, limit in signs] + [entry if entry is not None else signs[-1][1]]
    return list(zip([span.end, *(s for s, _ in signs)], limits))
