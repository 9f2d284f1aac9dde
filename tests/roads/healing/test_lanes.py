"""Sections, borders, widths and markings: the client library finds what it asks for at every place of a lane."""

import carla
import pytest

from td3_hpc.roads.healing import heal_opendrive
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
