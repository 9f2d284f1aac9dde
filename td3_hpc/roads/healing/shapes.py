"""Geometries, lengths and elevations on which the client library divides by zero or finds nothing."""

import math
import xml.etree.ElementTree as ET

import numpy as np

from td3_hpc.roads.elements import number, sections_of, written
from td3_hpc.roads.notes import Notes

SHAPES = frozenset({"line", "arc", "spiral", "poly3", "paramPoly3"})
_FAR = 50_000.0  # From the origin, m: there single precision resolves 4 mm.
_GAP = 1.0  # Between a road's length and its geometries' end, m.


def heal_shapes(root: ET.Element, notes: Notes) -> None:
    """Roads that have a course, near the origin, each geometry with a shape that can be computed."""
    _move_to_origin(root, notes)
    for road in root.findall("road"):
        place = f"road {road.get('id')}"
        if not road.findall("planView/geometry"):
            root.remove(road)  # Links to it are dropped with those to other roads that are not there.
            notes.add("roads without a course are left out", place)
            continue
        _drop_empty(road, notes, place)
        for geometry in road.findall("planView/geometry"):
            _straighten(geometry, notes, place)
        _level(road, notes, place)
        _fit_length(road, notes, place)


def _move_to_origin(root: ET.Element, notes: Notes) -> None:
    """Roads in a country's coordinates, where single precision resolves no lane, are moved by whole kilometres."""
    geometries = root.findall("road/planView/geometry")
    for axis in ("x", "y"):
        values = [value for geometry in geometries if (value := number(geometry, axis)) is not None]
        middle = 1000.0 * round((min(values) + max(values)) / 2000.0) if values else 0.0
        if abs(middle) < _FAR or max(values) - min(values) > _FAR:
            continue
        for element in (*geometries, *root.iter("positionInertial")):
            value = number(element, axis)
            if value is not None:
                element.set(axis, written(value - middle))
        notes.add("roads far from the origin are moved to it", f"{axis} by {-middle / 1000:.0f} km")


def _drop_empty(road: ET.Element, notes: Notes, place: str) -> None:
    plan = road.find("planView")
    geometries = road.findall("planView/geometry")
    for geometry in geometries[1:] + geometries[:1]:
        if plan is not None and len(plan) > 1 and number(geometry, "length") == 0.0:
            plan.remove(geometry)
            notes.add("geometries without a length are left out", place)
    first = road.find("planView/geometry")
    start = number(first, "s") if first is not None else None
    if first is not None and start is not None and 0.0 < start <= _GAP:
        first.set("s", "0")
        notes.add("the first geometry begins where the road begins", place)


def _straighten(geometry: ET.Element, notes: Notes, place: str) -> None:
    """An arc or a spiral without curvature is a line, a spiral of constant curvature an arc."""
    for shape in geometry:
        if shape.tag not in ("arc", "spiral"):
            continue
        ends = [number(shape, name) for name in (("curvature",) if shape.tag == "arc" else ("curvStart", "curvEnd"))]
        if any(end is None for end in ends) or max(ends) != min(ends):  # type: ignore[type-var]
            continue
        curvature = ends[0]
        if curvature == 0.0:
            notes.add("arcs and spirals without curvature are lines", place)
            shape.tag, shape.attrib = "line", {}
        elif shape.tag == "spiral":
            notes.add("spirals of constant curvature are arcs", place)
            shape.tag, shape.attrib = "arc", {"curvature": written(curvature or 0.0)}


def _level(road: ET.Element, notes: Notes, place: str) -> None:
    """Before a road's first elevation it lies at height 0, before its first lane offset there is none."""
    for parent, tag, kind in (
        (road.find("elevationProfile"), "elevation", "before their first elevation roads are level"),
        (road.find("lanes"), "laneOffset", "before their first lane offset roads have none"),
    ):
        first = parent.find(tag) if parent is not None else None
        start = number(first, "s") if first is not None else None
        if parent is not None and start is not None and start > 0.0:
            parent.insert(0, ET.Element(tag, {"s": "0", "a": "0", "b": "0", "c": "0", "d": "0"}))
            notes.add(kind, place)


def _fit_length(road: ET.Element, notes: Notes, place: str) -> None:
    """A road as long as its geometries, and so that its end, in single precision, lies on it.

    The client library asks for the place at a road's end in single precision: rounded up, or exact, it is none
    (`Map::GetWaypoint`; carla issues 4680, 7265), and a walk that meets it exactly fails (`Waypoint::
    GetNextUntilLaneEnd`, "distance > 0.0"; carla issues 7505, 4024).
    """
    length = number(road, "length")
    lengths = [number(geometry, "length") for geometry in road.findall("planView/geometry")]
    starts = [number(geometry, "s") for geometry in road.findall("planView/geometry")]
    if length is None or any(value is None for value in (*lengths, *starts)):
        return
    end = (starts[-1] or 0.0) + (lengths[-1] or 0.0)
    if length - end > _GAP and end > 0.0 and _continuous(starts, lengths):
        road.set("length", written(end))
        notes.add("roads end where their geometries end", f"{place}: {end:g} m, not {length:g}")
        length = end
    if length > 0.0 and (_whole(length) or _dead_end(road)) and float(np.float32(length)) >= length:
        longer = float(np.float32(length)) + float(np.spacing(np.float32(length))) / 4.0
        road.set("length", written(longer))
        notes.add("roads that end where single precision loses them are a hair longer", place)


def _continuous(starts: list[float | None], lengths: list[float | None]) -> bool:
    end = 0.0
    for start, length in zip(starts, lengths):
        if abs((start or 0.0) - end) > _GAP:
            return False
        end = (start or 0.0) + (length or 0.0)
    return True


def _whole(length: float) -> bool:
    return math.isclose(length, round(length), rel_tol=0.0, abs_tol=1e-6)


def _dead_end(road: ET.Element) -> bool:
    """Whether a driving lane on the right ends where the road ends."""
    sections = sections_of(road)
    lanes = [lane for lane in sections[-1].findall("right/lane") if lane.get("type") == "driving"] if sections else []
    if road.find("link/successor") is None:
        return bool(lanes)
    return any(lane.find("link/successor") is None for lane in lanes)
