"""`td3-hpc town`: what a town holds, in the words of who asks; what it cannot be driven for is one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from td3_hpc.report.town_facts import town_facts
from td3_hpc.simulator.towns import load_town, parse_town
from tests.roads.small_roads import lane, next_road, road, section, signal, to, town

NASTY = "&lt;script&gt;alert(1)&lt;/script&gt; $\\frac{1}{0}$ [/red]&#10;"


def facts_of(text: str, min_length_m: float = 30.0, max_length_m: float = 200.0) -> dict[str, str]:
    found, _ = town_facts(parse_town("t", text), min_length_m, max_length_m)
    return dict(reversed(found)) | {"missing": "; ".join(answer for question, answer in found if question == "missing")}


def test_a_road_with_a_light_a_sign_and_a_limit():
    walk = lane(-2, kind="sidewalk")
    text = town(
        road(
            1,
            1000.5,
            section(0, lane(1), lane(-1) + walk),
            signals=signal("1", "1000001", 900) + signal("2", "206", 950) + signal("3", "274", 10, value="60"),
        )
    )
    facts = facts_of(text)
    assert facts["roads"] == "1 of 1.0 km, and 0 within junctions"
    assert facts["lanes"] == "2 driving (2.0 km), 1 sidewalk (1.0 km)"
    assert facts["traffic lights"].startswith("1,")
    assert facts["signs"] == "1 speed_limit 60, 1 stop"
    assert "30 km/h (5" in facts["speed limits"]
    assert facts["dead ends"] == "2 driving lanes lead nowhere (1)"
    assert facts["routes"].startswith("10 held-out ones of 30 to 200 m, the middle one ")
    assert facts["missing"] == "crosswalks"


def test_what_a_short_road_lacks():
    facts = facts_of(town(road(1, 40.5)), min_length_m=500, max_length_m=600)
    assert "change environment.route" in facts["routes"]
    assert "traffic lights: none" in facts["missing"]
    assert "speed limits: there are neither signs" in facts["missing"]


def test_brookfield_holds_what_it_was_made_with():
    found, routes = town_facts(load_town("Brookfield", None), 150.0, 400.0)
    facts = dict(found)
    assert len(routes) == 10
    assert facts["healed"] == "nothing had to be"
    assert "0 driving lanes lead nowhere" in facts["dead ends"]
    assert facts["gaps"] == "none between lanes that follow each other"


def test_lanes_that_no_car_drives_on_along_are_told():
    text = town(
        road(1, 100.25, section(0, "", lane(-1, to(-1))), next_road(2)),
        road(2, 50.5, section(0, "", lane(-1)), x=105.0),
    )
    assert facts_of(text)["gaps"].startswith("1 lanes that follow each other jump")
    assert "(1 to 2)" in facts_of(text)["gaps"]


def test_crosswalks_are_those_that_the_client_library_sees():
    corners = "".join(f'<cornerLocal u="{u}" v="{v}" z="0"/>' for u, v in ((0, 3), (0, -3), (4, -3), (4, 3)))
    road_corners = corners.replace("cornerLocal u", "cornerRoad s").replace(" v=", " t=").replace(" z=", " dz=")
    outlines = {"7": f"<outline>{corners}</outline>", "8": "", "9": f"<outline>{road_corners}</outline>"}
    crosswalks = "".join(
        f'<object id="{name}" type="crosswalk" s="50" t="0" zOffset="0" hdg="0" length="3" width="6">{outline}</object>'
        for name, outline in outlines.items()
    )
    text = town(road(1, 100.25).replace("<signals>", f"<objects>{crosswalks}</objects><signals>"))
    assert len(parse_town("t", text).map.get_crosswalks()) == 4
    facts = facts_of(text)
    assert facts["crosswalks"] == "1"
    assert "2 crosswalks without an outline of <cornerLocal>, the only one that is read (8, 9)" in facts["missing"]


@pytest.mark.parametrize(
    "profile", ['<superelevation s="0" a="0.05" b="0" c="0" d="0"/>', '<shape s="0" t="-3" a="0" b="0.1" c="0" d="0"/>']
)
def test_what_tilts_a_road_is_missing(profile: str):
    flat = profile.replace("0.05", "0").replace("0.1", "0")
    texts = [
        town(road(1, 100.25).replace("<lateralProfile/>", f"<lateralProfile>{p}</lateralProfile>"))
        for p in (profile, flat)
    ]
    tilted, level = (facts_of(text) for text in texts)
    assert tilted["heights"] == level["heights"] == "0.0 to 0.0 m"
    assert "superelevation and shape of 1 roads, which the client library lays level (1)" in tilted["missing"]
    assert "superelevation" not in level["missing"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "td3_hpc", "town", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_command_with_a_picture_and_names_that_mean_harm(tmp_path: Path, suffix: str):
    file = tmp_path / "$x_{1}$<b>&.xodr"
    file.write_text(town(road(1, 300.5, signals=signal(NASTY, "206", 800))).replace('name="r"', f'name="{NASTY}"'))
    picture = tmp_path / f"town{suffix}"
    done = run(str(file), "--picture", str(picture), "--min-length", "30", "--max-length", "100")
    assert done.returncode == 0, done.stderr
    assert "signals beyond their road's ends are left out" in done.stdout
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")
    assert b"<script" not in data
    assert b"<b>" not in data
    again = run(str(file), "--picture", str(picture), "--min-length", "30", "--max-length", "100")
    assert again.returncode == 0
    assert picture.read_bytes() == data


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["BAD"], "bad.xodr: it has no driving lane; give a lane the type driving"),
        (["Hamlett"], "did you mean Hamlet?"),
        (["Hamlet", "--min-length", "300", "--max-length", "200"], "--max-length 200 is below --min-length 300"),
        (["Hamlet", "--picture", "town.gif"], "--picture town.gif: the name ends neither in .png nor in .svg"),
        (["Hamlet", "--picture", "/nowhere/town.png"], "--picture /nowhere/town.png: cannot be written"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: list[str], message: str):
    bad = tmp_path / "bad.xodr"
    bad.write_text(town(road(1, 100.25, section(0, "", lane(-1, kind="sidewalk")))))
    done = run(*(str(bad) if argument == "BAD" else argument for argument in arguments))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("td3-hpc: ")
