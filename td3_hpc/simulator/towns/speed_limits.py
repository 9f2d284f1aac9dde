"""The speed limit on every lane, from signs and from the roads themselves."""

import bisect
import xml.etree.ElementTree as ET
from collections import defaultdict, deque
from collections.abc import Iterable

import carla

DEFAULT_KMH = 30.0
"""CARLA's speed limit before the first sign."""

_KMH = {"m/s": 3.6, "km/h": 1.0, "mph": 1.609344}
_LaneKey = tuple[int, int, int]  # road, lane section, lane


class SpeedLimits:
    """Speed limits by road, lane and distance.

    As in CARLA a sign holds until the next sign, through junctions. A lane that no sign upstream speaks of has the
    limit of its road; one whose road names none, the default.

    Args:
        signs: (road id, lane id, s in metres, limit in km/h) of every lane that a sign is for.
    """

    def __init__(self, root: ET.Element, road_map: carla.Map, signs: Iterable[tuple[int, int, float, float]]) -> None:
        self._of_road = {int(road.attrib["id"]): _road_limits(road) for road in root.findall("road")}
        self._of_lane = _spread(road_map, signs)

    def at(self, road_id: int, lane_id: int, s: float) -> float:
        """The limit in km/h at a distance of s metres from the road's start."""
        changes = self._of_lane.get((road_id, lane_id)) or self._of_road.get(road_id)
        if not changes:
            return DEFAULT_KMH
        if len(changes) == 1:
            return changes[0][1]
        return changes[max(bisect.bisect_right(changes, (s, float("inf"))) - 1, 0)][1]


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


def _spread(
    road_map: carla.Map, signs: Iterable[tuple[int, int, float, float]]
) -> dict[tuple[int, int], list[tuple[float, float]]]:
    """(s, km/h) of every lane that a sign speaks of, by road and lane; the nearest sign upstream counts."""
    lanes: dict[_LaneKey, carla.Waypoint] = {}
    following: dict[_LaneKey, list[_LaneKey]] = defaultdict(list)
    for start, end in road_map.get_topology():
        lanes[_key(start)] = start
        lanes.setdefault(_key(end), end)  # one that ends nowhere is never a start
        if _key(start) != _key(end):  # as the client library says of a dead end
            following[_key(start)].append(_key(end))
    on_lane: dict[_LaneKey, list[tuple[float, float]]] = defaultdict(list)
    for road_id, lane_id, s, limit in signs:
        waypoint = road_map.get_waypoint_xodr(road_id, lane_id, s)
        if waypoint is not None:
            on_lane[_key(waypoint)].append((s, limit))
    entry: dict[_LaneKey, float] = {}
    waiting = deque(sorted(on_lane))
    leaving = {key: (max if key[2] < 0 else min)(places)[1] for key, places in on_lane.items()}
    while waiting:
        key = waiting.popleft()
        limit = leaving.get(key, entry.get(key, DEFAULT_KMH))
        for after in following[key]:
            if after not in entry:
                entry[after] = limit
                if after not in on_lane:
                    waiting.append(after)
    changes: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for key in sorted(set(entry) | set(on_lane)):
        if key in lanes:
            changes[key[0], key[2]] += _pieces(key, lanes[key], entry.get(key), sorted(on_lane.get(key, [])))
    return {lane: sorted(found) for lane, found in changes.items()}


def _key(waypoint: carla.Waypoint) -> _LaneKey:
    return waypoint.road_id, waypoint.section_id, waypoint.lane_id


def _pieces(
    key: _LaneKey, start: carla.Waypoint, entry: float | None, signs: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    """(s of its lower end, km/h) of the pieces into which signs cut one lane; s runs against traffic if the id > 0."""
    if key[2] < 0:
        before = entry if entry is not None else signs[0][1]
        return [(start.s, before), *signs]
    low = min([start.s, *(w.s for w in start.next_until_lane_end(2.0))])
    limits = [limit for _, limit in signs] + [entry if entry is not None else signs[-1][1]]
    return list(zip([low, *(s for s, _ in signs)], limits))
