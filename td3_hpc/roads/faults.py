"""What cannot be healed: damage, and what the client library has no way to drive on, named with the place and a remedy.

Its input is healed text: what is left here would crash the client library or give it other roads.
"""

import xml.etree.ElementTree as ET

from td3_hpc.roads.elements import lane_id, lane_number, lanes_of, number, sections_of
from td3_hpc.roads.network import RoadIndex, entered_at

_SHAPES = frozenset({"line", "arc", "spiral", "poly3", "paramPoly3"})
_NUMBERS = {
    "arc": ("curvature",),
    "spiral": ("curvStart", "curvEnd"),
    "poly3": ("a", "b", "c", "d"),
    "paramPoly3": ("aU", "bU", "cU", "dU", "aV", "bV", "cV", "dV"),
    "elevation": ("s", "a", "b", "c", "d"),
    "laneOffset": ("s", "a", "b", "c", "d"),
    "laneSection": ("s",),
    "width": ("sOffset", "a", "b", "c", "d"),
    "roadMark": ("sOffset",),
    "signal": ("s", "t"),
    "signalReference": ("s", "t"),
    "object": ("s", "t"),
}
"""Attributes that must be finite numbers, of elements within a road."""
_GAP = 1.0  # Between the end of one geometry and the next one's start, metres.
_LONGEST = 5e6  # Of all lanes together, metres; Town04 has 150 km.
_LEFT_CONNECTIONS = 4  # Fewer may be a mistake, each of which is healed.
_REACH = 1e6  # Farther from the origin, metres, single precision no longer resolves a lane.


def find_fault(root: ET.Element) -> str | None:
    """The first fault, in words that name the road and what to do; None where there is none."""
    seen: set[str] = set()
    lanes_m = 0.0
    for road in root.findall("road"):
        name = road.get("id", "")
        if name in seen:
            return f"two roads have the id {name}; give each its own"
        seen.add(name)
        fault = _numbers_fault(road) or _shape_fault(road) or _lanes_fault(road) or _side_fault(road)
        if fault:
            return f"road {name}: {fault}"
        lanes_m += (number(road, "length") or 0.0) * max(len(list(lanes_of(section))) for section in sections_of(road))
    if not seen:
        return "it has no road"
    if lanes_m > _LONGEST:
        return f"its lanes are {lanes_m / 1000:,.0f} km long together; cut out the roads that are needed"
    return _junctions_fault(root)


def find_left_traffic(root: ET.Element) -> str | None:
    """Traffic on the left that no road's rule tells, as SUMO writes it: all connections enter their roads on the left.

    To be asked before links against the traffic are left out.
    """
    index, right, left = RoadIndex(root), 0, 0
    for connection in root.iterfind("junction/connection[@contactPoint]"):
        road = connection.get("connectingRoad", "")
        for link in connection.findall("laneLink"):
            lane = lane_number(link.get("to"))
            if lane and index.sections(road) and index.drives(road, lane):
                fits = entered_at(lane) == connection.get("contactPoint")
                right, left = right + fits, left + (not fits)
    if left < _LEFT_CONNECTIONS or right > left / 10:
        return None
    remedy = "mirror the roads (with SUMO's netconvert, leave out opendrive-output.lefthand-left)"
    return f"traffic on the left, as its junctions lead it, which the client library does not know; {remedy}"


def _numbers_fault(road: ET.Element) -> str | None:
    checked: list[tuple[ET.Element, str, tuple[str, ...]]] = [(road, "road", ("length",))]
    checked += [(item, "geometry", ("s", "x", "y", "hdg", "length")) for item in road.findall("planView/geometry")]
    unread = {item for surface in road.iter("crossSectionSurface") for item in surface.iter()}
    read = (item for item in road.iter() if item.tag in _NUMBERS and item not in unread)
    checked += [(item, item.tag, _NUMBERS[item.tag]) for item in read]
    for element, tag, names in checked:
        for name in names:
            if number(element, name) is None:
                return f"{name}={element.get(name)!r:.60} of a <{tag}> is not a finite number; correct it"
    return None


def _shape_fault(road: ET.Element) -> str | None:
    length, end = number(road, "length") or 0.0, 0.0
    if length <= 0.0:
        return "it has no length; give it one, or delete the road"
    for geometry in road.findall("planView/geometry"):
        x, y, s, extent = ((number(geometry, name) or 0.0) for name in ("x", "y", "s", "length"))
        if not any(child.tag in _SHAPES for child in geometry):
            return f"its <geometry> at s={s:g} has no shape; give it a line, arc, spiral, poly3 or paramPoly3"
        if max(abs(x), abs(y), extent) > _REACH:
            return f"its <geometry> at s={s:g} lies more than {_REACH / 1000:g} km away; move the origin to the roads"
        if extent < 0.0:
            return f"its <geometry> at s={s:g} has a negative length; correct it"
        if abs(s - end) > _GAP:
            return f"between s={end:g} and s={s:g} it has no <geometry>, or two; make each begin where the last ends"
        end = s + extent
    if length - end > _GAP:
        return f"its length is {length:g}, but its geometries end at s={end:g}; correct the length"
    return None


def _lanes_fault(road: ET.Element) -> str | None:
    sections, before = sections_of(road), -1.0
    if not sections:
        return "it has no lanes; give it a <laneSection>, or delete the road"
    for section in sections:
        s = number(section, "s") or 0.0
        if section.get("singleSide", "").strip() in ("true", "1"):
            return f"its section at s={s:g} is of one side; write sections of both sides"
        if s <= before:
            return f"its section at s={s:g} does not begin behind the one before; put the sections in order"
        before = s
        fault = _section_fault(section)
        if fault:
            return f"section at s={s:g}: {fault}"
    return None


def _section_fault(section: ET.Element) -> str | None:
    ids = [lane_id(lane) for lane in lanes_of(section)]
    if not ids:
        return "it has no lanes; give it some, or delete the section"
    numbers = sorted(found for found in ids if found is not None)
    if len(numbers) < len(ids):
        return "a lane has no number; give it an id"
    if numbers != list(range(numbers[0], numbers[-1] + 1)) or 0 not in numbers:
        return f"its lanes {', '.join(map(str, numbers))} are not numbered without gaps from the middle; renumber them"
    for side in ("left", "right"):
        if any(lane_id(lane) == 0 for lane in section.findall(f"{side}/lane")):
            return f"lane 0 stands under <{side}>; move it under <center>"
    for lane in lanes_of(section):
        if lane_id(lane) != 0 and lane.find("width") is None:
            return f"lane {lane.get('id')} has neither width nor border; give it one"
    return None


def _side_fault(road: ET.Element) -> str | None:
    if road.get("rule", "").strip().upper() == "LHT":
        return "traffic on the left (rule LHT), which the client library does not know; mirror the roads and write RHT"
    return None


def _junctions_fault(root: ET.Element) -> str | None:
    seen: set[str] = set()
    for junction in root.findall("junction"):
        name = junction.get("id", "")
        if name in seen:
            return f"two junctions have the id {name}; give each its own"
        seen.add(name)
    return None
