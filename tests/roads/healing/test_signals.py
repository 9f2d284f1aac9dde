"""Signals: at a road's end, without what they refer to, in the codes of several countries."""

import carla
import pytest

from td3_hpc.roads.healing import heal_opendrive
from tests.roads.small_roads import BOTH, lane, next_road, road, section, signal, town


def landmarks(*signals: str, more: str = "") -> list[carla.Landmark]:
    text = town(road(1, 100.25, BOTH, signals="".join(signals)), more)
    return carla.Map("m", heal_opendrive(text, "x").text).get_all_landmarks()


@pytest.mark.parametrize("s", [100.25, 101, 0, -1, 50])
def test_signals_stand_where_their_road_has_lanes(s: float):
    (found,) = landmarks(signal("7", "206", s))
    assert abs(found.s - s) <= 1.01
    road_map = carla.Map("m", heal_opendrive(town(road(1, 100.25, signals=signal("7", "206", s))), "x").text)
    assert road_map.get_waypoint_xodr(1, -1, found.s) is not None


def test_signals_far_beyond_their_road_are_left_out_and_said():
    text = town(road(1, 100.25, signals=signal("7", "206", 300)))
    assert "signals beyond their road's ends are left out (road 1 signal 7)" in heal_opendrive(text, "x").healed
    assert landmarks(signal("7", "206", 300)) == []


def test_references_to_what_is_not_there_are_left_out():
    reference = '<signalReference s="5" t="0" id="99" orientation="+"/>'
    controllers = (
        '<controller id="1"><control signalId="7" type="0"/><control signalId="98" type="0"/></controller>'
        '<junction id="5"><controller id="1"/><controller id="2"/></junction>'
    )
    assert [found.id for found in landmarks(signal("7", "1000001", 50), reference, more=controllers)] == ["7"]
    text = town(road(1, 100.25, signals=signal("7", "1000001", 50) + reference), controllers)
    root = heal_opendrive(text, "x").root
    assert [item.get("signalId") for item in root.iter("control")] == ["7"]
    assert [item.get("id") for item in root.findall("junction/controller")] == ["1"]


@pytest.mark.parametrize(
    ("code", "more", "value", "known", "limit"),
    [
        ("1000001", "", "-1", "1000001", None),
        ("1.000.011", 'subtype="10"', "-1", "1000001", None),
        ("1000002", "", "-1", "1000002", None),  # for pedestrians
        ("R1-1", "", "-1", "206", None),
        ("r1-2", "", "-1", "205", None),
        ("274", 'subtype="-1"', "60", "274", 60.0),
        ("274", 'subtype="-1" unit="mph"', "30", "274", 48.28),
        ("274", 'subtype="56" unit="km/h"', "-1", "274", 60.0),
        ("274-30", "", "-1", "274", 30.0),
        ("274.62", "", "-1", "274", 120.0),
        ("274", 'subtype="62"', "33.333", "274", 120.0),  # m/s, as its subtype confirms
        ("R2-1", 'subtype="-1"', "25", "274", 40.23),
        ("R2-1", 'subtype="-1" unit="km/h"', "40", "274", 40.0),
        ("274", 'subtype="-1"', "-1", "-1", None),
    ],
)
def test_codes(code: str, more: str, value: str, known: str, limit: float | None):
    (found,) = landmarks(signal("7", code, 50, more, value))
    assert found.type == known
    if limit is not None:
        assert found.value == pytest.approx(limit, abs=0.01)


def test_signals_without_an_id_get_one():
    assert len({found.id for found in landmarks(signal("", "206", 50), signal("1", "206", 60))}) == 2


def test_signals_of_one_id_stay_apart_but_for_lights():
    """Sample files of several tools give every sign the id 0; the client library keeps one signal of an id."""
    found = landmarks(signal("0", "306", 10), signal("0", "205", 20), signal("0", "274", 30, value="70"))
    assert {(mark.type, mark.s) for mark in found} == {("306", 10.0), ("205", 20.0), ("274", 30.0)}
    assert len({mark.id for mark in found}) == 3
    assert {mark.id for mark in landmarks(signal("7", "1000001", 10), signal("7", "1000001", 20))} == {"7"}


@pytest.mark.parametrize(
    ("orientation", "s", "junction_at", "lanes"),
    [
        ("+", 50, "", [(-1, -1)]),
        ("-", 50, "", [(1, 1)]),
        ("none", 50, "", [(-1, -1), (1, 1)]),
        ("+", 98, "successor", [(-1, -1)]),
        ("-", 98, "successor", [(-1, -1)]),  # the side that the light faces, as some tools write it
        ("+", 2, "predecessor", [(1, 1)]),
    ],
)
def test_a_light_that_names_no_lanes(orientation: str, s: float, junction_at: str, lanes: list[tuple[int, int]]):
    light = signal("7", "1000001", s).replace('<validity fromLane="-1" toLane="-1"/>', "")
    link = next_road(9, "", "junction", junction_at) if junction_at else ""
    text = town(
        road(1, 100.25, BOTH, link, light.replace('orientation="+"', f'orientation="{orientation}"')),
        '<junction id="9" name="j"/>',
    )
    (found,) = carla.Map("m", heal_opendrive(text, "x").text).get_all_landmarks()
    assert sorted(tuple(sorted(pair)) for pair in found.get_lane_validities()) == lanes


def test_a_light_on_a_road_of_one_lane_is_for_that_lane_whatever_its_orientation():
    light = signal("7", "1000001", 50).replace('<validity fromLane="-1" toLane="-1"/>', "")
    text = town(road(1, 100.25, section(0, lane(1), ""), signals=light))
    (found,) = carla.Map("m", heal_opendrive(text, "x").text).get_all_landmarks()
    assert list(found.get_lane_validities()) == [(1, 1)]


def test_names_with_line_breaks_and_terminal_codes_stay_on_one_line():
    text = town(road(1, 100.25, signals=signal("7&#10;8\u009b31m", "206", 300)))
    (line,) = [item for item in heal_opendrive(text, "x").healed if "beyond" in item]
    assert line.isprintable()


def test_objects_whose_place_is_no_number_are_left_out():
    objects = '<objects><object id="1" s="5" t="1+2i"/><object id="2" type="crosswalk" s="5" t="0"/></objects>'
    healed = heal_opendrive(town(road(1, 100.25).replace("<signals>", objects + "<signals>")), "x")
    assert [item.get("id") for item in healed.root.iter("object")] == ["2"]
    assert "objects whose place is no number are left out (road 1 object 1)" in healed.healed


@pytest.mark.parametrize("wrapped", [True, False])
def test_crosswalks_are_found_in_outlines_and_without(wrapped: bool):
    corners = "".join(f'<cornerLocal u="{u}" v="{v}" z="0" height="0"/>' for u, v in ((1, 3), (1, -3), (4, -3), (4, 3)))
    outline = f"<outline>{corners}</outline>"
    outline = f"<outlines>{outline}</outlines>" if wrapped else outline
    objects = f'<objects><object id="1" type="crosswalk" s="50" t="0" zOffset="0" hdg="0">{outline}</object></objects>'
    text = town(road(1, 100.25).replace("</road>", f"{objects}</road>"))
    opendrive = heal_opendrive(text, "x")
    assert len(carla.Map("m", opendrive.text).get_crosswalks()) >= 4
    said = "crosswalks have the outline where OpenDRIVE 1.4 has it (road 1 object 1)"
    assert (said in opendrive.healed) == wrapped


@pytest.mark.parametrize("s", [100.29, -0.1])
def test_a_crosswalk_a_little_beyond_its_road_stands_at_its_end(s: float):
    corners = "".join(f'<cornerLocal u="{u}" v="{v}" z="0" height="0"/>' for u, v in ((1, 3), (1, -3), (4, -3), (4, 3)))
    crosswalk = (
        f'<object id="1" type="crosswalk" s="{s}" t="0" zOffset="0" hdg="0"><outline>{corners}</outline></object>'
    )
    text = town(road(1, 100.25).replace("</road>", f"<objects>{crosswalk}</objects></road>"))
    opendrive = heal_opendrive(text, "x")
    assert len(carla.Map("m", opendrive.text).get_crosswalks()) >= 4
    assert "crosswalks beyond their road's ends stand at the end (road 1 object 1)" in opendrive.healed
