"""Speed limits: a road's own, a sign's as far as the next one, through junctions, in both directions."""

import xml.etree.ElementTree as ET

import carla
import pytest

from td3_hpc.roads.client_map import ClientLanes
from td3_hpc.roads.lanes import lane_graph
from td3_hpc.simulator.towns import load_town
from td3_hpc.simulator.towns.speed_limits import DEFAULT_KMH, SpeedLimits
from tests.simulator.opendrive_text import Road, opendrive_text


def two_roads() -> tuple[ET.Element, carla.Map]:
    """Road 1, 200 m along x, leads into road 2, 200 m more."""
    root = ET.fromstring(opendrive_text([Road(0.0, 0.0, 0.0, 200.0), Road(200.0, 0.0, 0.0, 200.0)]))
    first, second = root.findall("road")
    ET.SubElement(first.find("link"), "successor", elementType="road", elementId="2", contactPoint="start")
    ET.SubElement(second.find("link"), "predecessor", elementType="road", elementId="1", contactPoint="end")
    for road, side in ((first, "successor"), (second, "predecessor")):
        for lane in road.iter("lane"):
            if lane.get("id") != "0":
                ET.SubElement(lane.find("link"), side, id=lane.get("id"))
    return root, carla.Map("roads", ET.tostring(root, encoding="unicode"))


def add_limit(road: ET.Element, s: float, limit: str, unit: str = "km/h") -> None:
    kind = ET.Element("type", s=str(s), type="town")
    ET.SubElement(kind, "speed", max=limit, unit=unit)
    road.insert(1, kind)


def limits_of(root: ET.Element, road_map: carla.Map, signs: list[tuple[int, int, float, float]]) -> SpeedLimits:
    return SpeedLimits(root, road_map, ClientLanes(road_map, lane_graph(root)), signs)


def test_without_any_word_it_is_carlas_default():
    root, road_map = two_roads()
    assert limits_of(root, road_map, []).at(1, -1, 100.0) == DEFAULT_KMH


@pytest.mark.parametrize(("limit", "unit", "kmh"), [("50", "km/h", 50.0), ("10", "m/s", 36.0), ("30", "mph", 48.28)])
def test_a_roads_own_limit_in_every_unit(limit: str, unit: str, kmh: float):
    root, road_map = two_roads()
    add_limit(root.find("road"), 0.0, limit, unit)
    limits = limits_of(root, road_map, [])
    assert limits.at(1, -1, 5.0) == limits.at(1, 1, 5.0) == pytest.approx(kmh, abs=0.01)
    assert limits.at(2, -1, 5.0) == DEFAULT_KMH


def test_a_roads_limit_changes_where_it_says_and_no_limit_is_none():
    root, road_map = two_roads()
    road = root.find("road")
    add_limit(road, 0.0, "30")
    add_limit(road, 120.0, "60")
    add_limit(road, 160.0, "no limit")
    limits = limits_of(root, road_map, [])
    assert [limits.at(1, -1, s) for s in (10.0, 119.0, 121.0, 170.0)] == [30.0, 30.0, 60.0, 60.0]


def test_a_sign_holds_from_where_it_stands_into_the_roads_that_follow():
    root, road_map = two_roads()
    limits = limits_of(root, road_map, [(1, -1, 50.0, 90.0)])
    assert limits.at(1, -1, 60.0) == limits.at(2, -1, 10.0) == limits.at(2, -1, 190.0) == 90.0
    assert limits.at(1, 1, 60.0) == DEFAULT_KMH  # the other direction


def test_against_the_roads_direction_a_sign_holds_towards_its_start():
    root, road_map = two_roads()
    limits = limits_of(root, road_map, [(2, 1, 150.0, 60.0), (1, 1, 100.0, 40.0)])
    assert [limits.at(2, 1, s) for s in (140.0, 10.0)] == [60.0, 60.0]
    assert [limits.at(1, 1, s) for s in (190.0, 110.0, 90.0, 5.0)] == [60.0, 60.0, 40.0, 40.0]


def test_a_lanes_own_limit_comes_before_its_roads():
    """SUMO writes all limits there, in m/s."""
    root, road_map = two_roads()
    add_limit(root.find("road"), 0.0, "100")
    (lane,) = (lane for lane in root.find("road").iter("lane") if lane.get("id") == "-1")
    ET.SubElement(lane, "speed", sOffset="40", max="13.89")
    limits = limits_of(root, road_map, [])
    assert [limits.at(1, -1, s) for s in (10.0, 60.0)] == [100.0, pytest.approx(50.0, abs=0.01)]
    assert limits.at(1, 1, 60.0) == 100.0
    assert limits.at(2, -1, 60.0) == DEFAULT_KMH


def test_before_the_first_sign_the_roads_own_limit_holds():
    root, road_map = two_roads()
    for road in root.findall("road"):
        add_limit(road, 0.0, "100")
    limits = limits_of(root, road_map, [(1, -1, 150.0, 30.0), (2, 1, 50.0, 40.0)])
    assert [limits.at(1, -1, s) for s in (10.0, 140.0, 160.0)] == [100.0, 100.0, 30.0]
    assert [limits.at(2, 1, s) for s in (190.0, 60.0, 40.0)] == [100.0, 100.0, 40.0]
    assert limits.at(2, -1, 10.0) == 30.0
    assert limits.at(1, 1, 190.0) == 40.0


def test_own_towns_have_several_limits():
    found = {
        name: {
            town.speed_limit_kmh(w.road_id, w.lane_id, w.s)
            for w in town.map.generate_waypoints(20.0)
            if not w.is_junction
        }
        for name in ("Hamlet", "Brookfield")
        for town in [load_town(name, None)]
    }
    assert found == {"Hamlet": {30.0, 40.0}, "Brookfield": {30.0, 40.0, 50.0}}
