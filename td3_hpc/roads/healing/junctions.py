"""Junctions: connections of what is there, told as the client library wants them, and direct junctions.

The client library leads traffic through a connection only where the connecting road, and its lane, say in turn that
they come from the incoming ones. It does not know direct junctions (OpenDRIVE 1.7), where roads meet without connecting
ones.
"""

import xml.etree.ElementTree as ET
from collections import Counter
from typing import NamedTuple

from td3_hpc.roads.elements import lane_id, lane_number, lanes_of
from td3_hpc.roads.healing.stubs import stub_before
from td3_hpc.roads.network import RoadIndex, add_lane_link, entered_at, lane_link, side_at
from td3_hpc.roads.notes import Notes


def heal_junction(junction: ET.Element, index: RoadIndex, notes: Notes) -> None:
    """Connections of roads and lanes that are there, told on both sides."""
    place = f"junction {junction.get('id')}"
    if junction.get("type") == "virtual":
        for connection in junction.findall("connection"):
            junction.remove(connection)
            notes.add("virtual junctions, which cross a road without interrupting it, are left out", place)
    if any(connection.get("linkedRoad") is not None for connection in junction.findall("connection")):
        _heal_direct(junction, index, notes, place)
    connecting: set[str] = set()
    for connection in junction.findall("connection"):
        ends = [connection.get(name, "") for name in ("incomingRoad", "connectingRoad")]
        if not all(index.sections(end) for end in ends):
            junction.remove(connection)
            notes.add(
                "connections of roads that are not there are left out", f"{place}, road {ends[0]} to road {ends[1]}"
            )
            continue
        _drop_lane_links(connection, index, notes, place)
        if not connection.findall("laneLink"):
            _derive_lane_links(connection, index, notes, place)
        _tell_back(connection, index, notes, place)
        if not connection.findall("laneLink"):
            junction.remove(connection)
            notes.add(
                "connections that lead from no lane to another are left out",
                f"{place}, road {ends[0]} to road {ends[1]}",
            )
        elif ends[1] in connecting:
            # The client library would lead its lanes there once for each, a fork on which its Traffic Manager crashes.
            junction.remove(connection)
            notes.add(
                "connecting roads named twice are named once, and lead as their own links say",
                f"{place}, road {ends[1]}",
            )
        connecting.add(ends[1])


def _derive_lane_links(connection: ET.Element, index: RoadIndex, notes: Notes, place: str) -> None:
    """A connection without lane links has those that the connecting road's own lanes tell."""
    incoming, contact = connection.get("incomingRoad", ""), connection.get("contactPoint", "start")
    for lane in lanes_of(index.section_at(connection.get("connectingRoad", ""), contact)):
        link, found = lane_link(lane, side_at(contact)), lane_id(lane)
        known = link is not None and any(lane_id(link) in lanes for lanes in index.sections(incoming))
        if link is not None and known and found and entered_at(found) == contact:
            ET.SubElement(connection, "laneLink", {"from": link.get("id", ""), "to": str(found)})
            notes.add("connections without lane links have those of their roads' lanes", place)


def _drop_lane_links(connection: ET.Element, index: RoadIndex, notes: Notes, place: str) -> None:
    incoming, connecting = connection.get("incomingRoad", ""), connection.get("connectingRoad", "")
    contact = connection.get("contactPoint")
    for link in connection.findall("laneLink"):
        start, end = _lanes(link)
        what = f"{place}, road {incoming} lane {link.get('from')} to road {connecting} lane {link.get('to')}"
        if not any(start in lanes for lanes in index.sections(incoming)):
            kind = "lane links of lanes that are not there are left out"
        elif end == 0 or end not in index.lanes_at(connecting, entered_at(end)):
            kind = "lane links to lanes that are not there are left out"
        elif contact in ("start", "end") and entered_at(end) != contact and index.drives(connecting, end):
            kind = "lane links against the traffic are left out"
        else:
            continue
        connection.remove(link)
        notes.add(kind, what)


def _tell_back(connection: ET.Element, index: RoadIndex, notes: Notes, place: str) -> None:
    """Where the connecting road and its lanes do not say what they come from, they do so now."""
    incoming, connecting = connection.get("incomingRoad", ""), connection.get("connectingRoad", "")
    for link in connection.findall("laneLink"):
        source, target = _lanes(link)
        contact = entered_at(target)
        told = index.end(connecting, side_at(contact))
        if told is None:
            _link_road(index, connecting, contact, incoming, "")
        lanes = {lane_id(lane): lane for lane in lanes_of(index.section_at(connecting, contact))}
        if lane_link(lanes[target], side_at(contact)) is None and index.drives(connecting, target):
            add_lane_link(lanes[target], side_at(contact), source)
        elif told is not None:
            continue
        notes.add("links within junctions told on one side only are told on both", f"{place}, road {connecting}")


def _lanes(link: ET.Element) -> tuple[int, int]:
    """The lanes that a <laneLink> leads from and to; 0 for what is none."""
    return lane_number(link.get("from")) or 0, lane_number(link.get("to")) or 0


def _link_road(index: RoadIndex, road: str, contact: str, target: str, target_contact: str) -> None:
    """What lies beyond a road's end is another road."""
    element = index.roads[road]
    links = element.find("link")
    links = ET.SubElement(element, "link") if links is None else links
    for old in links.findall(side_at(contact)):
        links.remove(old)
    point = {"contactPoint": target_contact} if target_contact else {}
    ET.SubElement(links, side_at(contact), {"elementType": "road", "elementId": target, **point})


# ---- direct junctions -----------------------------------------------------------------------------------------------
class _Meeting(NamedTuple):
    """Two roads that meet in a direct junction: the one that all others meet there, and one of those."""

    hub: str
    hub_contact: str
    spoke: str
    spoke_contact: str
    lanes: list[tuple[int, int]]
    """Of hub and spoke."""


def _heal_direct(junction: ET.Element, index: RoadIndex, notes: Notes, place: str) -> None:
    """One road meets several: they are linked to it as to any road, and it to them by connections."""
    connections = junction.findall("connection")
    meetings = _meetings(junction, connections, index)
    for connection in connections:
        junction.remove(connection)
    junction.attrib.pop("type", None)
    if len({meeting.hub for meeting in meetings}) != 1:
        notes.add("direct junctions in which several roads meet several lead nowhere", place)
        return
    notes.add("direct junctions are written as common ones", place)
    onward = [[pair for pair in meeting.lanes if entered_at(pair[0]) != meeting.hub_contact] for meeting in meetings]
    part = max(Counter(lane for pairs in onward for lane, _ in pairs).values(), default=0) > 1
    for count, (meeting, pairs) in enumerate(zip(meetings, onward)):
        hub, hub_contact, spoke, spoke_contact, _ = meeting
        _link_road(index, spoke, spoke_contact, hub, hub_contact)
        lanes = {lane_id(lane): lane for lane in lanes_of(index.section_at(spoke, spoke_contact))}
        for hub_lane, spoke_lane in meeting.lanes:
            lane = lanes.get(spoke_lane)
            if lane is not None and lane_link(lane, side_at(spoke_contact)) is None:
                add_lane_link(lane, side_at(spoke_contact), hub_lane)
        if not pairs:
            continue
        entered, contact = spoke, spoke_contact
        if part and "start" in (hub_contact, spoke_contact):
            notes.add("where a lane parts in a direct junction, each way begins with a road of 2 mm", place)
            entered, contact, pairs = _add_way(junction, index, meeting, pairs)
        attributes = {"id": str(count), "incomingRoad": hub, "connectingRoad": entered, "contactPoint": contact}
        connection = ET.SubElement(junction, "connection", attributes)
        for start, end in pairs:
            ET.SubElement(connection, "laneLink", {"from": str(start), "to": str(end)})


def _add_way(
    junction: ET.Element, index: RoadIndex, meeting: _Meeting, pairs: list[tuple[int, int]]
) -> tuple[str, str, list[tuple[int, int]]]:
    """A road within the junction from the hub to a spoke, too short to be seen, its lane pairs of hub and spoke.

    The client's Traffic Manager crashes where a lane parts onto roads outside junctions. Returns the road's id, where
    traffic enters it, and the pairs of the hub's lanes and its own.
    """
    hub, hub_contact, spoke, spoke_contact, _ = meeting
    before_spoke = spoke_contact == "start"  # Else before the start of the hub, whose lanes it has then.
    base, other, contact = (spoke, hub, hub_contact) if before_spoke else (hub, spoke, spoke_contact)
    links = {base_lane: other_lane for other_lane, base_lane in pairs} if before_spoke else dict(pairs)
    road = stub_before(index.roads[base], links)
    road.set("junction", junction.get("id", ""))
    name = index.add_road(road)
    _link_road(index, name, "start", other, contact)
    _link_road(index, name, "end", base, "start")
    return name, *(("start", pairs) if before_spoke else ("end", [(lane, lane) for lane, _ in pairs]))


def _meetings(junction: ET.Element, connections: list[ET.Element], index: RoadIndex) -> list[_Meeting]:
    found = []
    incoming = {connection.get("incomingRoad") for connection in connections}
    for connection in connections:
        here, there = connection.get("incomingRoad", ""), connection.get("linkedRoad", "")
        if not index.sections(here) or not index.sections(there):
            continue
        end = _contact_with(index, here, junction.get("id", ""))
        start = connection.get("contactPoint", "start")
        pairs = [_lanes(link) for link in connection.findall("laneLink")]
        if len(incoming) == 1:
            found.append(_Meeting(here, end, there, start, pairs))
        else:
            found.append(_Meeting(there, start, here, end, [(to, of) for of, to in pairs]))
    return found


def _contact_with(index: RoadIndex, road: str, junction: str) -> str:
    """The end at which a road leads into a junction."""
    start = index.end(road, "predecessor")
    return "start" if start is not None and (start.kind, start.target) == ("junction", junction) else "end"
