"""What follows what: links to what is not there, and links that are told on one side only.

The client library follows a link to a lane that is not there through an empty pointer, and enters every lane at the
end where traffic on the right enters it, whatever `contactPoint` says (`MapBuilder::GetEdgeLanePointer`).
"""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from td3_hpc.roads.elements import is_id, lane_id, lanes_of, sections_of
from td3_hpc.roads.healing.junctions import heal_junction
from td3_hpc.roads.network import RoadEnd, RoadIndex, add_lane_link, entered_at, lane_link, leading_through
from td3_hpc.roads.notes import Notes


def heal_links(root: ET.Element, notes: Notes) -> None:
    """Links only to what is there, and on both sides; direct junctions as the client library knows junctions."""
    index = RoadIndex(root)
    _heal_road_links(index, notes)
    _add_missing_junctions(root, index, notes)
    for junction in root.findall("junction"):
        heal_junction(junction, index, notes)
    _heal_nested_junctions(index, notes)
    for road in index.roads:
        _link_sections(index, road, notes)
        _add_lane_links(index, road, notes)
    for road in index.roads:
        _drop_lane_links(index, road, notes)


def _heal_road_links(index: RoadIndex, notes: Notes) -> None:
    for name, road in index.roads.items():
        for link in list(road.iterfind("link/*")):
            if link.tag not in ("predecessor", "successor"):
                continue
            place = f"road {name} to {link.get('elementType', 'road')} {link.get('elementId')}"
            known = index.junctions if link.get("elementType") == "junction" else index.roads
            if link.get("elementS") is not None:
                kind = "links into the middle of a road, which the client library takes for its end, are left out"
            elif link.get("elementId") not in known:
                kind = "links to roads and junctions that are not there are left out"
            else:
                continue
            parent = road.find("link")
            if parent is not None:
                parent.remove(link)
            notes.add(kind, place)


def _add_missing_junctions(root: ET.Element, index: RoadIndex, notes: Notes) -> None:
    for name, road in index.roads.items():
        junction = road.get("junction", "-1")
        if junction != "-1" and junction not in index.junctions and is_id(junction):
            index.junctions[junction] = ET.SubElement(root, "junction", {"id": junction, "name": ""})
            notes.add("junctions that roads name and that are not there are empty", f"junction {junction}")
        elif junction != "-1" and junction not in index.junctions:
            road.set("junction", "-1")
            notes.add("roads of junctions that are not there are outside junctions", f"road {name}")


def _heal_nested_junctions(index: RoadIndex, notes: Notes) -> None:
    """A way through one junction from which a lane parts into several in another is a road between the two.

    The client's Traffic Manager crashes where ways part within a junction (`InMemoryMap::SetUpRoadOption`).
    """
    for name, road in index.roads.items():
        if road.get("junction", "-1") == "-1":
            continue
        onward = Counter(
            lane
            for side in ("predecessor", "successor")
            if (end := index.end(name, side)) is not None and end.kind == "junction" and end.target in index.junctions
            for lane, _, _ in leading_through(index, end.target, name)
        )
        if max(onward.values(), default=0) > 1:
            road.set("junction", "-1")
            notes.add("ways through a junction that part in another are roads between the two", f"road {name}")


# ---- lanes ----------------------------------------------------------------------------------------------------------
def _link_sections(index: RoadIndex, name: str, notes: Notes) -> None:
    """Where no lane of a road tells how it goes on in the next section, those go on that have the same id in both."""
    sections = sections_of(index.roads[name])
    for before, after in pairwise(sections):
        told = [lane_link(lane, "successor") for lane in lanes_of(before)]
        told += [lane_link(lane, "predecessor") for lane in lanes_of(after)]
        if any(link is not None for link in told):
            continue
        onward = {lane_id(lane): lane for lane in lanes_of(after)}
        for lane in lanes_of(before):
            found = lane_id(lane)
            if found and found in onward:
                add_lane_link(lane, "successor", found)
                add_lane_link(onward[found], "predecessor", found)
                notes.add(
                    "lanes that tell no link to the next section go on where they have the same id", f"road {name}"
                )


def _add_lane_links(index: RoadIndex, name: str, notes: Notes) -> None:
    """The link onwards of a lane that tells none, where exactly one lane there says that it comes from this one."""
    for lane, tag, following, back in _transitions(index, name):
        found = lane_id(lane)
        if found is None or found == 0 or lane_link(lane, tag) is not None:
            continue
        said = [other for other in lanes_of(following) if _links_to(other, back, found)]
        onward = [lane_id(other) or 0 for other in said]
        if len(onward) == 1 and onward[0]:
            add_lane_link(lane, tag, onward[0])
            notes.add("lane links told on one side only are told on both", f"road {name} lane {found}")


def _links_to(lane: ET.Element, tag: str, target: int) -> bool:
    link = lane_link(lane, tag)
    return link is not None and lane_id(link) == target


def _transitions(index: RoadIndex, name: str) -> Iterator[tuple[ET.Element, str, ET.Element, str]]:
    """Every lane in the direction of its traffic: the link onwards, the section it leads to, the link back from there.

    Into junctions there is none: their connections tell.
    """
    sections = sections_of(index.roads[name])
    for number, section in enumerate(sections):
        for lane in lanes_of(section):
            found = lane_id(lane) or 0
            tag, back, step = ("successor", "predecessor", 1) if found < 0 else ("predecessor", "successor", -1)
            if 0 <= number + step < len(sections):
                yield lane, tag, sections[number + step], back
                continue
            end = index.end(name, tag)
            if end is None or end.kind == "junction" or end.target not in index.roads:
                continue
            other = sections_of(index.roads[end.target])
            if other and end.contact == "start":
                yield lane, tag, other[0], "predecessor"
            elif other and end.contact == "end":
                yield lane, tag, other[-1], "successor"


def _drop_lane_links(index: RoadIndex, name: str, notes: Notes) -> None:
    """Links onwards to lanes that are not where the client library enters them; it follows no others."""
    sections = index.sections(name)
    for number, section in enumerate(sections_of(index.roads[name])):
        for lane in lanes_of(section):
            found = lane_id(lane) or 0
            tag, step = ("predecessor", -1) if found > 0 else ("successor", 1)
            link, parent = lane_link(lane, tag), lane.find("link")
            if link is None or parent is None:
                continue
            target = lane_id(link)
            if 0 <= number + step < len(sections):
                there = target in sections[number + step]
            else:
                there = _there(index, index.end(name, tag), found, target)
            if not there:
                parent.remove(link)
                notes.add("links to lanes that are not there are left out", f"road {name} lane {found}")


def _there(index: RoadIndex, end: RoadEnd | None, lane: int, target: int | None) -> bool:
    """Whether a link at a road's end leads to a lane; into a junction it is not followed, and stays."""
    if end is None or target is None:
        return False
    if end.kind == "junction":
        return True
    if lane == 0 or target == 0:
        return lane == target
    entry = entered_at(target)
    if end.contact in ("start", "end") and end.contact != entry and index.drives(end.target, target):
        return False
    return target in index.lanes_at(end.target, entry)
