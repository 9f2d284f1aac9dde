"""A file that crashes, hangs or eats memory costs its reader one line, which names the part that does it."""

import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from td3_hpc.errors import BadInput, ExitCode
from td3_hpc.roads.reading import parse_opendrive
from td3_hpc.simulator.towns import trial
from td3_hpc.simulator.towns.trial import try_town
from tests.paths import ROOT
from tests.roads.healing.test_junctions import connections, way
from tests.roads.small_roads import lane, next_road, road, section, town
from tests.roads.small_roads import signal as sign

TOWN = town(*(road(number, 100.25, signals=sign(f"s{number}", "206", 50)) for number in range(1, 9)))


def crashes_on_road_5(text: str, source: str) -> None:
    if any(item.get("id") == "5" for item in parse_opendrive(text, source).findall("road")):
        os.kill(os.getpid(), signal.SIGSEGV)


def crashes_on_signal_s3(text: str, source: str) -> None:
    if any(item.get("id") == "s3" for item in parse_opendrive(text, source).iter("signal")):
        os.kill(os.getpid(), signal.SIGSEGV)


def crashes_anyway(text: str, source: str) -> None:
    os.abort()


def takes_for_ever(text: str, source: str) -> None:
    while len(parse_opendrive(text, source).findall("road")) > 2:
        pass


def fails(text: str, source: str) -> None:
    raise ZeroDivisionError("of nobody's making")


def eats_memory(text: str, source: str) -> None:
    bytearray(64 << 30)


def said_by(attempt: str) -> tuple[int, str]:
    """Exit status and output of a trial in a process of its own, as `try_town` starts one."""
    program = (
        "import sys\nfrom td3_hpc.simulator.towns import trial\nfrom tests.simulator.towns import test_trial as here\n"
        "trial.CPU_S = trial._SEARCH_S = 1\n"
        f"sys.exit(trial.run_trial(here.TOWN, 'x.xodr', here.{attempt}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        ("crashes_on_road_5", "x.xodr: the client library crashes on road 5; correct it, or delete it"),
        ("crashes_on_signal_s3", "x.xodr: the client library crashes on signal s3 of road 3;"),
        ("crashes_anyway", "x.xodr: the client library crashes on its roads; delete parts of it until it loads"),
        ("takes_for_ever", "x.xodr: reading its roads takes more than 1 s; cut out those that are needed"),
        ("fails", "x.xodr: its roads cannot be read (ZeroDivisionError: of nobody's making)"),
        ("eats_memory", "x.xodr: reading its roads takes more than 8 GiB"),
    ],
)
def test_what_is_said_of_a_file(attempt: str, message: str):
    status, said = said_by(attempt)
    assert status == ExitCode.BAD_INPUT
    assert said.startswith(f"REFUSED {message}")
    assert said.count("\n") == 1


def test_a_town_in_order_is_tried_and_nothing_is_said():
    try_town(TOWN, "x.xodr")


def test_a_refusal_is_the_trials_own():
    with pytest.raises(BadInput, match=r"^x\.xodr: it has no driving lane"):
        try_town(town(road(1, 100.25, section(0, "", lane(-1, kind="sidewalk")))), "x.xodr")


def test_ways_on_which_the_clients_traffic_manager_crashes_are_named():
    """Where ways part in one junction after the other: found before anybody drives."""
    text = town(
        road(1, 100.25, link=next_road(9, "", "junction")),
        way(3, 1, 8, 9, 100.25, onward="junction"),
        way(4, 3, 7, 8, 120.5, onward="junction"),
        way(6, 3, 12, 8, 120.5),
        way(10, 4, 13, 7, 140.75),
        way(11, 4, 14, 7, 140.75),
        *(road(number, 100.25, x=161.0) for number in (12, 13, 14)),
        connections(9, (1, 3, "start", -1)),
        connections(8, (3, 4, "start", -1), (3, 6, "start", -1)),
        connections(7, (4, 10, "start", -1), (4, 11, "start", -1)),
    )
    named = r"^x\.xodr: the client library crashes on connection \d of junction \d; correct it"
    with pytest.raises(BadInput, match=named):
        try_town(text, "x.xodr")


def test_a_trial_that_does_not_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trial, "_WALL_S", 0.01)
    began = time.monotonic()
    with pytest.raises(BadInput, match="takes too long"):
        try_town(TOWN, "x.xodr")
    assert time.monotonic() - began < 30.0


@pytest.mark.parametrize(("hard", "limits"), [(resource.RLIM_INFINITY, (100, 101)), (60, (60, 60)), (100, (100, 100))])
def test_the_machines_own_limits_are_not_raised(monkeypatch: pytest.MonkeyPatch, hard: int, limits: tuple[int, int]):
    found: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda what: (50, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda what, ends: found.append((what, ends)))
    trial._limit(resource.RLIMIT_AS, 100)
    assert found == [(resource.RLIMIT_AS, limits)]
