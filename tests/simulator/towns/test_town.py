"""The ground under a place, and what stands near it."""

import math
import random

import pytest

from td3_hpc.report.town_facts import town_facts
from td3_hpc.simulator.streams import Streams
from td3_hpc.simulator.towns import load_town, parse_town
from td3_hpc.simulator.towns.town import CLEAR, Town
from td3_hpc.simulator.world import World
from tests.simulator.opendrive_text import Road, opendrive_text

RISE = 0.08


def town_of(*roads: Road) -> Town:
    return parse_town("Test", opendrive_text(roads))


def test_ground_on_a_slope_is_exact_along_and_across():
    town = town_of(Road(0.0, 0.0, 0.5, 400.0, elevation=((0.0, 2.0, RISE, 0.0, 0.0),)))
    heading = -0.5  # CARLA's y points the other way
    for along, aside in ((50.0, 0.5), (123.4, 1.75), (300.0, -1.0)):
        x = along * math.cos(heading) - aside * math.sin(heading)
        y = along * math.sin(heading) + aside * math.cos(heading)
        ground = town.ground(x, y, 0.0)
        assert ground.z == pytest.approx(2.0 + RISE * along, abs=0.02)
        assert (ground.slope_x, ground.slope_y) == pytest.approx(
            (RISE * math.cos(heading), RISE * math.sin(heading)), abs=1e-3
        )


def test_a_car_tilts_with_the_slope_whichever_way_it_stands():
    ground = town_of(Road(0.0, 0.0, 0.0, 400.0, elevation=((0.0, 0.0, RISE, 0.0, 0.0),))).ground(100.0, 1.75, 8.0)
    steep = math.degrees(math.atan(RISE))
    assert ground.tilt(0.0) == pytest.approx((steep, 0.0), abs=0.01)
    assert ground.tilt(180.0) == pytest.approx((-steep, 0.0), abs=0.01)
    assert ground.tilt(90.0) == pytest.approx((0.0, steep), abs=0.01)  # its left side, along x, is the higher one


def test_where_roads_cross_above_each_other_the_nearest_in_height_counts():
    town = town_of(
        Road(0.0, 0.0, 0.0, 200.0),
        Road(100.0, -100.0, math.pi / 2, 200.0, elevation=((0.0, 7.0, 0.0, 0.0, 0.0),)),
    )
    assert town.ground(100.0, 1.0, 0.3).z == pytest.approx(0.0, abs=0.01)
    assert town.ground(100.0, 1.0, 7.2).z == pytest.approx(7.0, abs=0.01)


def test_near_objects_are_those_that_a_search_of_all_finds():
    town = load_town("Hamlet", None)
    for pose in town.spawn_points[::7]:
        for radius in (2.0, 4.0, 6.0):
            found = town.edge_objects_near(pose.x, pose.y, radius)
            expected = [
                thing
                for thing in town.edge_objects
                if math.dist(pose[:2], thing.box.centre[:2]) <= radius + math.hypot(*thing.box.extent[:2])
            ]
            assert sorted(map(id, found)) == sorted(map(id, expected))


def test_a_town_without_some_of_its_scenery():
    whole = load_town("Hamlet", None)
    less = whole.without(frozenset({1, 3}))
    assert less.edge_objects == (whole.edge_objects[1], *whole.edge_objects[3:])
    gone = whole.edge_objects[0]
    assert gone in whole.edge_objects_near(gone.box.centre.x, gone.box.centre.y, 3.0)
    assert gone not in less.edge_objects_near(gone.box.centre.x, gone.box.centre.y, 3.0)
    assert less.without(frozenset({1, 3})) is less
    assert less.without(frozenset({1})).edge_objects == whole.edge_objects[1:]
    assert less.without(frozenset()) is less.whole is whole


def test_nothing_touches_a_car_where_it_is_clear():
    town = load_town("Hamlet", None)
    chance, clear = random.Random(3), 0
    for thing in town.edge_objects:
        reach = max(thing.box.extent[:2]) + 2.0 * CLEAR
        for _ in range(20):
            x, y = (middle + chance.uniform(-reach, reach) for middle in thing.box.centre[:2])
            ahead, right = thing.box.centre.offset_of(x, y)
            away = math.hypot(*(max(abs(a) - half, 0.0) for a, half in zip((ahead, right), thing.box.extent)))
            assert not (town.is_clear(x, y) and away <= CLEAR)
            clear += town.is_clear(x, y)
    assert clear


def test_grounds_are_those_of_each_place():
    town = load_town("Brookfield", None)
    chance = random.Random(5)
    places = [
        (pose.x + chance.uniform(-3, 3), pose.y + chance.uniform(-3, 3), pose.z + chance.uniform(-1, 1))
        for pose in town.spawn_points
    ]
    for found, place in zip(town.grounds(places), places, strict=True):
        alone = town.ground(*place)
        assert found == alone
        assert [math.copysign(1.0, value) for value in found] == [math.copysign(1.0, value) for value in alone]


def test_what_stands_beside_the_roads_is_found_when_it_is_asked_for_and_before_a_world_moves():
    """It takes most of the time of a large town, and whoever asks what a town holds does not ask for it."""
    town, other = (town_of(Road(0.0, 0.0, 0.0, 400.0)) for _ in range(2))
    town_facts(town, 30.0, 200.0)
    assert "edge_objects" not in vars(town)
    World(town, Streams())
    assert {"edge_objects", "_edges", "_beside"} <= set(vars(town))
    assert town.edge_objects == other.edge_objects != ()
