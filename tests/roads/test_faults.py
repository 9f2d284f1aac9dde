"""What cannot be healed is refused in one line that says what is wrong, and never reaches the client library."""

import random
import re
import subprocess
import sys

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.roads.healing import heal_opendrive
from tests.paths import ROOT
from tests.roads.small_roads import lane, next_road, road, section, town

HAMLET = (ROOT / "td3_hpc/simulator/own_towns/Hamlet.xodr").read_text(encoding="utf-8")
TAGS = ["lane", "laneSection", "geometry", "width", "link", "road", "junction", "connection", "signal", "controller"]
DAMAGES = {
    "no road": (lambda text: re.sub(r"<road .*</road>", "", text, flags=re.S), "it has no road"),
    "no number": (lambda text: text.replace('hdg="0.0"', 'hdg="north"', 1), "hdg='north' of a <geometry>"),
    "not a number": (lambda text: text.replace('a="2.0"', 'a="nan"', 1), "a='nan' of a <width>"),
    "a number of Python's": (lambda text: text.replace('a="2.0"', 'a="2_0"', 1), "a='2_0' of a <width>"),
    "missing number": (lambda text: text.replace(' x="18.0"', "", 1), "x=None of a <geometry>"),
    "twice a road": (lambda text: text.replace('id="2" junction', 'id="1" junction', 1), "two roads have the id 1"),
    "no shape": (lambda text: text.replace("<line />", "", 1), "road 1: its <geometry> at s=0 has no shape"),
    "a gap": (lambda text: text.replace('<geometry s="0" x="18.0"', '<geometry s="9" x="18.0"', 1), "road 1: between"),
    "far away": (lambda text: text.replace('x="18.0"', 'x="1e9"', 1), "km away"),
    "no lanes": (lambda text: re.sub(r"<lanes>.*?</lanes>", "", text, count=1, flags=re.S), "road 1: it has no lanes"),
    "lane gap": (lambda text: text.replace('<lane id="-2"', '<lane id="-9"', 1), "without gaps"),
    "wrong side": (
        lambda text: text.replace("<center>", "<left>", 1).replace("</center>", "</left>", 1),
        "lane 0 stands under <left>",
    ),
    "no width": (
        lambda text: re.sub(r'("driving".*?)<width[^>]*/>', r"\1", text, count=1, flags=re.S),
        "has neither width nor border",
    ),
    "one-sided sections": (lambda text: text.replace("<laneSection", '<laneSection singleSide="true"', 1), "one side"),
    "traffic on the left": (lambda text: text.replace("RHT", "LHT", 1), "road 1: traffic on the left"),
    "twice a junction": (
        lambda text: text.replace("</OpenDRIVE>", '<junction id="500"/></OpenDRIVE>'),
        "two junctions",
    ),
}


def test_more_lanes_than_anybody_could_read():
    text = town(*(road(number, 900_000.5, y=100.0 * number) for number in range(1, 10)))
    with pytest.raises(BadInput, match=r"^x: its lanes are 24,300 km long together; cut out"):
        heal_opendrive(text, "x")


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_is_said_in_one_line(damage: str):
    change, message = DAMAGES[damage]
    text = change(HAMLET)
    assert text != HAMLET
    with pytest.raises(BadInput, match=re.escape(message)) as caught:
        heal_opendrive(text, "town.xodr")
    assert str(caught.value).startswith("town.xodr: ")
    assert "\n" not in str(caught.value)


def test_traffic_on_the_left_that_no_rule_tells():
    """As SUMO's netconvert writes it with opendrive-output.lefthand-left: lanes on the left, entered at their start."""
    arms = [road(n, 100.25, section(0, lane(1), ""), next_road(9, "", "junction")) for n in range(1, 5)]
    ways = [road(n, 20.25, section(0, lane(1), ""), junction=9) for n in range(11, 15)]
    links = [
        f'<connection id="{n}" incomingRoad="{n}" connectingRoad="{10 + n}" contactPoint="start">'
        '<laneLink from="1" to="1"/></connection>'
        for n in range(1, 5)
    ]
    text = town(*arms, *ways, f'<junction id="9" name="j">{"".join(links)}</junction>')
    with pytest.raises(
        BadInput, match=r"^x: traffic on the left, as its junctions lead it, which .*; mirror the roads"
    ):
        heal_opendrive(text, "x")
    heal_opendrive(text.replace('contactPoint="start"', 'contactPoint="end"'), "x")


def damaged(seed: int) -> str:
    """Hamlet with one random damage: values exchanged, elements lost or doubled."""
    chance, text = random.Random(seed), HAMLET
    if chance.random() < 0.5:
        places = list(re.finditer(r'="([^"]*)"', text))
        for place in sorted(chance.sample(places, 2), key=lambda place: -place.start()):
            value = chance.choice(["", "-1", "nan", "1e308", "99999", "0", "abc", "-5", "1e-9", "2147483648"])
            text = text[: place.start(1)] + value + text[place.end(1) :]
        return text
    tag = chance.choice(TAGS)
    found = list(re.finditer(rf"<{tag}[ >](?:[^>]*/>|.*?</{tag}>)", text, re.S))
    place = chance.choice(found)
    return text[: place.start()] + place.group(0) * chance.choice([0, 2]) + text[place.end() :]


def test_no_damage_crashes_or_hangs_the_client_library():
    """In a process of its own, since the library ends its process where it does not like a map."""
    program = (
        "import sys\n"
        "from tests.roads.test_faults import damaged\n"
        "from td3_hpc.errors import BadInput\n"
        "from td3_hpc.simulator.towns import parse_town\n"
        "refused = 0\n"
        "for seed in range(60):\n"
        "    print(seed, flush=True)\n"
        "    try:\n"
        "        parse_town('x', damaged(seed))\n"
        "    except BadInput:\n"
        "        refused += 1\n"
        "print('refused', refused)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    last = result.stdout.splitlines()[-1]
    assert result.returncode == 0, f"exit {result.returncode} at seed {last}: {result.stderr[-1000:]}"
    assert 5 < int(last.removeprefix("refused ")) < 60
