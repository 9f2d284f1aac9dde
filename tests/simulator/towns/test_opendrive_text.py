"""Damaged OpenDRIVE text is refused in one line that says what is wrong, and never reaches the client library."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.simulator.towns.opendrive_text import parse_opendrive, read_opendrive
from tests.paths import ROOT

HAMLET = (ROOT / "td3_hpc/simulator/own_towns/Hamlet.xodr").read_text(encoding="utf-8")
TAGS = ["lane", "laneSection", "geometry", "width", "link", "road", "junction", "connection", "signal", "controller"]
DAMAGES = {
    "cut off": (lambda text: text[: len(text) // 2], "not well-formed XML"),
    "not xml": (lambda text: "hello", "not well-formed XML"),
    "another format": (lambda text: "<html></html>", "root element is <html>"),
    "entities": (lambda text: text.replace("<OpenDRIVE>", "<!DOCTYPE x><OpenDRIVE>"), "document type"),
    "no road": (lambda text: re.sub(r"<road .*</road>", "", text, flags=re.S), "it has no road"),
    "no number": (lambda text: text.replace('hdg="0.0"', 'hdg="north"', 1), "hdg='north' of a <geometry>"),
    "not a number": (lambda text: text.replace('a="2.0"', 'a="nan"', 1), "a='nan' of a <width>"),
    "missing number": (lambda text: text.replace(' x="18.0"', "", 1), "x=None of a <geometry>"),
    "twice a road": (lambda text: text.replace('id="2" junction', 'id="1" junction', 1), "two roads have the id 1"),
    "no shape": (lambda text: text.replace("<line />", "", 1), "road 1: a <geometry> has no shape"),
    "a gap": (lambda text: re.sub(r"<geometry.*?</geometry>", "", text, count=1, flags=re.S), "road 1: it has no"),
    "too short": (lambda text: text.replace('length="74.0"', 'length="500"', 1), "geometries end at s=74"),
    "far away": (lambda text: text.replace('x="18.0"', 'x="1e9"', 1), "km away"),
    "no lanes": (lambda text: re.sub(r"<lanes>.*?</lanes>", "", text, count=1, flags=re.S), "road 1: it has no lanes"),
    "lane gap": (lambda text: text.replace('<lane id="-2"', '<lane id="-9"', 1), "without gaps"),
    "road link": (lambda text: text.replace('elementId="500"', 'elementId="77"', 1), "junction 77, is not there"),
    "connection": (lambda text: text.replace('incomingRoad="1"', 'incomingRoad="77"', 1), "77 is not there"),
    "controller": (lambda text: text.replace('signalId="5020"', 'signalId="7"', 1), "its signal 7 is not there"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_is_said_in_one_line(damage: str):
    change, message = DAMAGES[damage]
    text = change(HAMLET)
    assert text != HAMLET
    with pytest.raises(BadInput, match=re.escape(message)) as caught:
        parse_opendrive(text, "town.xodr")
    assert str(caught.value).startswith("town.xodr: ")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "latin.xodr").write_bytes("<OpenDRIVE>Zürich</OpenDRIVE>".encode("latin-1"))
    with pytest.raises(BadInput, match=r"latin\.xodr: damaged, not UTF-8 text at byte 12"):
        read_opendrive(tmp_path / "latin.xodr")
    for name in ("missing.xodr", "."):
        with pytest.raises(BadInput, match="cannot be read"):
            read_opendrive(tmp_path / name)


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
        "from tests.simulator.towns.test_opendrive_text import damaged\n"
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
    assert 15 < int(last.removeprefix("refused ")) < 60
