"""What a lane is, and what follows it: sections, roads, junctions; nothing follows a dead end."""

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.roads.lanes import LaneKey, read_lane_graph
from tests.roads.healing.test_junctions import FROM_ROAD, crossing
from tests.roads.small_roads import BOTH, back, lane, next_road, road, section, to, town


def test_a_lane_ends_where_its_section_ends():
    sections = section(0, lane(1, to(1)), lane(-1, to(-1))) + section(200, lane(1, back(1)), lane(-1, back(-1)))
    graph = read_lane_graph(town(road(1, 600.1, sections)), "x")
    assert graph.lanes[LaneKey(1, 0, -1)][:2] == (0.0, 200.0)
    assert graph.lanes[LaneKey(1, 1, 1)][:2] == (600.1, 200.0)
    assert graph.following[LaneKey(1, 0, -1)] == [LaneKey(1, 1, -1)]
    assert graph.following[LaneKey(1, 1, 1)] == [LaneKey(1, 0, 1)]


def test_nothing_follows_a_dead_end():
    graph = read_lane_graph(town(road(1, 300.1)), "x")
    assert graph.following == {LaneKey(1, 0, -1): [], LaneKey(1, 0, 1): []}


def test_lanes_that_begin_and_end_with_a_section():
    sections = section(0, "", lane(-1, to(-2))) + section(50, "", lane(-1) + lane(-2, back(-1)))
    graph = read_lane_graph(town(road(1, 100.25, sections)), "x")
    assert graph.following[LaneKey(1, 0, -1)] == [LaneKey(1, 1, -2)]


def test_through_a_junction():
    graph = read_lane_graph(crossing(FROM_ROAD, back(-1)), "x")
    assert graph.following[LaneKey(1, 0, -1)] == [LaneKey(3, 0, -1)]
    assert graph.lanes[LaneKey(3, 0, -1)].in_junction


def test_roads_that_meet_end_to_end():
    """Road 2 runs towards road 1: its left lane carries the traffic on, its right lane brings it back."""
    text = town(
        road(1, 100.25, section(0, lane(1, to(-1)), lane(-1, to(1))), next_road(2, "end")),
        road(2, 80.5, section(0, lane(1, to(-1)), lane(-1, to(1))), next_road(1, "end")),
    )
    graph = read_lane_graph(text, "x")
    assert graph.following[LaneKey(1, 0, -1)] == [LaneKey(2, 0, 1)]
    assert graph.following[LaneKey(2, 0, -1)] == [LaneKey(1, 0, 1)]


def test_a_ring_of_one_road():
    ring = road(1, 100.25, section(0, "", lane(-1, to(-1) + back(-1))), next_road(1) + FROM_ROAD)
    assert read_lane_graph(town(ring), "x").following == {LaneKey(1, 0, -1): [LaneKey(1, 0, -1)]}


def test_only_driving_lanes():
    text = town(road(1, 100.25, BOTH.replace('id="1" type="driving"', 'id="1" type="parking"')))
    assert list(read_lane_graph(text, "x").lanes) == [LaneKey(1, 0, -1)]


def test_no_opendrive():
    with pytest.raises(BadInput, match=r"^map x: "):
        read_lane_graph("", "map x")
