"""The driving lanes of an OpenDRIVE text and what follows each: the graph that routes are planned on.

A lane is of one road and one lane section, and ends where that section ends. The client library's own answers are of no
use here: `Waypoint.next_until_lane_end` goes on to the road's end (carla issues 5240, 2511), and `Map.get_topology`
lets a lane without successor follow itself (carla PR 5378) and leaves out some that end with their road (carla issues
4680, 7265).
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import NamedTuple

from td3_hpc.roads.elements import is_id, lane_id, lanes_of, number, sections_of
from td3_hpc.roads.healing.links import heal_links
from td3_hpc.roads.healing.naming import heal_names
from td3_hpc.roads.network import RoadIndex, entered_at, lane_link, leading_through
from td3_hpc.roads.notes import Notes
from td3_hpc.roads.reading import parse_opendrive


class LaneKey(NamedTuple):
    """A lane, as the client library numbers them; sections count from 0 in the direction of the road."""

    road: int
    section: int
    lane: int


class LaneSpan(NamedTuple):
    """Where a lane lies on its road, in the direction of traffic, which drives on the right."""

    start: float
    """Distance along the road where traffic enters it, metres; above `end` for lanes on the left."""
    end: float
    in_junction: bool


class LaneGraph(NamedTuple):
    """Driving lanes and which follow which."""

    lanes: dict[LaneKey, LaneSpan]
    following: dict[LaneKey, list[LaneKey]]
    """In the order of their keys; empty for a dead end."""


def read_lane_graph(text: str, source: str) -> LaneGraph:
    """The graph of an OpenDRIVE text. Raises BadInput, naming `source`, for text that is none."""
    root = parse_opendrive(text, source)
    notes = Notes()  # What is healed here has been told by whoever serves the text.
    heal_names(root, notes)
    heal_links(root, notes)
    return lane_graph(root)


def lane_graph(root: ET.Element) -> LaneGraph:
    """The graph of healed OpenDRIVE."""
    lanes = {key: span for road in root.findall("road") for key, span in _lanes(road)}
    index = RoadIndex(root)
    following: dict[LaneKey, set[LaneKey]] = {key: set() for key in lanes}
    for road in root.findall("road"):
        for lane, after in _links(index, road):
            if lane in lanes and after in lanes:
                following[lane].add(after)
    return LaneGraph(lanes, {key: sorted(after) for key, after in following.items()})


def _lanes(road: ET.Element) -> Iterator[tuple[LaneKey, LaneSpan]]:
    length, sections = number(road, "length"), sections_of(road)
    starts = [number(section, "s") for section in sections]
    if length is None or not is_id(road.get("id")) or any(start is None for start in starts):
        return
    limits = [start for start in starts if start is not None] + [length]
    in_junction = road.get("junction") != "-1"
    for count, section in enumerate(sections):
        low, high = max(limits[count], 0.0), min(limits[count + 1], length)
        for lane in lanes_of(section):
            found = lane_id(lane)
            if found and high > low and lane.get("type", "").lower() == "driving":
                span = (low, high) if found < 0 else (high, low)
                yield LaneKey(int(road.attrib["id"]), count, found), LaneSpan(*span, in_junction)


def _links(index: RoadIndex, road: ET.Element) -> Iterator[tuple[LaneKey, LaneKey]]:
    """What follows each lane of a road: the next section's lane, the next road's, or those of a junction."""
    name, sections = road.get("id", ""), sections_of(road)
    ends = {side: index.end(name, side) for side in ("predecessor", "successor")}
    through = {
        side: list(leading_through(index, end.target, name))
        for side, end in ends.items()
        if end is not None and end.kind == "junction"
    }
    for count, section in enumerate(sections):
        for lane in lanes_of(section):
            found = lane_id(lane)
            if not found:
                continue
            side, step = ("successor", 1) if found < 0 else ("predecessor", -1)
            key = LaneKey(int(name), count, found)
            link = lane_link(lane, side)
            target = lane_id(link) if link is not None else None
            end = ends[side]
            if 0 <= count + step < len(sections):
                if target:
                    yield key, LaneKey(int(name), count + step, target)
            elif side in through:
                for source, onto, after in through[side]:
                    if source == found:
                        yield key, _entered(index, onto, after)
            elif end is not None and target:
                yield key, _entered(index, end.target, target)


def _entered(index: RoadIndex, road: str, lane: int) -> LaneKey:
    section = 0 if entered_at(lane) == "start" else len(index.sections(road)) - 1
    return LaneKey(int(road), section, lane)
