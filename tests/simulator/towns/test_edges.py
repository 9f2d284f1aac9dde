"""What stands beside the roads is out of every vehicle's way."""

import math

import carla
import pytest

from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.towns import load_town
from td3_hpc.simulator.towns.town import Town


@pytest.fixture(scope="module", params=["Hamlet", "Brookfield"])
def town(request: pytest.FixtureRequest) -> Town:
    return load_town(request.param, None)


def test_there_are_walls_rails_fences_poles_and_houses(town: Town):
    labels = CityObjectLabel
    expected = {labels.POLES, labels.BUILDINGS, labels.WALLS, labels.FENCES, labels.GUARD_RAIL}
    assert {thing.label for thing in town.edge_objects} == expected


def test_none_stands_on_a_lane(town: Town):
    for thing in town.edge_objects:
        length, width, height = thing.box.extent
        foot = thing.box.centre.z - height
        for ahead in (-length, 0.0, length):
            for right in (-width, width):
                place = thing.box.centre.ahead(ahead, right)
                lane = town.map.get_waypoint(carla.Location(place.x, place.y, foot), True, carla.LaneType.Any)
                middle = lane.transform.location
                assert math.dist((place.x, place.y), (middle.x, middle.y)) > lane.lane_width / 2 + 1.0, thing


def test_no_two_touch(town: Town):
    things = town.edge_objects
    for number, thing in enumerate(things):
        reach = math.hypot(*thing.box.extent[:2])
        for other in things[number + 1 :]:
            gap = math.dist(thing.box.centre[:2], other.box.centre[:2])
            assert gap >= reach + math.hypot(*other.box.extent[:2]), (thing, other)
