"""The speed limit on every lane, from signs and from the roads themselves."""

import bisect
import math
import xml.etree.ElementTree as ET
from collections import defaultdict, deque
from collections.abc import Callable, Iterable

import carla

from td3_hpc.roads.client_map import ClientLanes, key_of
from td3_hpc.roads.elements import lane_id, lanes_of, number, sections_of
from td3_hpc.roads.lanes import LaneKey, LaneSpan
from td3_hpc.simulator.towns.curves import CurveSpeeds

DEFAULT_KMH = 30.0
"""CARLA's speed limit before the first sign."""

Limits = list[tuple[float, float]]
"""(s in metres, km/h) where a limit begins, in the order of s."""
_DEFAULT: Limits = [(0.0, DEFAULT_KMH)]
_KMH = {"m/s": 3.6, "km/h": 1.0, "mph": 1.609344}


class SpeedLimits:
    """Speed limits by road, lane and distance.

    As in CARLA a sign holds until the next sign, through junctions. Where no sign upstream speaks, a lane's own limit
    holds, where it has none its road's, and else the default. Any limit is lower in curves that do not allow it.

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
        self._of_road: dict[int, Limits] = {}
        self._of_own: dict[tuple[int, int], Limits] = {}
        for road in root.findall("road"):
            road_id = int(road.attrib["id"])
            self._of_road[road_id] = _road_limits(road)
            own = _lane_limits(road, self._of_road[road_id])
            self._of_own |= {(road_id, lane): limits for lane, limits in own.items()}
        self._of_lane = _spread(road_map, lanes, signs, self._without_signs)
        self._of_lane |= self._in_curves(lanes)

    def at(self, road_id: int, lane_id: int, s: float) -> float:
        """The limit in km/h at a distance of s metres from the road's start."""
        return _at(self._changes(road_id, lane_id), s)

    def _changes(self, road_id: int, lane_id: int) -> Limits:
        return self._of_lane.get((road_id, lane_id)) or self._without_signs(road_id, lane_id)

    def _without_signs(self, road_id: int, lane_id: int) -> Limits:
        return self._of_own.get((road_id, lane_id)) or self._of_road.get(road_id, _DEFAULT)

    def _in_curves(self, lanes: ClientLanes) -> dict[tuple[int, int], Limits]:
        """(s, km/h) of every lane whose limit is above what its curves allow, by road and lane."""
        speeds = CurveSpeeds(lanes, lambda key, s: self.at(key.road, key.lane, s))
        found: dict[tuple[int, int], Limits] = defaultdict(list)
        slower: set[tuple[int, int]] = set()
        for key, span in sorted(lanes.graph.lanes.items()):
            low, high = sorted((span.start, span.end))
            here = _within(self._changes(key.road, key.lane), low, high)
            pieces = speeds.below(key, max(limit for _, limit in here))
            slower |= {(key.road, key.lane)} if pieces else set()
            found[key.road, key.lane] += _lowest(here, pieces)
        return {lane: sorted(found[lane]) for lane in slower}


def _road_limits(road: ET.Element) -> Limits:
    """Where the road's own limit changes; the default where it tells none."""
    types = [(number(kind, "s") or 0.0, kind.find("speed")) for kind in road.findall("type")]
    return _told([(s, speed) for s, speed in types if speed is not None]) or _DEFAULT


def _lane_limits(road: ET.Element, of_road: Limits) -> dict[int, Limits]:
    """Of the lanes that have limits of their own (OpenDRIVE 1.7, section 11.7.4); elsewhere on them the road's."""
    sections = sections_of(road)
    starts = [number(section, "s") or 0.0 for section in sections]
    found: dict[int, Limits] = defaultdict(list)
    spoken = set()
    for section, start, end in zip(sections, starts, [*starts[1:], math.inf]):
        around = _within(of_road, start, end)
        for lane in lanes_of(section):
            key = lane_id(lane) or 0
            own = _told([(start + (number(speed, "sOffset") or 0.0), speed) for speed in lane.findall("speed")])
            spoken |= {key} if own else set()
            found[key] += [piece for piece in around if not own or piece[0] < own[0][0]] + own
    return {key: found[key] for key in spoken}


def _told(speeds: list[tuple[float, ET.Element]]) -> Limits:
    """Of `<speed>` elements by their place; 'no limit' and 'undefined' tell nothing."""
    limits = [(s, number(speed, "max") or 0.0, _KMH.get(speed.get("unit", "m/s"), 3.6)) for s, speed in speeds]
    return sorted((s, limit * factor) for s, limit, factor in limits if 0.0 < limit < 1000.0)


def _piece(changes: Limits, s: float) -> int:
    """Which of a list of (s, km/h) in the order of s holds at s; before the first it is the first one."""
    return max(bisect.bisect_right(changes, (s, float("inf"))) - 1, 0)


def _at(changes: Limits, s: float) -> float:
    return changes[_piece(changes, s)][1]


def _within(limits: Limits, low: float, high: float) -> Limits:
    """The pieces of a road's limits from `low` to `high` metres."""
    first = _piece(limits, low)
    return [(max(s, low), limit) for s, limit in limits[first:] if s < high] or [(low, limits[first][1])]


def _lowest(one: Limits, other: Limits) -> Limits:
    """Two lists of (s, km/h), each in the order of s, as one: the lower of both everywhere."""
    found: Limits = []
    for s in sorted({s for s, _ in (*one, *other)}):
        here = min(_at(changes, s) for changes in (one, other) if changes)
        if not found or found[-1][1] != here:
            found.append((s, here))
    return found


def _spread(
    road_map: carla.Map,
    lanes: ClientLanes,
    signs: Iterable[tuple[int, int, float, float]],
    own: Callable[[int, int], Limits],
) -> dict[tuple[int, int], Limits]:
    """Of every lane that a sign speaks of, by road and lane: the nearest sign upstream, `own` where there is none."""
    on_lane: dict[LaneKey, Limits] = defaultdict(list)
    for road, lane, s, limit in signs:
        waypoint = road_map.get_waypoint_xodr(road, lane, s)
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
    changes: dict[tuple[int, int], Limits] = defaultdict(list)
    for key in sorted(set(entry) | set(on_lane)):
        if key in lanes.graph.lanes:
            span, here = lanes.graph.lanes[key], sorted(on_lane.get(key, []))
            before = [(0.0, entry[key])] if key in entry else own(key.road, key.lane)
            changes[key.road, key.lane] += _pieces(key, span, before, here)
    return {lane: sorted(found) for lane, found in changes.items()}


def _pieces(key: LaneKey, span: LaneSpan, before: Limits, signs: Limits) -> Limits:
    """The pieces into which signs cut one lane, `before` holding as far as the first; s runs against traffic if the id
    is above 0."""
    if key.lane < 0:
        return [*_within(before, span.start, signs[0][0] if signs else span.end), *signs]
    lower_ends = [span.end, *(s for s, _ in signs)]
    return [*zip(lower_ends, (limit for _, limit in signs)), *_within(before, lower_ends[-1], span.start)]
