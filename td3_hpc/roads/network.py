"""What an OpenDRIVE text says of what follows what: a road's ends, and the lanes there."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import NamedTuple

from td3_hpc.roads.elements import fresh_ids, is_id, lane_id, lane_numbers, lanes_of, sections_of


class RoadEnd(NamedTuple):
    """What a road is linked to at its start (predecessor) or end (successor)."""

    kind: str
    """'road' or 'junction'."""
    target: str
    """Id of the road or junction."""
    contact: str
    """'start' or 'end' of the other road; empty where the file does not say."""


class RoadIndex:
    """The roads of a file by id, with their ends and the lanes at both."""

    def __init__(self, root: ET.Element) -> None:
        self._root = root
        self.roads = {road.get("id", ""): road for road in root.findall("road")}
        self.junctions = {junction.get("id", ""): junction for junction in root.findall("junction")}
        self._lanes = {
            name: [lane_numbers(section) for section in sections_of(road)] for name, road in self.roads.items()
        }

    def add_road(self, road: ET.Element) -> str:
        """Add a road to the file. Returns the id that it got."""
        name = next(fresh_ids({name for name in (*self.roads, *self.junctions) if is_id(name)}))
        road.set("id", name)
        self._root.append(road)
        self.roads[name] = road
        self._lanes[name] = [lane_numbers(section) for section in sections_of(road)]
        return name

    def sections(self, road: str) -> list[set[int]]:
        """Lane ids by section; empty for a road that is not there."""
        return self._lanes.get(road, [])

    def lanes_at(self, road: str, contact: str) -> set[int]:
        """The lanes at the 'start' or 'end' of a road."""
        sections = self.sections(road)
        if not sections:
            return set()
        return sections[0] if contact == "start" else sections[-1]

    def drives(self, road: str, lane: int) -> bool:
        """Whether cars drive on a lane of that id in some section of a road."""
        lanes = (found for section in sections_of(self.roads[road]) for found in lanes_of(section))
        return any(lane_id(found) == lane and found.get("type", "").lower() == "driving" for found in lanes)

    def section_at(self, road: str, contact: str) -> ET.Element:
        """The section at the 'start' or 'end' of a road that has some."""
        return sections_of(self.roads[road])[0 if contact == "start" else -1]

    def end(self, road: str, side: str) -> RoadEnd | None:
        """What follows at the 'predecessor' or 'successor' side; None for nothing."""
        link = self.roads[road].find(f"link/{side}")
        if link is None:
            return None
        return RoadEnd(link.get("elementType", "road"), link.get("elementId", ""), link.get("contactPoint", ""))


def entered_at(lane: int) -> str:
    """Where traffic enters a lane, which drives on the right: those on the right at the road's start."""
    return "start" if lane < 0 else "end"


def side_at(contact: str) -> str:
    """The link of a road, or of its lanes, that tells what lies beyond its 'start' or 'end'."""
    return "predecessor" if contact == "start" else "successor"


def lane_link(lane: ET.Element, side: str) -> ET.Element | None:
    """A lane's 'predecessor' or 'successor'."""
    return lane.find(f"link/{side}")


def add_lane_link(lane: ET.Element, side: str, target: int) -> None:
    """Give a lane a 'predecessor' or 'successor'."""
    link = lane.find("link")
    link = ET.SubElement(lane, "link") if link is None else link
    ET.SubElement(link, side, {"id": str(target)})


def leading_through(index: RoadIndex, junction: str, road: str) -> Iterator[tuple[int, str, int]]:
    """Lanes of a road that lead into a junction, with the connecting roads' ids and lanes that they lead to.

    As the client library sees it: by the links of the connecting roads and of their lanes, whatever a <connection> says
    of lanes (`MapBuilder::GetJunctionLanes`).
    """
    for name in dict.fromkeys(connection.get("connectingRoad", "") for connection in index.junctions[junction]):
        for contact in ("start", "end") if index.sections(name) else ():
            end, side = index.end(name, side_at(contact)), side_at(contact)
            if end is None or (end.kind, end.target) != ("road", road):
                continue
            for lane in lanes_of(index.section_at(name, contact)):
                link, found = lane_link(lane, side), lane_id(lane)
                source = lane_id(link) if link is not None else None
                if source and found and entered_at(found) == contact:
                    yield source, name, found
