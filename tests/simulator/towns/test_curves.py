"""Curves: how fast they can be met, and that limits of roads which say more are lowered there, and before them."""

import math
import xml.etree.ElementTree as ET

import carla
import pytest
from scenariogeneration import xodr

from td3_hpc.roads.client_map import ClientLanes
from td3_hpc.roads.lanes import LaneKey, lane_graph
from td3_hpc.roads.reading import parse_opendrive, read_opendrive
from td3_hpc.simulator.towns import load_town, parse_town
from td3_hpc.simulator.towns.curves import CurveSpeeds
from td3_hpc.simulator.towns.town import Town
from tests.paths import ROOT

OWN = ROOT / "td3_hpc/simulator/own_towns"
RADIUS = 18.0


@pytest.fixture(scope="module")
def bend(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A road of 90 km/h: 200 m straight, a quarter of a circle, 100 m straight."""
    shape = [xodr.Line(200.0), xodr.Arc(1.0 / RADIUS, angle=math.pi / 2), xodr.Line(100.0)]
    road = xodr.create_road(shape, id=1, left_lanes=1, right_lanes=1, lane_width=3.5)
    road.add_type(xodr.RoadType.town, 0, "CH", 90, speed_unit="km/h")
    drawing = xodr.OpenDrive("bend")
    drawing.add_road(road)
    drawing.adjust_roads_and_lanes()
    path = tmp_path_factory.mktemp("bend") / "bend.xodr"
    drawing.write_xml(str(path))
    return parse_town("bend", path.read_text())


def test_a_hairpin_whose_ends_are_near_each_other_has_a_low_limit():
    shape = [xodr.Line(60.0), xodr.Arc(1.0 / 3.5, angle=math.pi), xodr.Line(60.0)]
    road = xodr.create_road(shape, id=1, left_lanes=0, right_lanes=1, lane_width=3.0)
    drawing = xodr.OpenDrive("hairpin")
    drawing.add_road(road)
    drawing.adjust_roads_and_lanes()
    town = parse_town("hairpin", ET.tostring(drawing.get_element(), encoding="unicode"))
    limits = [town.speed_limit_kmh(1, -1, s) for s in (5.0, 60.0 + 3.5 * math.pi / 2)]
    assert limits == [30.0, 10.0]


@pytest.mark.parametrize("lane", [-1, 1])
def test_a_limit_is_lower_in_a_curve_and_as_far_before_it_as_braking_takes(bend: Town, lane: int):
    length = 300.0 + RADIUS * math.pi / 2
    limits = [bend.speed_limit_kmh(1, lane, s) for s in range(0, int(length), 2)]
    if lane > 0:
        limits = limits[::-1]  # in the direction of traffic
    slowest = min(limits)
    assert slowest == 30.0, "0.6 g on 18 m, and half a lane's width more or less, are 35 and 39 km/h"
    first, last = limits.index(slowest), len(limits) - 1 - limits[::-1].index(slowest)
    assert limits[:first] == sorted(limits[:first], reverse=True)
    assert limits[last:] == sorted(limits[last:])
    assert limits[-1] == 90.0
    before = [limit for limit in limits[:first] if limit < 90.0]
    metres = 2.0 * len(before)
    assert 0.7 <= metres / ((25.0**2 - 10.0**2) / (2 * 2.0)) <= 1.1, "90 km/h to 36 at 2 m/s² takes 131 m"


def test_a_straight_road_has_its_limit(bend: Town):
    assert bend.speed_limit_kmh(1, -1, 10.0) == 90.0


@pytest.mark.parametrize("name", ["Hamlet", "Brookfield"])
def test_our_own_towns_say_what_their_curves_allow(name: str):
    text = read_opendrive(OWN / f"{name}.xodr")
    lanes, town = ClientLanes(carla.Map(name, text), lane_graph(parse_opendrive(text, name))), load_town(name, None)

    def limit(key: LaneKey, s: float) -> float:
        return town.speed_limit_kmh(key.road, key.lane, s)

    speeds = CurveSpeeds(lanes, limit)
    for key, start in lanes.starts.items():
        assert not speeds.below(key, limit(key, start.s)), key
