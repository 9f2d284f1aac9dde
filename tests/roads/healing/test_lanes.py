"""Sections, borders, widths and markings: the client library finds what it asks for at every place of a lane."""

import carla
import pytest

from td3_hpc.errors import BadInput
from td3_hpc.roads.healing import heal_opendrive
from td3_hpc.roads.lanes import lane_graph
from tests.roads.healing.test_junctions import FROM_ROAD, THROUGH, crossing, topology
from tests.roads.small_roads import WIDTH, back, lane, next_road, road, section, to, town


def healed_map(text: str) -> carla.Map:
    return carla.Map("m", heal_opendrive(text, "x").text)


def test_lanes_without_marks_have_some_of_type_none_and_no_lane_change():
    """Where there is no marking the lane-invasion sensor ends the client's process."""
    late = '<roadMark sOffset="50" type="solid" color="white" width="0.1" laneChange="both"/>'
    text = town(road(1, 100.5, section(0, "", lane(-1, mark="") + lane(-2, mark=late), centre="<center/>")))
    road_map = healed_map(text)
    inner, outer = (road_map.get_waypoint_xodr(1, number, 10.0) for number in (-1, -2))
    assert inner.left_lane_marking.type == inner.right_lane_marking.type == carla.LaneMarkingType.NONE
    assert outer.right_lane_marking.type == carla.LaneMarkingType.NONE
    assert inner.lane_change == carla.LaneChange.NONE
    assert road_map.get_waypoint_xodr(1, -2, 60.0).right_lane_marking.type == carla.LaneMarkingType.Solid


def test_borders_become_the_widths_between_them():
    near = '<border sOffset="0" a="3" b="0.01" c="0" d="0"/>'
    far = '<border sOffset="0" a="7" b="0" c="0" d="0"/><border sOffset="40" a="8" b="0" c="0.0001" d="0"/>'
    text = town(road(1, 100.5, section(0, lane(1, width=WIDTH), lane(-1, width=near) + lane(-2, width=far))))
    with_signs = text.replace('a="3" b="0.01"', 'a="-3" b="-0.01"').replace('a="7"', 'a="-7"')
    road_map = healed_map(with_signs.replace('a="8" b="0" c="0.0001"', 'a="-8" b="0" c="-0.0001"'))
    for s, first, second in ((0.5, 3.005, 7.0), (39.0, 3.39, 7.0), (60.0, 3.6, 8.04)):
        assert road_map.get_waypoint_xodr(1, -1, s).lane_width == pytest.approx(first, abs=1e-3)
        assert road_map.get_waypoint_xodr(1, -2, s).lane_width == pytest.approx(second - first, abs=1e-3)


def test_a_width_that_begins_late_holds_from_the_start():
    road_map = healed_map(town(road(1, 100.5, section(0, "", lane(-1, width=WIDTH.replace('"0"', '"10"', 1))))))
    assert road_map.get_waypoint_xodr(1, -1, 1.0).lane_width == 3.5


def test_sections_begin_with_the_road_and_have_a_length():
    sections = section(5, "", lane(-1, to(-1))) + section(100.5, "", lane(-1))
    healed = heal_opendrive(town(road(1, 100.5, sections)), "x")
    starts = [float(item.get("s", "")) for item in healed.root.iter("laneSection")]
    assert starts == pytest.approx([0.0, 100.498], abs=1e-4)
    assert carla.Map("m", healed.text).get_waypoint_xodr(1, -1, 1.0) is not None


def test_a_section_without_a_length_keeps_its_links():
    """As in CARLA's Town05: the last section is a fraction of a millimetre long, and its lanes have other numbers."""
    ending = section(0, "", lane(-1, to(-2))) + section(100.4999, "", lane(-1) + lane(-2, to(-1)))
    text = town(
        road(1, 100.5, ending, next_road(2)),
        road(2, 50.25, section(0, "", lane(-1, back(-2))), next_road(1, "end", side="predecessor"), x=100.5),
    )
    links = {(a.road_id, a.lane_id, b.road_id, b.lane_id) for a, b in healed_map(text).get_topology()}
    assert {(1, -1, 1, -2), (1, -2, 2, -1)} <= links


@pytest.mark.parametrize("centre", ["", "<center/>"])
def test_a_middle_lane_is_added(centre: str):
    road_map = healed_map(town(road(1, 100.5, section(0, lane(1), lane(-1), centre))))
    assert road_map.get_waypoint_xodr(1, -1, 1.0).left_lane_marking is not None


def test_of_several_layers_of_lanes_the_permanent_one_is_driven_on():
    works = section(0, "", lane(-1, width=WIDTH.replace("3.5", "2.5")), "<center/>")
    layers = section(0, "", lane(-1)) + f'</lanes><lanes layer="temporary">{works}'
    onward = to(-1).replace("/>", ' layer="temporary"/>') + to(-2).replace("/>", ' layer="permanent"/>')
    text = town(
        road(1, 100.5, layers, next_road(2)).replace("<link></link>", f"<link>{onward}</link>", 1),
        road(2, 50.25, section(0, "", lane(-1) + lane(-2)), next_road(1, "end", side="predecessor"), x=100.5),
    )
    road_map = healed_map(text)
    assert road_map.get_waypoint_xodr(1, -1, 10.0).lane_width == 3.5
    assert [(w.road_id, w.lane_id) for w in road_map.get_waypoint_xodr(1, -1, 99.0).next(5.0)] == [(2, -2)]
    said = "layers of lanes beside the permanent one, as of roadworks, are left out (road 1)"
    assert said in heal_opendrive(text, "x").healed


def test_lanes_that_nobody_drives_on_and_without_a_width_have_none():
    text = town(road(1, 100.5, section(0, "", lane(-1) + lane(-2, width="", kind="none") + lane(-3, kind="sidewalk"))))
    road_map = healed_map(text)
    assert road_map.get_waypoint_xodr(1, -2, 10.0).lane_width == 0.0
    middles = [road_map.get_waypoint_xodr(1, number, 10.0).transform.location.y for number in (-1, -3)]
    assert middles == pytest.approx([1.75, 5.25])
    with pytest.raises(BadInput, match="lane -1 has neither width nor border; give it one"):
        heal_opendrive(town(road(1, 100.5, section(0, "", lane(-1, width="")))), "x")


def test_lanes_stand_on_the_side_that_their_ids_say():
    """SUMO writes ways through junctions of left-hand traffic, which are one-way roads, so."""
    text = crossing(FROM_ROAD, back(-1))
    wrong = text[::-1].replace("<right>"[::-1], "<left>"[::-1], 1).replace("</right>"[::-1], "</left>"[::-1], 1)[::-1]
    healed = heal_opendrive(wrong, "x")
    assert "lanes stand on the side that their ids say (road 3 lane -1)" in healed.healed
    assert topology(wrong) == topology(text) == THROUGH
    assert [item.get("id") for item in healed.root.iterfind("road/lanes/laneSection/right/lane")] == ["-1", "-1"]


def test_nobody_drives_on_a_lane_against_its_direction():
    """The client library knows no direction but that of a lane's side."""
    ways = {1: "reversed", 2: "standard", 3: "both"}
    left = "".join(lane(number).replace("level", f'direction="{way}" level') for number, way in ways.items())
    healed = heal_opendrive(town(road(1, 100.5, section(0, left, lane(-1)))), "x")
    assert list(lane_graph(healed.root).lanes) == [(1, 0, 2), (1, 0, 3), (1, 0, -1)]
    assert carla.Map("m", healed.text).get_waypoint_xodr(1, 1, 10.0).lane_type == carla.LaneType.Restricted
    assert set(healed.healed) >= {
        "lanes against the direction of their side have the type restricted, and nobody drives there (road 1 lane 1)",
        "lanes for both directions are driven on in that of their side (road 1 lane 3)",
    }
