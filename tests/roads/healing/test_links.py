"""What follows what: links to nothing are left out, links told on one side are told on both."""

import carla
import pytest

from td3_hpc.roads.healing import heal_opendrive
from tests.roads.healing.test_junctions import topology
from tests.roads.small_roads import back, lane, next_road, road, section, to, town

FROM_1 = next_road(1, "end", side="predecessor")


def two(first: str, second: str, link: str = next_road(2), link_back: str = FROM_1) -> str:
    return town(
        road(1, 100.25, section(0, "", lane(-1, first)), link),
        road(2, 100.25, section(0, "", lane(-1, second)), link_back, x=100.25),
    )


@pytest.mark.parametrize(("first", "second"), [(to(-1), back(-1)), (to(-1), ""), ("", back(-1))])
def test_roads_that_follow_each_other(first: str, second: str):
    assert topology(two(first, second)) == {((1, -1), (2, -1))}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (two(to(-1), "", next_road(77)), "links to roads and junctions that are not there"),
        (two(to(-1), "", next_road(77, "", "junction")), "links to roads and junctions that are not there"),
        (two(to(-6), ""), "links to lanes that are not there are left out (road 1 lane -1)"),
        (two(to(-1), "", next_road(2, "end")), "links to lanes that are not there"),
        (two("", "", "", '<predecessor elementType="road" elementId="1" elementS="50" elementDir="+"/>'), "the middle"),
    ],
)
def test_links_to_what_is_not_there(text: str, told: str):
    assert topology(text) == set()
    assert told in "; ".join(heal_opendrive(text, "x").healed)


def test_sections_whose_lanes_end():
    sections = section(0, "", lane(-1, to(-1)) + lane(-2, to(-2))) + section(50, "", lane(-1))
    text = heal_opendrive(town(road(1, 100.25, sections)), "x")
    assert "road 1 lane -2" in "; ".join(text.healed)
    links = {(a.section_id, a.lane_id, b.section_id) for a, b in carla.Map("m", text.text).get_topology()}
    assert (0, -1, 1) in links


def test_a_junction_that_a_road_names_and_that_is_not_there():
    text = heal_opendrive(town(road(1, 100.25, junction=7)), "x")
    assert "junction 7" in "; ".join(text.healed)
    place = carla.Map("m", text.text).get_topology()[0][0]
    assert place.get_junction().id == 7


def test_sections_that_tell_no_links_go_on_where_lanes_have_the_same_id():
    text = town(road(1, 100.25, section(0, "", lane(-1)) + section(50, lane(1), lane(-1) + lane(-2))))
    links = carla.Map("m", heal_opendrive(text, "x").text).get_topology()
    pairs = {(a.section_id, a.lane_id, b.section_id, b.lane_id) for a, b in links}
    assert {pair for pair in pairs if pair[:2] != pair[2:]} == {(0, -1, 1, -1)}
    told = text.replace('"><link></link><width', f'"><link>{to(-2)}</link><width', 1)
    links = carla.Map("m", heal_opendrive(told, "x").text).get_topology()
    assert {(b.section_id, b.lane_id) for a, b in links if a.section_id == 0} == {(1, -2)}
