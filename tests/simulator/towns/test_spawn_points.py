"""Spawn points of every town: on driving lanes, along them, apart from each other."""

import math

import carla
import pytest

from td3_hpc.simulator.towns import load_town
from td3_hpc.simulator.towns.town import Town


@pytest.fixture(scope="module", params=["Hamlet", "Brookfield"])
def town(request: pytest.FixtureRequest) -> Town:
    return load_town(request.param, None)


def test_they_lie_on_driving_lanes_outside_junctions_and_head_along_them(town: Town):
    assert len(town.spawn_points) > 100
    for pose in town.spawn_points:
        lane = town.map.get_waypoint(carla.Location(*pose[:3]))
        assert lane.lane_type == carla.LaneType.Driving
        assert not lane.is_junction
        assert math.cos(math.radians(pose.yaw - lane.transform.rotation.yaw)) > 0.999
        assert math.dist(pose[:2], (lane.transform.location.x, lane.transform.location.y)) < 0.1
        assert 0.2 < pose.z - lane.transform.location.z < 0.4


def test_cars_at_neighbouring_points_do_not_touch(town: Town):
    points = town.spawn_points
    for number, pose in enumerate(points):
        for other in points[number + 1 :]:
            ahead, aside = pose.offset_of(other.x, other.y)
            assert abs(ahead) > 8.0 or abs(aside) > 2.5, (pose, other)


def test_a_town_has_the_same_points_each_time(town: Town):
    assert load_town(town.name, None).spawn_points == town.spawn_points
