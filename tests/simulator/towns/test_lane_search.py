"""The search of lanes against the client library's own, bit by bit."""

import itertools
import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import carla
import numpy as np
import pytest
from scenariogeneration import xodr

from td3_hpc.roads.healing import heal_opendrive
from td3_hpc.simulator.towns import load_town
from td3_hpc.simulator.towns.lane_search import LaneSearch
from tests.roads.test_made_roads import a_chain, a_crossing, single_roads, text_of
from tests.simulator.opendrive_text import Road, opendrive_text

Place = tuple[float, float, float]


def facts(waypoint: carla.Waypoint) -> tuple[float, ...]:
    """All that is taken from a waypoint."""
    place, turn = waypoint.transform.location, waypoint.transform.rotation
    lane = waypoint.road_id, waypoint.section_id, waypoint.lane_id
    return (*lane, waypoint.s, place.x, place.y, place.z, turn.pitch, turn.yaw)


def places_on(road_map: carla.Map, count: int, seed: int, side: float) -> list[Place]:
    chance = random.Random(seed)
    found = []
    for waypoint in chance.choices(road_map.generate_waypoints(1.0), k=count):
        place = waypoint.transform.location
        x, y = (value + chance.uniform(-side, side) for value in (place.x, place.y))
        found.append((x, y, place.z + chance.uniform(-0.3, 0.3)))
    return found


def compare(road_map: carla.Map, search: LaneSearch, places: list[Place]) -> float:
    """Every answer must be the library's; returns the share of places with an answer."""
    answers = search.find(places)
    for place, found in zip(places, answers, strict=True):
        if found is not None:
            asked = road_map.get_waypoint(carla.Location(*place), True, carla.LaneType.Any)
            assert facts(found) == facts(asked), place
    return sum(found is not None for found in answers) / max(len(answers), 1)


@pytest.mark.parametrize("name", ["Hamlet", "Brookfield"])
@pytest.mark.parametrize("side", [0.3, 2.0, 10.0])
def test_on_our_towns_it_answers_as_the_library_and_nearly_always(name: str, side: float):
    town = load_town(name, None)
    search = LaneSearch(town.map, ET.fromstring(town.opendrive))
    share = compare(town.map, search, places_on(town.map, 4000, 7, side))
    assert share > (0.9 if side < 3.0 else 0.5)


@pytest.mark.parametrize("make", [single_roads, a_chain, a_crossing])
@pytest.mark.parametrize("seed", range(5))
def test_on_roads_that_chance_makes_it_answers_as_the_library(make: Callable[..., xodr.OpenDrive], seed: int):
    opendrive = heal_opendrive(text_of(make(random.Random(seed))), "made")
    road_map = carla.Map("made", opendrive.text)
    compare(road_map, LaneSearch(road_map, opendrive.root), places_on(road_map, 1000, seed, 2.5))


def test_where_lanes_lie_on_each_other_it_does_not_answer():
    text = opendrive_text([Road(0.0, 0.0, 0.0, 200.0), Road(0.0, 0.0, 0.0, 100.0)])
    road_map = carla.Map("double", text)
    search = LaneSearch(road_map, ET.fromstring(text))
    assert search.find([(50.0, 1.0, 0.0)]) == [None]
    assert search.find([(150.0, 1.0, 0.0)]) != [None]
    assert search.find([(150.0, 100.0, 0.0), (1e7, 0.0, 0.0)]) == [None, None]
    assert search.find([]) == []


def test_roads_above_each_other_are_told_apart():
    over = Road(100.0, -100.0, np.pi / 2, 200.0, elevation=((0.0, 2.0, 0.0, 0.0, 0.0),))
    text = opendrive_text([Road(0.0, 0.0, 0.0, 200.0), over])
    road_map = carla.Map("bridge", text)
    search = LaneSearch(road_map, ET.fromstring(text))
    heights = (0.0, 0.5, 0.9, 1.0, 1.1, 1.5, 2.0, 2.5)
    places = [(100.0 + x, 1.0 + x, z) for x, z in itertools.product((-1.0, 0.3, 1.75), heights)]
    assert compare(road_map, search, places) > 0.5


def test_a_map_of_other_roads_has_no_answers():
    ours = opendrive_text([Road(0.0, 0.0, 0.0, 200.0)])
    bent = re.sub(r"<line ?/>", '<arc curvature="0.01"/>', ours)
    assert bent != ours
    search = LaneSearch(carla.Map("others", bent), ET.fromstring(ours))
    assert search.find([(50.0, 1.75, 0.0)]) == [None]
