"""Namespaces, and ids that the client library cannot read or takes for each other.

The client library reads ids as numbers, and takes the junction that a road leads into for a road where one has the
same id (`MapBuilder::GetLaneNext`; carla issue 2511 is one of its faces).
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from td3_hpc.roads.elements import fresh_ids, is_id
from td3_hpc.roads.notes import Notes

_ROAD_REFERENCES = ("incomingRoad", "connectingRoad", "linkedRoad", "mainRoad")


def heal_names(root: ET.Element, notes: Notes) -> None:
    """Tags without namespaces; every road and junction with a number of its own."""
    _strip_namespaces(root, notes)
    for road in root.findall("road"):
        if not road.get("junction"):
            road.set("junction", "-1")
            notes.add("roads without an attribute junction are outside junctions", f"road {road.get('id')}")
    _renumber(root, notes)


def _strip_namespaces(root: ET.Element, notes: Notes) -> None:
    if root.tag != "OpenDRIVE":
        notes.add("namespaces are left out", f"<{root.tag}>")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]


def _renumber(root: ET.Element, notes: Notes) -> None:
    """New ids for roads and junctions, where two of a kind do not share one: that is left for `find_fault`."""
    roads = [road.get("id", "") for road in root.findall("road")]
    junctions = [junction.get("id", "") for junction in root.findall("junction")]
    taken = {name for name in (*roads, *junctions) if is_id(name)}
    fresh = fresh_ids(taken)
    new_roads = {name: next(fresh) for name in dict.fromkeys(roads) if not is_id(name)}
    clash = set(roads) & set(junctions)
    new_junctions = {name: next(fresh) for name in dict.fromkeys(junctions) if not is_id(name) or name in clash}
    _rename(root.findall("road"), "id", new_roads)
    _rename(root.findall("junction"), "id", new_junctions)
    _rename(root.findall("road"), "junction", new_junctions)
    for link in root.iterfind("road/link/*"):
        _rename([link], "elementId", new_junctions if link.get("elementType") == "junction" else new_roads)
    for reference in _ROAD_REFERENCES:
        _rename(root.iter("connection"), reference, new_roads)
    for kind, new in (("road", new_roads), ("junction", new_junctions)):
        for old, name in new.items():
            notes.add(f"{kind} ids that the client library cannot read are new numbers", f"{kind} {old!r} is {name}")


def _rename(elements: Iterable[ET.Element], attribute: str, names: dict[str, str]) -> None:
    for element in elements:
        name = element.get(attribute)
        if name in names:
            element.set(attribute, names[name])
