"""The lanes under many places at once: what `carla.Map.get_waypoint` answers, without its search of all lanes.

The client library approximates each lane by segments: a straight lane by one; any other is followed metre by metre, and
a segment ends where the lane has turned by more than 1.8 degrees. The segment nearest to a place in space tells the
lane, and how far along it the place lies (CARLA 0.9.16, LibCarla/source/carla/road/Map.cpp, `CreateRtree` and
`GetClosestWaypointOnRoad`). Here are the same segments, in cells. Waypoints come from the library itself, by the very
step that it makes from a segment's start, so they are equal in every bit; and where two segments are about equally
near, or none is, there is no answer, and the library has to be asked.
"""

import itertools
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import carla
import numpy as np
from numpy.typing import NDArray

from td3_hpc.roads.elements import lane_id, lanes_of, number, sections_of

_STEP = 1.0  # m
_TURN = math.pi / 100.0  # In that a segment ends.
_LONGEST = 100.0  # m
_END = 1e-6  # A segment ends so far before its lane, m.
_EPSILON = 10.0 * 2.0**-52  # The library's own, by which every step falls short, m.
_NEAR_START = 1e-3  # m
_TURN_ROUNDING = 1e-5  # The library computes turns in single precision.

_CELL, _REACH = 2.0, 3.0  # A cell knows all segments that are within this of any place in it, m.
# By how much the nearest segment must be nearer than any other, m, and as a share of the largest coordinate: more than
# single precision errs.
_SURE, _SURE_SHARE = 1e-3, 2e-6
_ROW = 1 << 32
_NUMBERING = np.array([_ROW, 1.0])  # Cells are numbered column * _ROW + row.


class _Unclear(Exception):
    """The library's segments cannot be told."""


class _Lane(NamedTuple):
    """A lane of a road's section."""

    road: int
    section: int
    lane: int
    start: float
    """Where the section starts on its road, and where it ends, metres."""
    end: float
    straight: bool


class LaneSearch:
    """Knows the segments of a town's lanes."""

    def __init__(self, road_map: carla.Map, root: ET.Element) -> None:
        """`root`: the OpenDRIVE that the map was built from."""
        try:
            pairs = [pair for lane in _lanes(road_map, root) for pair in _segments(road_map, lane)]
        except _Unclear:
            pairs = []  # then there is no answer anywhere
        self._starts, self._ends = [start for start, _ in pairs], [end for _, end in pairs]
        self._start_s, self._end_s = (np.array([each.s for each in ends]) for ends in (self._starts, self._ends))
        places = np.array([[_place(start), _place(end)] for start, end in pairs], np.float32).reshape(-1, 2, 3)
        self._sure = max(_SURE, _SURE_SHARE * float(np.abs(places).max(initial=0.0)))
        self._sign = np.where(self._start_s <= self._end_s, 1.0, -1.0)
        self._begin, self._flat = (
            np.ascontiguousarray(each[:, :2].T) for each in (places[:, 0], places[:, 1] - places[:, 0])
        )
        self._squares = self._flat[0] * self._flat[0] + self._flat[1] * self._flat[1]
        self._length = np.sqrt(self._squares)
        self._squares[self._squares == 0.0] = 1.0  # a segment without length: every place lies at its start
        self._origin = places[:, 0].astype(np.float64)
        self._way = places[:, 1].astype(np.float64) - self._origin
        squares = np.einsum("ij,ij->i", self._way, self._way)
        self._inverse = 1.0 / np.maximum(squares, 1e-30)
        self._cells, self._first, self._count, self._members = self._index()
        if not self._agrees(road_map):
            self._cells = self._cells[:0]

    def find(self, places: Sequence[tuple[float, float, float]]) -> list[carla.Waypoint | None]:
        """The waypoint nearest to each place (x, y, z), metres; None where that is not clear."""
        found: list[carla.Waypoint | None] = [None] * len(places)
        if not len(self._cells) or not places:
            return found
        points = np.array(places, np.float32)
        owners, segments = self._clear(points)
        # In single precision, as the library computes how far along the segment a place lies.
        (wx, wy), length = self._flat.take(segments, axis=1), self._length.take(segments)
        (px, py) = points[owners, :2].T - self._begin.take(segments, axis=1)
        share = (px * wx + py * wy) / self._squares.take(segments)
        along = (np.minimum(np.maximum(share, 0.0), 1.0) * length).astype(np.float64)
        # Along the road or against it: what is passed is passed in both, for one sign.
        sign = self._sign.take(segments)
        over = (self._start_s.take(segments) + sign * along) * sign >= self._end_s.take(segments) * sign
        for owner, segment, distance, is_over in zip(owners.tolist(), segments.tolist(), along.tolist(), over.tolist()):
            if is_over:
                found[owner] = self._ends[segment]
            elif distance <= 0.0:
                found[owner] = self._starts[segment]
            else:
                found[owner] = self._starts[segment].next(distance)[0]
        return found

    def _agrees(self, road_map: carla.Map) -> bool:
        """Whether the library says the same of a place on every segment: it is no part of this package."""
        places = (self._origin + 0.37 * self._way).tolist()
        for (x, y, z), found in zip(places, self.find(places)):
            asked = road_map.get_waypoint(carla.Location(x, y, z), True, carla.LaneType.Any)
            if found is not None and (asked.s != found.s or asked.id != found.id):
                return False
        return True

    def _clear(self, points: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Which points are clearly nearest to one segment, and to which."""
        exact = points.astype(np.float64)
        keys = np.floor(exact[:, :2] / _CELL) @ _NUMBERING
        at = self._cells.searchsorted(keys)
        known = np.flatnonzero(self._cells.take(at, mode="clip") == keys)
        if not len(known):
            return known, known
        at = at[known]
        count = self._count.take(at)
        ends = count.cumsum()
        which = np.arange(len(known)).repeat(count)
        candidates = self._members.take(np.arange(len(which)) + (self._first.take(at) - ends + count).take(which))
        away = self._distances(exact.take(known.take(which), axis=0), candidates)
        begin = ends - count
        nearest = np.minimum.reduceat(away, begin)
        near = away < (nearest + self._sure).take(which)
        clear = (np.add.reduceat(near, begin, dtype=np.intp) == 1) & (nearest < _REACH - self._sure)
        chosen = np.flatnonzero(near & clear.take(which))
        return known.take(which.take(chosen)), candidates.take(chosen)

    def _distances(self, points: NDArray[np.float64], segments: NDArray[np.intp]) -> NDArray[np.float64]:
        """From each point to a segment, metres."""
        way = self._way.take(segments, axis=0)
        relative = points - self._origin.take(segments, axis=0)
        share = np.einsum("ij,ij->i", relative, way) * self._inverse.take(segments)
        way *= np.minimum(np.maximum(share, 0.0), 1.0)[:, None]
        relative -= way
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", relative, relative)))

    def _across(self, points: NDArray[np.float64], segments: NDArray[np.intp]) -> NDArray[np.float64]:
        """From each point (x, y) to a segment as seen from above, metres."""
        way, relative = self._way[segments, :2], points - self._origin[segments, :2]
        squares = np.maximum(np.einsum("ij,ij->i", way, way), 1e-30)
        share = np.clip(np.einsum("ij,ij->i", relative, way) / squares, 0.0, 1.0)
        relative -= share[:, None] * way
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", relative, relative)))

    def _index(self) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Numbers of cells, ascending; where each one's segments begin, and how many they are; all these segments."""
        if not len(self._way):
            nothing = np.zeros(0, np.intp)
            return np.zeros(0), nothing, nothing, nothing
        length = np.sqrt(np.einsum("ij,ij->i", self._way, self._way))
        pieces = np.ceil(length / _CELL).astype(np.intp) + 1
        segment = np.repeat(np.arange(len(length)), pieces)
        piece = np.arange(len(segment)) - (np.cumsum(pieces) - pieces)[segment]
        share = piece / np.maximum(pieces - 1, 1)[segment]
        cells = np.floor((self._origin[segment] + share[:, None] * self._way[segment])[:, :2] / _CELL)
        # A segment's points are within half a cell of such a sample.
        wide = math.ceil((_REACH + _CELL / 2.0) / _CELL)
        around = np.array(list(itertools.product(range(-wide, wide + 1), repeat=2)), np.float64)
        spread = (cells[:, None] + around).reshape(-1, 2)
        keys = spread[:, 0] * _ROW + spread[:, 1]
        members = np.repeat(segment, len(around))
        order = np.lexsort((members, keys))
        keys, members = keys[order], members[order]
        fresh = np.append(True, (np.diff(keys) != 0.0) | (np.diff(members) != 0))
        keys, members = keys[fresh], members[fresh]
        middle = np.stack([np.floor(keys / _ROW + 0.5), np.zeros(len(keys))], axis=1)
        middle[:, 1] = keys - middle[:, 0] * _ROW
        within = self._across((middle + 0.5) * _CELL, members) <= _REACH + _CELL / math.sqrt(2.0) + self._sure
        keys, members = keys[within], members[within]
        found, first, count = np.unique(keys, return_index=True, return_counts=True)
        return found, first, count, members


def _lanes(road_map: carla.Map, root: ET.Element) -> Iterator[_Lane]:
    """All lanes but those that the library's search leaves out. Raises _Unclear."""
    for road in root.findall("road"):
        length, sections = number(road, "length"), sections_of(road)
        starts = [number(section, "s") for section in sections]
        limits = [*starts, length]
        if any(limit is None for limit in limits):
            raise _Unclear
        bounds = [limit for limit in limits if limit is not None]
        for count, section in enumerate(sections):
            start, end = bounds[count], bounds[count + 1]
            if not start < end:
                raise _Unclear
            straight = _is_straight(road, start, end)
            for found in sorted({lane_id(lane) or 0 for lane in lanes_of(section)} - {0}):
                inside = road_map.get_waypoint_xodr(int(road.attrib["id"]), found, (start + end) / 2.0)
                if inside is None or inside.road_id != int(road.attrib["id"]) or inside.lane_id != found:
                    raise _Unclear
                if int(inside.lane_type) & int(carla.LaneType.Any):
                    yield _Lane(inside.road_id, inside.section_id, found, start, end, straight)


def _is_straight(road: ET.Element, start: float, end: float) -> bool:
    """Whether the library takes the lanes of a section for straight. Raises _Unclear."""
    shape, begin, length = None, 0.0, 0.0
    for geometry in road.iterfind("planView/geometry"):
        at, size = number(geometry, "s"), number(geometry, "length")
        if at is None or size is None:
            raise _Unclear
        if at <= start:
            shape, begin, length = geometry, at, size
    if shape is None or shape.find("line") is None or end > begin + length:
        return False
    bends = [number(rise, name) for rise in road.iterfind("elevationProfile/elevation") for name in ("c", "d")]
    return not any(bend is None or bend != 0.0 for bend in bends)


def _segments(road_map: carla.Map, lane: _Lane) -> Iterator[tuple[carla.Waypoint, carla.Waypoint]]:
    """The waypoints between which the library lays a lane's segments. Raises _Unclear."""
    begin = here = _entered(road_map, lane)
    if lane.straight:
        left = _left(lane, here) - _END
        if left >= _END:
            yield here, _only(here.next(left), lane)
        return
    heading = _heading(begin)
    while True:
        step = min(_STEP, _left(lane, here) - _END)
        if step < _END:
            yield begin, here
            return
        here = _only(here.next(step), lane)
        ahead = _heading(here)
        turn = math.acos(
            min(sum(a * b for a, b in zip(heading, ahead)) / (math.hypot(*heading) * math.hypot(*ahead)), 1.0)
        )
        if abs(turn - _TURN) < _TURN_ROUNDING:
            raise _Unclear
        if turn > _TURN or abs(begin.s - here.s) > _LONGEST:
            yield begin, here
            begin, heading = here, ahead


def _entered(road_map: carla.Map, lane: _Lane) -> carla.Waypoint:
    """The waypoint at the start of a lane in the direction of its traffic, as the library has it. Raises _Unclear."""
    length = lane.end - lane.start
    start = lane.start + 10.0 * _EPSILON if lane.lane < 0 else lane.start + length - 10.0 * _EPSILON
    inside = road_map.get_waypoint_xodr(lane.road, lane.lane, lane.start + length / 2.0)
    if length > 2.0 * _NEAR_START:
        inside = _only(inside.previous(length / 2.0 - _NEAR_START), lane)
    gap = abs(inside.s - start)
    # Nothing else gives a waypoint at an exact place, and which step leads there is a matter of rounding.
    for step in (gap, gap + _EPSILON, gap - _EPSILON, math.nextafter(gap, 0.0), math.nextafter(gap, math.inf)):
        before = inside.previous(step)
        if len(before) == 1 and before[0].s == start:
            return _only(before, lane)
    raise _Unclear


def _only(found: list[carla.Waypoint], lane: _Lane) -> carla.Waypoint:
    """The one waypoint of a list, on that lane. Raises _Unclear for any other."""
    if len(found) != 1 or (found[0].road_id, found[0].section_id, found[0].lane_id) != lane[:3]:
        raise _Unclear
    return found[0]


def _left(lane: _Lane, here: carla.Waypoint) -> float:
    """What the library takes for the rest of a lane, metres."""
    length = lane.end - lane.start
    return float(lane.start + length - here.s if lane.lane < 0 else here.s - lane.start)


def _heading(waypoint: carla.Waypoint) -> tuple[float, float, float]:
    forward = waypoint.transform.get_forward_vector()
    return forward.x, forward.y, forward.z


def _place(waypoint: carla.Waypoint) -> tuple[float, float, float]:
    location = waypoint.transform.location
    return location.x, location.y, location.z
