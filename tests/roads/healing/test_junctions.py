"""Junctions: what the text tells is what the client library drives on."""

import subprocess
import sys
from pathlib import Path

import carla
import pytest

from td3_hpc.driving.lanes import read_lanes
from td3_hpc.roads.healing import heal_opendrive
from tests.roads.small_roads import back, lane, next_road, road, section, to, town

LANE_LINK = '<laneLink from="-1" to="-1"/>'


def topology(text: str) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    """Which (road, lane) leads into which, without those that lead nowhere."""
    links = carla.Map("m", heal_opendrive(text, "x").text).get_topology()
    pairs = {((a.road_id, a.lane_id), (b.road_id, b.lane_id)) for a, b in links}
    return {(a, b) for a, b in pairs if a != b}


def crossing(connecting_link: str, connecting_lane: str, connection: str = LANE_LINK, contact: str = "start") -> str:
    return town(
        road(1, 100.25, section(0, "", lane(-1)), next_road(9, "", "junction")),
        road(3, 20.25, section(0, "", lane(-1, connecting_lane)), connecting_link, junction=9, x=100.25),
        '<junction id="9" name="j"><connection id="0" incomingRoad="1" connectingRoad="3" '
        f'contactPoint="{contact}">{connection}</connection></junction>',
    )


FROM_ROAD = next_road(1, "end", side="predecessor")
THROUGH = {((1, -1), (3, -1))}


@pytest.mark.parametrize("road_link", ["", FROM_ROAD])
@pytest.mark.parametrize("lane_link", ["", back(-1)])
def test_connections_told_on_one_side_only(road_link: str, lane_link: str):
    assert topology(crossing(road_link, lane_link)) == THROUGH


def test_connections_without_lane_links_have_those_of_the_lanes():
    assert topology(crossing(FROM_ROAD, back(-1), "")) == THROUGH


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (crossing("", "", '<laneLink from="-1" to="-4"/>'), "lane links to lanes that are not there"),
        (crossing("", "", '<laneLink from="-7" to="-1"/>'), "lane links of lanes that are not there"),
        (crossing("", "", contact="end"), "lane links against the traffic"),
        (crossing(FROM_ROAD, back(-1)).replace('connectingRoad="3"', 'connectingRoad="8"'), "roads that are not there"),
    ],
)
def test_what_leads_nowhere_is_left_out_and_said(text: str, told: str):
    assert topology(text) == set()
    assert told in "; ".join(heal_opendrive(text, "x").healed)
    assert "junction 9, " in "; ".join(heal_opendrive(text, "x").healed)


def way(number: int, start: int, end: int, junction: int, x: float, onward: str = "road") -> str:
    """A connecting road of one lane each way between two roads."""
    link = next_road(start, "end", side="predecessor") + next_road(end, "start" if onward == "road" else "", onward)
    lanes = section(0, lane(1, back(1) + to(1)), lane(-1, back(-1) + to(-1)))
    return road(number, 20.25, lanes, link, junction=junction, x=x)


def connections(junction: int, *ways: tuple[int, int, str, int]) -> str:
    text = ""
    for number, (incoming, connecting, contact, lane_number) in enumerate(ways):
        ends = f'incomingRoad="{incoming}" connectingRoad="{connecting}" contactPoint="{contact}"'
        link = f'<laneLink from="{lane_number}" to="{lane_number}"/>'
        text += f'<connection id="{number}" {ends}>{link}</connection>'
    return f'<junction id="{junction}" name="j">{text}</junction>'


def traffic_managers_map(text: str, tmp_path: Path) -> int:
    """Bytes of the map that a Traffic Manager makes when it begins; made apart, since it crashes on some."""
    (tmp_path / "healed.xodr").write_text(heal_opendrive(text, "x").text)
    program = f"""
import carla, pathlib
folder = pathlib.Path({str(tmp_path)!r})
carla.Map("m", (folder / "healed.xodr").read_text()).cook_in_memory_map(str(folder / "cooked"))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    return (tmp_path / "cooked").stat().st_size


def test_a_connecting_road_for_both_directions_is_one_way_ahead(tmp_path: Path):
    """The client library leads through it once for each time that it is named; its Traffic Manager crashes on that."""
    text = town(
        road(1, 100.25, link=next_road(9, "", "junction")),
        way(3, 1, 2, 9, 100.25),
        road(2, 100.25, link=next_road(9, "", "junction", "predecessor"), x=120.5),
        connections(9, (1, 3, "start", -1), (2, 3, "end", 1)),
    )
    links = [(a.road_id, b.road_id) for a, b in carla.Map("m", heal_opendrive(text, "x").text).get_topology()]
    assert sorted(links) == [(1, 1), (1, 3), (2, 2), (2, 3), (3, 1), (3, 2)]
    assert traffic_managers_map(text, tmp_path) > 0


def test_a_way_through_one_junction_that_parts_in_another_lies_between_them(tmp_path: Path):
    """The Traffic Manager of the client library crashes where ways part within a junction."""
    text = town(
        road(1, 100.25, link=next_road(9, "", "junction")),
        way(3, 1, 8, 9, 100.25, onward="junction"),
        way(4, 3, 5, 8, 120.5),
        way(6, 3, 7, 8, 120.5),
        *(road(number, 100.25, link=next_road(8, "", "junction", "predecessor"), x=140.75) for number in (5, 7)),
        connections(9, (1, 3, "start", -1)),
        connections(8, (3, 4, "start", -1), (3, 6, "start", -1)),
    )
    healed = heal_opendrive(text, "x")
    assert "ways through a junction that part in another are roads between the two (road 3)" in healed.healed
    assert {road.get("id"): road.get("junction") for road in healed.root.iter("road")}["4"] == "8"
    assert traffic_managers_map(text, tmp_path) > 0


def direct(*connections: str) -> str:
    return f'<junction id="9" name="d" type="direct">{"".join(connections)}</junction>'


def meets(incoming: int, linked: int, pairs: str, contact: str = "start") -> str:
    links = "".join(f'<laneLink from="{a}" to="{b}"/>' for a, b in (pair.split(">") for pair in pairs.split()))
    attributes = f'id="{linked}" incomingRoad="{incoming}" linkedRoad="{linked}" contactPoint="{contact}"'
    return f"<connection {attributes}>{links}</connection>"


def test_a_direct_junction_where_a_road_parts():
    both = section(0, "", lane(-1) + lane(-2))
    text = town(
        road(1, 100.25, both, next_road(9, "", "junction")),
        road(2, 100.25, section(0, "", lane(-1)), next_road(9, "", "junction", "predecessor"), x=100.25),
        road(3, 100.25, section(0, "", lane(-1)), next_road(9, "", "junction", "predecessor"), x=100.25, y=-3.5),
        direct(meets(1, 2, "-1>-1"), meets(1, 3, "-2>-1")),
    )
    assert topology(text) == {((1, -1), (2, -1)), ((1, -2), (3, -1))}
    assert "direct junctions are written as common ones (junction 9)" in heal_opendrive(text, "x").healed


def test_a_direct_junction_where_two_way_roads_meet():
    """The far road's left lane leads into both of the others."""
    text = town(
        road(1, 100.25, section(0, lane(1), lane(-1)), next_road(9, "", "junction")),
        road(2, 100.25, section(0, "", lane(-1)), next_road(9, "", "junction"), y=-9.0),
        road(
            3, 100.25, section(0, lane(1), lane(-1) + lane(-2)), next_road(9, "", "junction", "predecessor"), x=100.25
        ),
        direct(meets(1, 3, "-1>-1 1>1"), meets(2, 3, "-1>-2")),
    )
    assert topology(text) == {((1, -1), (3, -1)), ((2, -1), (3, -2)), ((3, 1), (1, 1))}


def ways_out(text: str) -> dict[tuple[int, int], set[tuple[int, int]]]:
    """Which (road, lane) a car drives onto from each, where that is not a dead end."""
    network = read_lanes(carla.Map("m", heal_opendrive(text, "x").text))
    keys = [(lane.key.road, lane.key.lane) for lane in network.lanes]
    return {keys[lane]: {keys[after] for after in found} for lane, found in enumerate(network.successors) if found}


@pytest.mark.parametrize("overlap", [-2, -1])
def test_a_direct_junction_where_a_lane_parts(overlap: int, tmp_path: Path):
    """An exit whose lane begins on one that goes straight on: both ways can be driven, also by the Traffic Manager."""
    text = town(
        road(1, 100.25, section(0, "", lane(-1) + lane(-2)), next_road(9, "", "junction")),
        road(2, 100.25, section(0, "", lane(-1) + lane(-2)), next_road(9, "", "junction", "predecessor"), x=100.25),
        road(3, 100.25, section(0, "", lane(-1)), next_road(9, "", "junction", "predecessor"), x=100.25, y=-3.5),
        direct(meets(1, 2, "-1>-1 -2>-2"), meets(1, 3, f"{overlap}>-1")),
    ).replace('y="-3.5"', f'y="{3.5 * (overlap + 1)}"')
    out = {(1, -1): {(2, -1)}, (1, -2): {(2, -2)}}
    out[1, overlap] |= {(3, -1)}
    assert ways_out(text) == out
    assert traffic_managers_map(text, tmp_path) > 0
    served = heal_opendrive(text, "x")
    assert "each way begins with a road of 2 mm (junction 9)" in "; ".join(served.healed)
    assert heal_opendrive(served.text, "x").text == served.text


def test_a_direct_junction_where_a_lane_parts_against_the_roads_direction(tmp_path: Path):
    """The traffic that parts is on the left of roads that begin there, and all roads are for both directions."""
    text = town(
        road(1, 100.25, link=next_road(9, "", "junction", "predecessor"), x=100.25),
        road(2, 100.25, link=next_road(9, "", "junction")),
        road(3, 100.25, link=next_road(9, "", "junction")),
        direct(meets(1, 2, "1>1 -1>-1", "end"), meets(1, 3, "1>1", "end")),
    )
    assert ways_out(text) == {(1, 1): {(2, 1), (3, 1)}, (2, -1): {(1, -1)}}
    assert traffic_managers_map(text, tmp_path) > 0


def test_virtual_junctions_do_not_interrupt_the_road():
    text = town(
        road(1, 100.25, section(0, "", lane(-1, to(-1))), next_road(2)),
        road(2, 100.25, section(0, "", lane(-1, back(-1))), next_road(1, "end", side="predecessor"), x=100.25),
        road(
            3,
            20.25,
            section(0, "", lane(-1, back(-1))),
            '<predecessor elementType="road" elementId="1" elementS="50" elementDir="+"/>',
            junction=9,
            x=50.0,
        ),
        '<junction id="9" type="virtual" mainRoad="1"><connection id="0" incomingRoad="1" connectingRoad="3">'
        '<laneLink from="-1" to="-1"/></connection></junction>',
    )
    assert topology(text) == {((1, -1), (2, -1))}
