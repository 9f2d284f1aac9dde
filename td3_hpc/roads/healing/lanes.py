"""Layers, lane sections, borders, widths and markings that the client library needs and does not find."""

import math
import xml.etree.ElementTree as ET
from typing import NamedTuple

from td3_hpc.roads.elements import lane_id, lane_numbers, lanes_of, number, sections_of, written
from td3_hpc.roads.notes import Notes

#: Types of lanes for all motor vehicles; the client library, and its Traffic Manager, drive on the type driving alone.
_DRIVEN = frozenset({"entry", "exit", "onramp", "offramp", "connectingramp", "sliplane", "mwyentry", "mwyexit"})
_SHORTEST = 1e-3  # Of a lane section, m.


def heal_layers(root: ET.Element, notes: Notes) -> None:
    """One set of lanes for each road, and links between lanes of these: the permanent ones (OpenDRIVE 1.9)."""
    for road in root.findall("road"):
        layers = road.findall("lanes")
        permanent = [layer for layer in layers if _is_permanent(layer)]
        left_out = [(road, layer) for layer in layers if layer is not (permanent or layers)[0]]
        for link in road.iterfind("lanes/laneSection/*/lane/link"):
            for onward in (link.findall("predecessor"), link.findall("successor")):
                if any(_is_permanent(other) for other in onward):
                    left_out += [(link, other) for other in onward if not _is_permanent(other)]
        for parent, layer in left_out:
            parent.remove(layer)
            kind = "layers of lanes beside the permanent one, as of roadworks, are left out"
            notes.add(kind, f"road {road.get('id')}")


def _is_permanent(element: ET.Element) -> bool:
    return element.get("layer", "permanent") == "permanent"


def heal_lanes(root: ET.Element, notes: Notes) -> None:
    """Every road covered with sections, every lane with a width and a marking from its start on."""
    for road in root.findall("road"):
        place = f"road {road.get('id')}"
        _order_sections(road, notes, place)
        for section in sections_of(road):
            _add_centre(section, notes, place)
            _move_to_sides(section, notes, place)
            _borders_to_widths(section, notes, place)
            for lane in lanes_of(section):
                if lane.get("type", "").lower() in _DRIVEN:
                    notes.add(
                        "lanes to enter and leave roads by have the type driving", f"{place} lane {lane.get('id')}"
                    )
                    lane.set("type", "driving")
                if lane_id(lane) != 0:
                    _tell_direction(lane, notes, f"{place} lane {lane.get('id')}")
                    _add_width(lane, notes, f"{place} lane {lane.get('id')}")
                    _begin_width(lane, notes, f"{place} lane {lane.get('id')}")
                _begin_marking(lane, notes, f"{place} lane {lane.get('id')}")


def _order_sections(road: ET.Element, notes: Notes, place: str) -> None:
    """The first section at the road's start; none that begins where the road ends: its links would be lost with it."""
    lanes, sections, length = road.find("lanes"), sections_of(road), number(road, "length")
    starts = [number(section, "s") for section in sections]
    if lanes is None or not sections or length is None or any(start is None for start in starts):
        return
    if 0.0 < (starts[0] or 0.0) < length:
        sections[0].set("s", "0")
        notes.add("the first lane section begins where the road begins", place)
    end = length
    for section, start in reversed(list(zip(sections[1:], starts[1:]))):
        if (start or 0.0) <= end - _SHORTEST:
            break
        end -= max(2.0 * _SHORTEST, 1e-6 * length)  # Single precision knows no shorter one.
        if end > _SHORTEST:
            section.set("s", written(end))
            notes.add("lane sections without a length at a road's end are 2 mm long", place)
        else:
            lanes.remove(section)
            notes.add("lane sections without a length are left out", place)


def _add_centre(section: ET.Element, notes: Notes, place: str) -> None:
    """Lane 0, which has no width, is where the client library looks for the innermost lanes' inner markings."""
    if lane_numbers(section) and 0 not in lane_numbers(section):
        centre = section.find("center")
        centre = ET.SubElement(section, "center") if centre is None else centre
        ET.SubElement(centre, "lane", {"id": "0", "type": "none", "level": "false"})
        notes.add("sections without a middle lane got one", place)


def _move_to_sides(section: ET.Element, notes: Notes, place: str) -> None:
    """Lanes on the side that their ids say, which is all that the client library reads.

    SUMO writes the ways through junctions of left-hand traffic with negative ids under <left>.
    """
    for tag, sign, other in (("left", 1, "right"), ("right", -1, "left")):
        for side in section.findall(tag):
            for lane in [lane for lane in side.findall("lane") if (lane_id(lane) or 0) * sign < 0]:
                there = section.find(other)
                there = ET.SubElement(section, other) if there is None else there
                side.remove(lane)
                there.append(lane)
                notes.add("lanes stand on the side that their ids say", f"{place} lane {lane.get('id')}")


class _Cubic(NamedTuple):
    """a + b ds + c ds^2 + d ds^3 from an offset on."""

    offset: float
    a: float
    b: float
    c: float
    d: float

    def at(self, offset: float) -> "_Cubic":
        """The same curve, from a later offset on."""
        t = offset - self.offset
        return _Cubic(
            offset,
            self.a + t * (self.b + t * (self.c + t * self.d)),
            self.b + t * (2.0 * self.c + 3.0 * t * self.d),
            self.c + 3.0 * t * self.d,
            self.d,
        )


def _borders_to_widths(section: ET.Element, notes: Notes, place: str) -> None:
    """Lanes told by their borders, which the client library does not read, get the widths between them."""
    lanes = {found: lane for lane in lanes_of(section) if (found := lane_id(lane)) is not None}
    for side in (1, -1):
        inner: list[_Cubic] = [_Cubic(0.0, 0.0, 0.0, 0.0, 0.0)]
        ids = sorted((found for found in lanes if found * side > 0), key=abs)
        for found in ids:
            lane = lanes[found]
            border = _curves(lane, "border", float(side))
            if lane.find("width") is None and border:
                _write_widths(lane, _difference(border, inner))
                notes.add("borders of lanes are written as widths", f"{place} lane {found}")
            elif lane.find("width") is not None:
                border = _difference(inner, _curves(lane, "width", -1.0))
            inner = border or inner


def _curves(lane: ET.Element, tag: str, sign: float) -> list[_Cubic]:
    found = []
    for element in lane.findall(tag):
        values = [number(element, name) for name in ("sOffset", "a", "b", "c", "d")]
        if any(value is None for value in values):
            return []
        offset, *factors = (value or 0.0 for value in values)
        found.append(_Cubic(offset, *(sign * factor for factor in factors)))
    return sorted(found)


def _difference(left: list[_Cubic], right: list[_Cubic]) -> list[_Cubic]:
    """left - right, piece by piece; a curve holds before its first offset, too."""
    if not left or not right:
        return left
    offsets = sorted({curve.offset for curve in (*left, *right)})
    pieces = []
    for offset in offsets:
        one, other = (_valid(curves, offset).at(offset) for curves in (left, right))
        pieces.append(_Cubic(offset, one.a - other.a, one.b - other.b, one.c - other.c, one.d - other.d))
    return pieces


def _valid(curves: list[_Cubic], offset: float) -> _Cubic:
    return next((curve for curve in reversed(curves) if curve.offset <= offset), curves[0])


def _write_widths(lane: ET.Element, widths: list[_Cubic]) -> None:
    for position, width in enumerate(widths):
        names = ("sOffset", "a", "b", "c", "d")
        lane.insert(position, ET.Element("width", {name: written(value) for name, value in zip(names, width)}))


def _tell_direction(lane: ET.Element, notes: Notes, place: str) -> None:
    """The client library drives on every lane as its side says: nobody must drive on one against it (OpenDRIVE 1.8)."""
    direction = lane.get("direction")
    if lane.get("type", "").lower() != "driving" or direction not in ("reversed", "both"):
        return
    del lane.attrib["direction"]
    if direction == "both":
        notes.add("lanes for both directions are driven on in that of their side", place)
    else:
        lane.set("type", "restricted")
        notes.add("lanes against the direction of their side have the type restricted, and nobody drives there", place)


def _add_width(lane: ET.Element, notes: Notes, place: str) -> None:
    if lane.get("type", "").lower() != "driving" and lane.find("width") is None and lane.find("border") is None:
        lane.insert(0, ET.Element("width", {"sOffset": "0", "a": "0", "b": "0", "c": "0", "d": "0"}))
        notes.add("lanes that nobody drives on and that have no width have the width 0", place)


def _begin_width(lane: ET.Element, notes: Notes, place: str) -> None:
    widths = lane.findall("width")
    starts = [number(width, "sOffset") for width in widths]
    if not widths or any(start is None for start in starts):
        return
    first = min(range(len(widths)), key=lambda index: starts[index] or 0.0)
    if (starts[first] or 0.0) > 0.0:
        begin = number(widths[first], "a") or 0.0
        lane.insert(0, ET.Element("width", {"sOffset": "0", "a": written(begin), "b": "0", "c": "0", "d": "0"}))
        notes.add("lanes whose first width begins late have it from their start", place)


def _begin_marking(lane: ET.Element, notes: Notes, place: str) -> None:
    """A lane without a marking at some place ends the client's process where a car crosses its border there.

    `Map::CalculateCrossedLanes` does not ask whether there is a marking (carla issue 9153, PR 9591).
    """
    offsets = [number(mark, "sOffset") for mark in lane.findall("roadMark")]
    if any(offset is None for offset in offsets):
        return
    if min((offset for offset in offsets if offset is not None), default=math.inf) > 0.0:
        mark = {"sOffset": "0", "type": "none", "weight": "standard", "color": "standard", "width": "0"}
        index = next((i for i, child in enumerate(lane) if child.tag == "roadMark"), len(lane))
        lane.insert(index, ET.Element("roadMark", {**mark, "laneChange": "none"}))
        notes.add("lanes without a marking got one of type none", place)
