"""Lanes as routes need them: centre lines on which a car can drive, and what follows each."""

import carla
import numpy as np
import pytest

from td3_hpc.driving.lanes import read_lanes
from td3_hpc.roads.lanes import LaneKey
from td3_hpc.simulator.towns import load_town
from tests.roads.small_roads import back, lane, next_road, road, section, to, town

ONE = section(0, "", lane(-1))
NARROW = '<width sOffset="0" a="0.2" b="0" c="0" d="0"/>'


def followed(text: str) -> dict[LaneKey, list[LaneKey]]:
    network = read_lanes(carla.Map("m", text))
    keys = [item.key for item in network.lanes]
    return {key: [keys[after] for after in following] for key, following in zip(keys, network.successors)}


@pytest.mark.parametrize("name", ["Hamlet", "Brookfield"])
def test_lanes_follow_each_other_without_gaps(name: str):
    lanes, successors, _ = network = read_lanes(load_town(name, None).map)
    assert len(lanes) > 5
    for number, (here, following) in enumerate(zip(lanes, successors, strict=True)):
        assert here.length > 0
        for successor in following:
            turn = (lanes[successor].angles[0, 1] - here.angles[-1, 1] + 180) % 360 - 180
            assert network.gap(number, successor) < 0.5, (here.key, lanes[successor].key)
            assert abs(turn) < 10, (here.key, lanes[successor].key)


def test_lanes_end_with_their_sections_and_dead_ends_lead_nowhere():
    sections = section(0, "", lane(-1, to(-1))) + section(200, "", lane(-1, back(-1)))
    assert followed(town(road(1, 600.1, sections))) == {
        LaneKey(1, 0, -1): [LaneKey(1, 1, -1)],
        LaneKey(1, 1, -1): [],
    }


def test_a_section_too_short_to_be_driven_along_is_passed_over():
    sections = "".join(section(s, "", lane(-1, to(-1) + back(-1))) for s in (0, 50, 50.03, 50.05))
    assert followed(town(road(1, 100.25, sections))) == {
        LaneKey(1, 0, -1): [LaneKey(1, 3, -1)],
        LaneKey(1, 3, -1): [],
    }


@pytest.mark.parametrize(
    "after",
    [
        road(2, 50.5, ONE, x=105.0),  # a jump
        road(2, 50.5, ONE, x=100.25, elevation='<elevation s="0" a="6" b="0" c="0" d="0"/>'),  # onto a bridge
        road(2, 50.5, ONE, x=100.25, heading=2.5),  # a turn on the spot
        road(2, 50.5, section(0, "", lane(-1, width=NARROW)), x=100.25),
    ],
)
def test_links_that_no_car_can_follow(after: str):
    text = town(road(1, 100.25, section(0, "", lane(-1, to(-1))), next_road(2)), after)
    assert followed(text)[LaneKey(1, 0, -1)] == []
    sound = town(road(1, 100.25, section(0, "", lane(-1, to(-1))), next_road(2)), road(2, 50.5, ONE, x=100.25))
    assert followed(sound)[LaneKey(1, 0, -1)] == [LaneKey(2, 0, -1)]


def test_a_lane_inside_a_bend_narrower_than_itself_is_none():
    """Its centre line, 6.5 m inside a bend of 5 m, runs backwards."""
    wide = section(0, "", lane(-1) + lane(-2, width='<width sOffset="0" a="6" b="0" c="0" d="0"/>'))
    text = town(road(1, 9.0, wide, shape='<arc curvature="-0.2"/>'), road(2, 100.25, wide, x=500.0))
    assert list(followed(text)) == [LaneKey(1, 0, -1), LaneKey(2, 0, -2), LaneKey(2, 0, -1)]


@pytest.mark.parametrize(("radius", "taken"), [(1.5, False), (2.5, False), (3.5, True), (5.0, True)])
def test_a_bend_that_no_car_takes_is_left_out(radius: float, taken: bool):
    """SUMO's connections turn on the spot; the lane's middle is 1.75 m outside of the road's line."""
    left = section(0, "", lane(-1))
    shape = f'<arc curvature="{1 / (radius - 1.75)!r}"/>' if radius > 1.75 else ""
    shape = shape or f'<arc curvature="{-1 / (radius + 1.75)!r}"/>'
    text = town(road(1, 1.5 * (radius + 1.75), left, shape=shape), road(2, 100.25, left, x=500.0))
    assert (LaneKey(1, 0, -1) in followed(text)) == taken


def test_a_bend_as_tight_as_a_hairpin_is_one():
    text = town(road(1, 20.0, section(0, lane(1), ""), shape='<arc curvature="-0.15"/>'))
    (only,) = read_lanes(carla.Map("m", text)).lanes
    assert abs(only.angles[-1, 1] - only.angles[0, 1]) == pytest.approx(np.degrees(3.0), abs=1.0)


def test_the_nearest_lane_is_the_one_at_the_cars_height():
    bridge = road(2, 100.25, y=-50.0, x=50.0, heading=1.5708, elevation='<elevation s="0" a="6" b="0" c="0" d="0"/>')
    road_map = carla.Map("m", town(road(1, 100.25), bridge))
    for height, number in ((0.3, 1), (6.3, 2)):
        assert road_map.get_waypoint(carla.Location(50.0, 0.0, height)).road_id == number
