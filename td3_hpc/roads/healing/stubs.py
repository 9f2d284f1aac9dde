"""Roads too short to be seen, where the client library needs one between two roads that meet."""

import copy
import math
import xml.etree.ElementTree as ET

from td3_hpc.roads.elements import lane_id, number, sections_of, written
from td3_hpc.roads.network import add_lane_link

_LENGTH = 2e-3  # m


def stub_before(road: ET.Element, links: dict[int, int]) -> ET.Element:
    """A straight road that ends where another one starts, as high and as wide, without an id and links of its own.

    Args:
        road: the one that it leads to; it has a course and lanes.
        links: the lanes that are driven on, by their numbers in the road's first section, each with the lane that it
            is linked to at its start.
    """
    stub = ET.Element("road", {"name": "", "length": written(_LENGTH), "rule": "RHT"})
    ET.SubElement(stub, "link")
    stub.extend(_at_start(kind) for kind in road.findall("type")[:1])
    plan = ET.SubElement(stub, "planView")
    plan.append(_geometry(road))
    profile = ET.SubElement(stub, "elevationProfile")
    profile.extend(_at_start(rise) for rise in road.findall("elevationProfile/elevation")[:1])
    lanes = ET.SubElement(stub, "lanes")
    lanes.extend(_at_start(offset) for offset in road.findall("lanes/laneOffset")[:1])
    section = ET.SubElement(lanes, "laneSection", {"s": "0"})
    for side in sections_of(road)[0]:
        if side.tag in ("left", "center", "right"):
            ET.SubElement(section, side.tag).extend(_lane(lane, links) for lane in side.findall("lane"))
    return stub


def _geometry(road: ET.Element) -> ET.Element:
    first = road.find("planView/geometry")
    x, y, heading = (number(first, name) or 0.0 if first is not None else 0.0 for name in ("x", "y", "hdg"))
    place = {"x": x - _LENGTH * math.cos(heading), "y": y - _LENGTH * math.sin(heading), "hdg": heading}
    values = {"s": 0.0, **place, "length": _LENGTH}
    geometry = ET.Element("geometry", {name: written(value) for name, value in values.items()})
    ET.SubElement(geometry, "line")
    return geometry


def _lane(lane: ET.Element, links: dict[int, int]) -> ET.Element:
    found = lane_id(lane) or 0
    kind = lane.get("type", "none") if found in links or lane.get("type") != "driving" else "none"
    made = ET.Element("lane", {"id": str(found), "type": kind, "level": lane.get("level", "false")})
    if found in links:
        add_lane_link(made, "predecessor", links[found])
    if found:
        add_lane_link(made, "successor", found)
    for tag in ("width", "roadMark", "speed"):
        made.extend(_at_start(item) for item in lane.findall(tag)[:1])
    return made


def _at_start(element: ET.Element) -> ET.Element:
    """A copy that holds from its road's start on."""
    made = copy.deepcopy(element)
    for name in ("s", "sOffset"):
        if name in made.attrib:
            made.set(name, "0")
    return made
