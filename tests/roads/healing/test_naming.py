"""Namespaces and ids: the roads stay, under names that the client library can read and tell apart."""

import carla

from td3_hpc.roads.healing import heal_opendrive
from tests.roads.small_roads import BOTH, lane, next_road, road, section, to, town


def test_namespaces_are_left_out():
    healed = heal_opendrive(town(road(1, 300.5), attributes=' xmlns="http://code.asam.net/opendrive"'), "x")
    assert healed.root.tag == "OpenDRIVE"
    assert len(healed.root.findall("road")) == 1
    assert "namespaces are left out" in healed.healed[0]


def test_names_that_are_no_numbers_become_numbers():
    text = town(
        road("north", 100.25, section(0, "", lane(-1, to(-1))), next_road("24000000009")),
        road("24000000009", 50.25, x=100.25),
    )
    healed = heal_opendrive(text, "x")
    ids = [item.get("id") for item in healed.root.findall("road")]
    assert all(name.isdigit() and int(name) < 2**31 for name in ids)
    link = healed.root.find("road/link/successor")
    assert link.get("elementId") == ids[1]
    assert "road 'north' is" in "; ".join(healed.healed)


def test_a_junction_that_has_a_roads_id_gets_its_own():
    """The client library would lead the traffic of road 1 into road 2, which has the junction's id."""
    text = town(
        road(1, 100.25, section(0, "", lane(-1)), next_road(2, "", "junction")),
        road(2, 60.25, section(0, "", lane(-1)), x=500.0),
        road(3, 20.25, section(0, "", lane(-1)), junction=2, x=100.25),
        '<junction id="2" name="j"><connection id="0" incomingRoad="1" connectingRoad="3" contactPoint="start">'
        '<laneLink from="-1" to="-1"/></connection></junction>',
    )
    links = {(a.road_id, b.road_id) for a, b in carla.Map("m", heal_opendrive(text, "x").text).get_topology()}
    assert (1, 3) in links
    assert (1, 2) not in links


def test_roads_without_the_attribute_are_outside_junctions():
    text = town(road(1, 300.5, BOTH)).replace(' junction="-1"', "")
    assert not carla.Map("m", heal_opendrive(text, "x").text).get_topology()[0][0].is_junction


def test_text_in_order_is_served_as_it_is():
    text = town(road(1, 300.123, section(0, lane(1), lane(-1, kind="driving")))).replace("300.123", "300.12300")
    healed = heal_opendrive(text, "x")
    again = heal_opendrive(healed.text, "x")
    assert again.text == healed.text
    assert again.healed == ()
