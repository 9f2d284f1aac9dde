"""A stub lies before the road that it leads to, with its lanes, and drives on those that are asked for."""

import xml.etree.ElementTree as ET

import carla
import pytest

from td3_hpc.roads.healing import heal_opendrive
from td3_hpc.roads.healing.stubs import stub_before
from tests.roads.small_roads import back, lane, next_road, road, section, town

RISE = '<elevation s="0" a="3" b="0" c="0" d="0"/>'


def test_a_stub_lies_before_its_road_as_high_and_as_wide():
    sections = section(0, lane(1), lane(-1, back(-1)) + lane(-2, kind="sidewalk"))
    ahead = road(2, 50.25, sections, x=10.0, y=5.0, heading=1.0, elevation=RISE)
    stub = stub_before(ET.fromstring(ahead), {-1: -4})
    stub.attrib |= {"id": "3", "junction": "-1"}
    link = stub.find("link")
    assert link is not None
    link.append(ET.fromstring(next_road(2)))
    text = town(ahead.replace("<link></link>", f"<link>{next_road(3, 'end', side='predecessor')}</link>", 1))
    text = text.replace("</OpenDRIVE>", ET.tostring(stub, encoding="unicode") + "</OpenDRIVE>")
    road_map = carla.Map("m", heal_opendrive(text, "x").text)
    there, here = (road_map.get_waypoint_xodr(number, -1, 1e-3) for number in (2, 3))
    assert here.transform.location.distance(there.transform.location) == pytest.approx(2e-3, abs=1e-4)
    assert here.transform.rotation.yaw == pytest.approx(there.transform.rotation.yaw)
    assert here.lane_width == 3.5
    kinds = {found.get("id"): found.get("type") for found in stub.iter("lane")}
    assert kinds == {"1": "none", "0": "none", "-1": "driving", "-2": "sidewalk"}
    assert [w.road_id for w in here.next(1.0)] == [2]
