"""The road network of a town as cross-sections, and the quadrilaterals of its surface, paint and kerbs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple
from xml.etree import ElementTree

import carla
import cv2
import numpy as np
from numpy.typing import NDArray

from td3_hpc.simulator.drawing.scene import Colour, Layer, SceneBuilder
from td3_hpc.simulator.labels import CityObjectLabel

Array = NDArray[np.float64]

KERB_HEIGHT = 0.12
RAISED = 0.3
"""Road this much above the base plane counts as raised, m: sorted by distance, on an embankment or a bridge."""

_STEP = 2.0  # Between cross-sections, m.
_STEP_JUNCTION = 1.0
_TOLERANCE = 0.04  # Of a straight piece against the true border, m.
_LONGEST = 48.0
_LONGEST_RAISED = 6.0
_DASH, _DASH_PERIOD = 3.0, 9.0
_DOT, _DOT_PERIOD = 0.3, 1.2
_PAINT_WIDTH = 0.15

_WHITE: Colour = (236, 236, 236)
_PAINTS: dict[Any, Colour] = {
    carla.LaneMarkingColor.Yellow: (40, 190, 235),
    carla.LaneMarkingColor.Blue: (190, 110, 40),
    carla.LaneMarkingColor.Green: (70, 150, 50),
    carla.LaneMarkingColor.Red: (50, 50, 190),
}
_KERB_COLOUR: Colour = (186, 188, 190)


class Surface(NamedTuple):
    """What a lane is covered with."""

    label: CityObjectLabel
    colour: Colour
    layer: Layer


ASPHALT = Surface(CityObjectLabel.ROADS, (88, 86, 84), Layer.ASPHALT)
_SHOULDER = Surface(CityObjectLabel.ROADS, (104, 103, 102), Layer.ASPHALT)
_CYCLE = Surface(CityObjectLabel.ROADS, (82, 86, 122), Layer.ASPHALT)
_SIDEWALK = Surface(CityObjectLabel.SIDEWALKS, (158, 162, 166), Layer.SIDEWALK)
_GRASS = Surface(CityObjectLabel.TERRAIN, (70, 122, 98), Layer.TERRAIN)
_LANE = carla.LaneType
_SURFACES: dict[Any, Surface] = {
    _LANE.Shoulder: _SHOULDER,
    _LANE.Biking: _CYCLE,
    _LANE.Sidewalk: _SIDEWALK,
    _LANE.NONE: _GRASS,
    _LANE.Median: _GRASS,
    _LANE.Border: _GRASS,
    _LANE.Restricted: _GRASS,
    _LANE.Tram: _GRASS,
    _LANE.Rail: _GRASS,
}


class Paint(NamedTuple):
    """A lane marking at one cross-section."""

    kind: Any
    colour: Any
    width: float


_BARE = Paint(carla.LaneMarkingType.NONE, carla.LaneMarkingColor.White, 0.0)


@dataclass(frozen=True, slots=True)
class RoadSection:
    """One lane section, cut across at n places; b borders part its b - 1 lanes, from left to right along the road."""

    s: Array
    """(n,) distance along the road, m."""
    borders: Array
    """(n, b, 3) world metres."""
    surfaces: list[Surface]
    """b - 1 of them."""
    paints: list[list[Paint]]
    """b lists of n."""
    in_junction: bool
    raised: bool
    kept: list[int]
    """The cross-sections that matter: straight lines between them stay true to a few centimetres."""

    def pieces(self) -> Iterator[tuple[int, int]]:
        """The straight pieces: pairs of cross-sections."""
        return pairwise(self.kept)


def read_sections(road_map: carla.Map, opendrive: str) -> list[RoadSection]:
    """Every lane section of a town, sampled through `carla.Map`, which knows widths, offsets and elevation."""
    sections = []
    for road in ElementTree.fromstring(opendrive).iter("road"):
        length = float(road.get("length", "0"))
        lane_sections = list(road.iterfind("lanes/laneSection"))
        starts = [float(section.get("s", "0")) for section in lane_sections]
        for element, start, stop in zip(lane_sections, starts, [*starts[1:], length]):
            section = _read_section(road_map, road, element, start, stop)
            if section is not None:
                sections.append(section)
    return sections


def lowest(sections: list[RoadSection]) -> float:
    """The height of the lowest road, metres; 0 for an empty town."""
    return min((float(section.borders[..., 2].min()) for section in sections), default=0.0)


def settle(sections: list[RoadSection], base_z: float) -> list[RoadSection]:
    """The sections with `raised` and `kept` decided by their height above the base plane, metres."""
    settled = []
    for section in sections:
        raised = bool((section.borders[..., 2] > base_z + RAISED).any())
        kept = _simplify(section.s, section.borders, _LONGEST_RAISED if raised else _LONGEST)
        fields = {name: getattr(section, name) for name in RoadSection.__slots__}
        settled.append(RoadSection(**{**fields, "raised": raised, "kept": kept}))
    return settled


def _read_section(
    road_map: carla.Map, road: ElementTree.Element, element: ElementTree.Element, start: float, stop: float
) -> RoadSection | None:
    in_junction = road.get("junction", "-1") != "-1"
    if stop - start < 0.02:
        return None
    count = max(2, math.ceil((stop - start) / (_STEP_JUNCTION if in_junction else _STEP)) + 1)
    s = np.linspace(start + 0.005, stop - 0.005, count)
    ids = [int(lane.get("id", "0")) for lane in element.iter("lane")]
    left = sorted((i for i in ids if i > 0), reverse=True)
    right = sorted((i for i in ids if i < 0), reverse=True)
    lanes = {}
    for lane_id in left + right:
        points = [road_map.get_waypoint_xodr(int(road.get("id", "0")), lane_id, float(at)) for at in s]
        if all(point is not None for point in points):
            lanes[lane_id] = points
    left, right = [i for i in left if i in lanes], [i for i in right if i in lanes]
    if not lanes:
        return None
    return _assemble(s, lanes, left, right, in_junction)


def _assemble(
    s: Array, lanes: dict[int, list[Any]], left: list[int], right: list[int], in_junction: bool
) -> RoadSection:
    """Borders from left to right: outer ones of the left lanes, the middle line, outer ones of the right lanes."""
    edges = {lane_id: _lane_edges(points) for lane_id, points in lanes.items()}
    middle_lane = right[0] if right else left[-1]
    middle = edges[middle_lane][0 if right else 1]
    borders = [edges[i][0] for i in left] + [middle] + [edges[i][1] for i in right]
    middle_paint = [_paint(point.left_lane_marking) for point in lanes[middle_lane]]
    outer = {i: [_paint(point.right_lane_marking) for point in points] for i, points in lanes.items()}
    order = left + right
    return RoadSection(
        s=s,
        borders=np.stack(borders, axis=1),
        surfaces=[_SURFACES.get(lanes[i][0].lane_type, ASPHALT) for i in order],
        paints=[outer[i] for i in left] + [middle_paint] + [outer[i] for i in right],
        in_junction=in_junction,
        raised=False,
        kept=[],
    )


def _lane_edges(points: list[Any]) -> tuple[Array, Array]:
    """The (n, 3) left and right edge of a lane, looking along the road's own direction."""
    transforms = [point.transform for point in points]
    centre = np.array([(t.location.x, t.location.y, t.location.z) for t in transforms])
    yaw = np.radians([t.rotation.yaw for t in transforms])
    half = np.array([point.lane_width for point in points]) / 2.0
    along = centre[-1, :2] - centre[0, :2] if len(centre) == 2 else centre[1, :2] - centre[0, :2]
    turn = 1.0 if along[0] * math.cos(yaw[0]) + along[1] * math.sin(yaw[0]) >= 0.0 else -1.0
    side = turn * np.stack([-np.sin(yaw), np.cos(yaw), np.zeros_like(yaw)], axis=1) * half[:, None]
    return centre - side, centre + side


def _paint(marking: Any) -> Paint:
    return Paint(marking.type, marking.color, marking.width) if marking is not None else _BARE


def _simplify(s: Array, borders: Array, longest: float) -> list[int]:
    kept = [0]
    while kept[-1] < len(s) - 1:
        start = kept[-1]
        end = max(start + 1, int(np.searchsorted(s, s[start] + longest, "right")) - 1)
        while end > start + 1:
            share = (s[start + 1 : end] - s[start]) / (s[end] - s[start])
            straight = borders[start] + share[:, None, None] * (borders[end] - borders[start])
            if np.abs(straight - borders[start + 1 : end]).max() <= _TOLERANCE:
                break
            end = start + (end - start) // 2
        kept.append(end)
    return kept


class RoadRaster:
    """A map of the lowest and the highest surface of the given layers on a square grid, to ask what is where."""

    def __init__(self, sections: list[RoadSection], layers: tuple[Layer, ...]) -> None:
        strips = [
            _strips(section, lane, lane + 1)
            for section in sections
            for lane, surface in enumerate(section.surfaces)
            if surface.layer in layers
        ]
        quads = np.concatenate([np.zeros((0, 4, 3)), *strips])
        places = quads[..., :2].reshape(-1, 2) if len(quads) else np.zeros((1, 2))
        self._origin = places.min(axis=0) - 2.0
        extent = places.max(axis=0) + 2.0 - self._origin
        self._step = max(0.5, math.sqrt(float(extent.prod()) / 6e6))
        columns, rows = (np.ceil(extent / self._step).astype(int) + 1).tolist()
        self._low = np.full((rows, columns), np.inf, np.float32)
        self._high = np.full((rows, columns), -np.inf, np.float32)
        self._covered = np.zeros((rows, columns), np.uint8)
        z = quads[..., 2].mean(axis=1)
        upwards = np.argsort(z, kind="stable")
        drawn = list(zip(z[upwards].tolist(), self._pixels(quads[upwards]), strict=True))
        for height, pixels in drawn:
            cv2.fillConvexPoly(self._covered, pixels, 1)
            cv2.fillConvexPoly(self._high, pixels, height)
        for height, pixels in reversed(drawn):
            cv2.fillConvexPoly(self._low, pixels, height)

    def cover(self, corners: Array) -> None:
        """Takes a polygon (k, 3) off the free ground."""
        cv2.fillConvexPoly(self._covered, self._pixels(corners), 1)

    def _pixels(self, corners: Array) -> NDArray[np.int32]:
        return np.asarray(np.rint((corners[..., :2] - self._origin) / self._step), np.int32)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Heights of the lowest and highest surface at a point, metres; (inf, -inf) off the road."""
        column, row = round(float(x - self._origin[0]) / self._step), round(float(y - self._origin[1]) / self._step)
        if 0 <= row < self._low.shape[0] and 0 <= column < self._low.shape[1]:
            return float(self._low[row, column]), float(self._high[row, column])
        return math.inf, -math.inf

    def clear(self, x: float, y: float, reach: float) -> bool:
        """Whether the ground within `reach` metres (a square) of a point is free."""
        low = np.floor((np.array([y - reach, x - reach]) - self._origin[::-1]) / self._step).astype(int)
        high = np.ceil((np.array([y + reach, x + reach]) - self._origin[::-1]) / self._step).astype(int) + 1
        low, high = np.maximum(low, 0), np.maximum(high, 0)
        return not self._covered[low[0] : high[0], low[1] : high[1]].any()


def _strips(section: RoadSection, left: int, right: int) -> Array:
    """The (k, 4, 3) corners of a section's k pieces between two borders, clockwise from above."""
    left_line, right_line = section.borders[section.kept, left], section.borders[section.kept, right]
    return np.stack([left_line[:-1], left_line[1:], right_line[1:], right_line[:-1]], axis=1)


def build_roads(builder: SceneBuilder, sections: list[RoadSection]) -> None:
    """Adds surfaces, kerbs and paint of all sections to the scene."""
    asphalt = RoadRaster(sections, (Layer.ASPHALT,))
    for section in sections:
        _add_surfaces(builder, section)
        _add_kerbs(builder, section, asphalt)
        for border, paints in enumerate(section.paints):
            _add_paint(builder, section, border, paints)


def _add_surfaces(builder: SceneBuilder, section: RoadSection) -> None:
    """One quadrilateral per piece and run of like lanes; raised lanes stay apart, as sorting wants small ones."""
    runs: list[tuple[int, int]] = []
    for lane, surface in enumerate(section.surfaces):
        joins = runs and not section.raised and section.surfaces[runs[-1][0]] == surface
        if joins:
            runs[-1] = (runs[-1][0], lane + 1)
        else:
            runs.append((lane, lane + 1))
    for left, right in runs:
        surface = section.surfaces[left]
        lift = np.array([0.0, 0.0, KERB_HEIGHT if surface is _SIDEWALK else 0.0])
        for corners in _strips(section, left, right):
            width = float(np.linalg.norm(corners[0, :2] - corners[3, :2]))
            if width > 0.02:
                builder.quad(corners + lift, surface.colour, surface.label, surface.layer, size=width)


def _add_kerbs(builder: SceneBuilder, section: RoadSection, asphalt: RoadRaster) -> None:
    """The upright face of every sidewalk towards the carriageway, except where another road crosses it."""
    for border in range(1, len(section.surfaces)):
        to_left = section.surfaces[border - 1].layer == Layer.SIDEWALK
        to_right = section.surfaces[border].layer == Layer.SIDEWALK
        if to_left == to_right:
            continue
        outer = border - 1 if to_left else border + 1
        for i, j in section.pieces():
            ends = section.borders[[i, j], border]
            beyond = section.borders[[i, j], outer]
            if _crossed(asphalt, ends, beyond):
                continue
            start, end = (ends[1], ends[0]) if to_right else (ends[0], ends[1])
            top = np.array([0.0, 0.0, KERB_HEIGHT])
            face = np.stack([start, start + top, end + top, end])
            builder.quad(face, _KERB_COLOUR, CityObjectLabel.SIDEWALKS, Layer.KERB, size=KERB_HEIGHT)


def _crossed(asphalt: RoadRaster, ends: Array, beyond: Array) -> bool:
    """Whether another road runs over the strip between a kerb (2, 3) and the border behind it (2, 3)."""
    hits = 0
    for share in (0.1, 0.5, 0.9):
        kerb, back = ends[0] + share * (ends[1] - ends[0]), beyond[0] + share * (beyond[1] - beyond[0])
        outwards = back - kerb
        x, y, z = kerb + outwards * (0.8 / max(float(np.linalg.norm(outwards)), 0.8))
        hits += any(abs(height - z) < 1.5 for height in asphalt.at(x, y))
    return hits >= 2


def _add_paint(builder: SceneBuilder, section: RoadSection, border: int, paints: list[Paint]) -> None:
    line = section.borders[:, border]
    across = section.borders[:, -1] - section.borders[:, 0]
    across = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    start = 0
    for end in range(1, len(paints) + 1):
        if end == len(paints) or paints[end] != paints[start]:
            last = min(end, len(paints) - 1)
            if last > start:
                _add_line(builder, section, line, across, paints[start], start, last)
            start = end


_KIND = carla.LaneMarkingType
_SIDES: dict[Any, tuple[tuple[float, bool], ...]] = {
    _KIND.Solid: ((0.0, True),),
    _KIND.Broken: ((0.0, False),),
    _KIND.SolidSolid: ((-1.0, True), (1.0, True)),
    _KIND.SolidBroken: ((-1.0, True), (1.0, False)),
    _KIND.BrokenSolid: ((-1.0, False), (1.0, True)),
    _KIND.BrokenBroken: ((-1.0, False), (1.0, False)),
    _KIND.BottsDots: ((0.0, False),),
}


def _add_line(
    builder: SceneBuilder, section: RoadSection, line: Array, across: Array, paint: Paint, first: int, last: int
) -> None:
    """The stripes of one marking between two cross-sections. Sides: offset in stripe widths, solid or not."""
    width = max(paint.width, _PAINT_WIDTH)
    dash, period = (_DOT, _DOT_PERIOD) if paint.kind == _KIND.BottsDots else (_DASH, _DASH_PERIOD)
    colour = _PAINTS.get(paint.colour, _WHITE)
    for offset, solid in _SIDES.get(paint.kind, ()):
        middle = line + across * (offset * width)
        for a, b in _solid(section, first, last) if solid else _dashes(section.s[first], section.s[last], dash, period):
            start, end = _at(section.s, middle, a), _at(section.s, middle, b)
            side_a, side_b = _at(section.s, across, a) * (width / 2), _at(section.s, across, b) * (width / 2)
            corners = np.stack([start - side_a, end - side_b, end + side_b, start + side_a])
            builder.quad(corners, colour, CityObjectLabel.ROAD_LINES, Layer.PAINT, size=width)


def _solid(section: RoadSection, first: int, last: int) -> Iterator[tuple[float, float]]:
    stops = [first, *(k for k in section.kept if first < k < last), last]
    return ((float(section.s[i]), float(section.s[j])) for i, j in pairwise(stops))


def _dashes(start: float, stop: float, dash: float, period: float) -> Iterator[tuple[float, float]]:
    at = math.floor(start / period) * period
    while at < stop:
        if min(at + dash, stop) - max(at, start) > 0.05:
            yield max(at, start), min(at + dash, stop)
        at += period


def _at(s: Array, values: Array, at: float) -> Array:
    """Linear interpolation of (n, 3) values at one distance."""
    k = min(max(int(np.searchsorted(s, at)) - 1, 0), len(s) - 2)
    share = (at - s[k]) / (s[k + 1] - s[k])
    return np.asarray(values[k] + share * (values[k + 1] - values[k]))
