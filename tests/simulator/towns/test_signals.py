"""Where lights and signs act: on the lanes before the stop line, and nowhere else."""

import math

import carla
import pytest

from td3_hpc.simulator.geometry import OrientedBox
from td3_hpc.simulator.towns import load_town, parse_town
from td3_hpc.simulator.towns.town import Town


@pytest.fixture(scope="module", params=["Hamlet", "Brookfield"])
def town(request: pytest.FixtureRequest) -> Town:
    return load_town(request.param, None)


def lane_under(town: Town, box: OrientedBox) -> carla.Waypoint:
    return town.map.get_waypoint(carla.Location(*box.centre[:3]))


def junctions_ahead(lane: carla.Waypoint) -> set[int]:
    return {w.junction_id for w in lane.next(14.0) if w.is_junction}


def test_a_stop_box_lies_on_one_incoming_lane_and_ends_before_the_junction(town: Town):
    for light in town.traffic_lights:
        assert light.stop_boxes
        for box in light.stop_boxes:
            lane = lane_under(town, box)
            assert not lane.is_junction
            assert junctions_ahead(lane) == {light.junction_id}
            assert math.cos(math.radians(lane.transform.rotation.yaw - light.pose.yaw)) > 0.99
            front = box.centre.ahead(box.extent[0])
            assert not town.map.get_waypoint(carla.Location(front.x, front.y, front.z)).is_junction
            assert box.extent[1] < lane.lane_width / 2


def test_the_lanes_behind_a_stop_line_are_in_its_junction(town: Town):
    for light in town.traffic_lights:
        for place in light.affected_lanes:
            lane = town.map.get_waypoint_xodr(*place)
            assert lane.junction_id == light.junction_id


def test_a_light_stands_beside_the_road(town: Town):
    for light in town.traffic_lights:
        place = carla.Location(light.pose.x, light.pose.y, light.pose.z)
        assert town.map.get_waypoint(place, project_to_road=False, lane_type=carla.LaneType.Driving) is None


def test_every_light_has_one_turn_in_one_junction(town: Town):
    turns = [signal for group in town.signal_groups for phase in group.phases for signal in phase]
    assert sorted(turns) == sorted(light.signal_id for light in town.traffic_lights)


def test_lights_that_no_controller_names_take_turns_road_by_road():
    text = load_town("Hamlet", None).opendrive
    bare = "\n".join(line for line in text.splitlines() if "control" not in line)
    (group,) = parse_town("Hamlet", bare).signal_groups
    assert sorted(len(phase) for phase in group.phases) == [1, 1, 1, 1]


def test_where_a_sign_stands_the_other_lanes_may_be_told_to_let_vehicles_in(town: Town):
    signed = [site for site in town.signs if site.kind in ("traffic.stop", "traffic.yield")]
    assert len(town.give_way) == len(signed)
    for junction in town.give_way:
        (box,) = junction.signed
        into = junctions_ahead(lane_under(town, box))
        assert len(into) == 1
        assert len(junction.unsigned) >= 2
        for other in junction.unsigned:
            lane = lane_under(town, other)
            assert junctions_ahead(lane.next(6.0)[0]) == into
            assert lane.road_id not in junction.roads
            assert lane.road_id != lane_under(town, box).road_id
