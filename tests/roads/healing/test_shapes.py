"""Geometries, lengths and elevations: every place on every lane is a place."""

import math

import carla
import pytest

from td3_hpc.roads.healing import heal_opendrive
from tests.roads.small_roads import lane, road, section, town

SHAPES = {
    "an arc": '<arc curvature="0.0"/>',
    "a spiral": '<spiral curvStart="0" curvEnd="0"/>',
    "a spiral that is an arc": '<spiral curvStart="0.01" curvEnd="0.01"/>',
}


def heights_and_places(text: str) -> list[carla.Location]:
    return [place.transform.location for place in carla.Map("m", text).generate_waypoints(5.0)]


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_on_which_the_client_library_divides_by_zero(shape: str):
    healed = heal_opendrive(town(road(1, 200.5, shape=SHAPES[shape])), "x")
    places = heights_and_places(healed.text)
    assert len(places) > 70
    assert all(math.isfinite(place.x) and math.isfinite(place.y) for place in places)
    if shape == "a spiral that is an arc":
        arc = heal_opendrive(town(road(1, 200.5, shape='<arc curvature="0.01"/>')), "x")
        assert [place.x for place in heights_and_places(arc.text)] == [place.x for place in places]
    else:
        assert max(abs(place.y) for place in places) < 4.0, "a straight line"
        assert "without curvature are lines (road 1)" in healed.healed[0]


@pytest.mark.parametrize("length", [100, 300.1, 74, 20, 50.5])
def test_lanes_that_end_where_single_precision_loses_them(length: float):
    healed = heal_opendrive(town(road(1, length, section(0, "", lane(-1)))), "x")
    road_map = carla.Map("m", healed.text)
    ((start, end),) = road_map.get_topology()
    assert end.s == pytest.approx(length, abs=1e-3)
    assert start.next_until_lane_end(1.0)[-1].s == pytest.approx(length, abs=1e-3)
    assert float(healed.root.find("road").get("length")) == pytest.approx(length, abs=1e-4)


def test_roads_without_a_course_are_left_out():
    empty = road(2, 0).replace('<geometry s="0" x="0.0" y="0.0" hdg="0.0" length="0"><line/></geometry>', "")
    healed = heal_opendrive(town(road(1, 200.5), empty), "x")
    assert [item.get("id") for item in healed.root.findall("road")] == ["1"]
    assert "roads without a course are left out (road 2)" in healed.healed


def test_geometries_without_a_length_are_left_out():
    nothing = '</geometry><geometry s="200.5" x="200.5" y="0" hdg="0" length="0"><line/></geometry>'
    healed = heal_opendrive(town(road(1, 200.5).replace("</geometry>", nothing)), "x")
    assert len(healed.root.findall("road/planView/geometry")) == 1


def test_a_road_longer_than_its_geometries_ends_with_them():
    text = town(road(1, 200.5)).replace('id="1" ', 'id="1" ').replace('length="200.5" id', 'length="300" id')
    healed = heal_opendrive(text, "x")
    assert float(healed.root.find("road").get("length")) == pytest.approx(200.5, abs=1e-4)
    assert "road 1: 200.5 m, not 300" in healed.healed[0]


def test_before_its_first_elevation_a_road_is_level():
    late = '<elevation s="100" a="0" b="0.1" c="0" d="0"/>'
    healed = heal_opendrive(town(road(1, 200.5, elevation=late)), "x")
    heights = {round(place.x): place.z for place in heights_and_places(healed.text)}
    assert heights[50] == 0.0
    assert max(heights.values()) > 9.0


def test_roads_in_a_countrys_coordinates_are_moved_to_the_origin():
    here = heal_opendrive(town(road(1, 200.5)), "x")
    there = heal_opendrive(town(road(1, 200.5, x=691_000.0, y=5_335_000.0)), "x")
    assert "roads far from the origin are moved to it (x by -691 km, y by -5335 km)" in there.healed
    places = [heights_and_places(healed.text) for healed in (here, there)]
    assert [(place.x, place.y) for place in places[0]] == [(place.x, place.y) for place in places[1]]
