"""Walking the client library's lanes: to their own ends, whatever their length and whatever follows."""

import itertools

import carla
import pytest

from td3_hpc.roads.client_map import ClientLanes, key_of
from td3_hpc.roads.lanes import LaneKey, read_lane_graph
from tests.roads.small_roads import back, lane, next_road, road, section, to, town

TWO_SECTIONS = town(
    road(1, 600.1, section(0, lane(1, to(1)), lane(-1, to(-1))) + section(200, lane(1, back(1)), lane(-1, back(-1))))
)


def lanes_of(text: str) -> ClientLanes:
    return ClientLanes(carla.Map("m", text), read_lane_graph(text, "x"))


def test_every_lane_begins_where_traffic_enters_it():
    lanes = lanes_of(TWO_SECTIONS)
    assert {key: round(start.s, 2) for key, start in lanes.starts.items()} == {
        LaneKey(1, 0, -1): 0.0,
        LaneKey(1, 0, 1): 200.0,
        LaneKey(1, 1, -1): 200.0,
        LaneKey(1, 1, 1): 600.1,
    }


@pytest.mark.parametrize("step", [1.0, 7.0, 16.0, 1000.0])
def test_a_course_stays_on_its_lane_and_reaches_its_end(step: float):
    lanes = lanes_of(TWO_SECTIONS)
    for key, start in lanes.starts.items():
        course = lanes.course(start, step)
        assert {key_of(place) for place in course} == {key}
        assert course[-1].s == pytest.approx(lanes.graph.lanes[key].end, abs=1e-3)
        gaps = [abs(b.s - a.s) for a, b in itertools.pairwise(course)]
        assert all(gap == pytest.approx(step, abs=1e-3) for gap in gaps[:-1])
        assert lanes.end(start).s == lanes.course(start, 1.0)[-1].s


@pytest.mark.parametrize("length", [100, 74, 64, 128, 20, 300.1, 0.5])
def test_lanes_of_any_length_that_lead_nowhere(length: float):
    """The client library's own walk fails on some of these, and leaves some out of its topology."""
    lanes = lanes_of(town(road(1, length)))
    assert len(lanes.starts) == 2
    for start in lanes.starts.values():
        assert lanes.end(start).s == pytest.approx(0.0 if start.lane_id > 0 else length, abs=2e-3)


def test_the_start_of_a_lane_from_anywhere_on_it():
    text = town(road(1, 100.25, section(0, "", lane(-1, to(-1))), next_road(2)), road(2, 50.5, x=100.25))
    lanes = lanes_of(text)
    place = lanes.starts[LaneKey(1, 0, -1)].next(30.0)[0]
    assert lanes.start(place).s == pytest.approx(0.0, abs=2e-3)
