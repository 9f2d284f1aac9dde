"""`td3-hpc evaluate --suite`, by the command that users run, on the embedded simulator."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
name: small
overrides:
  environment.traffic.vehicles: 0
  environment.traffic.situations: [stopped_car, parked_car]
  environment.route: {{min_length_m: 100, max_length_m: 250, evaluation_routes: 4}}
towns:
{towns}
"""


def evaluate(*arguments) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "td3_hpc", "evaluate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def suite(folder: Path, **episodes: int) -> Path:
    path = folder / "small.yaml"
    towns = "\n".join(f"  - {{town: {town}, episodes: {count}}}" for town, count in episodes.items())
    path.write_text(SUITE.format(towns=towns))
    return path


def test_a_suite_is_driven_town_by_town_and_one_that_is_missing_is_said(make_run, tmp_path):
    stage, figures = make_run(**{"environment.max_decisions": 1000}).config, tmp_path / "figures.json"
    blind = "-o", "environment.reward.target_speed_kmh=20"
    path = suite(tmp_path, Town77=1, Hamlet=2)
    done = evaluate(stage, "--policy", "pure-pursuit", "--suite", path, "--json", figures, *blind)
    assert done.returncode == 0, done.stderr
    assert "Town77 is not driven: town Town77: there is none of this name" in done.stdout
    told = json.loads(figures.read_text())
    assert (told["suite"], [town["town"] for town in told["towns"]]) == ("small", ["Hamlet"])
    (run,) = told["towns"][0]["runs"]
    assert [one["situation"] for one in run["episodes"]] == ["stopped_car", "parked_car"]
    assert [one["end_reason"] for one in run["episodes"]] == ["collision", "collision"], "a blind driver got through"
    score = 100 * sum(0.6 * one["route_completion"] for one in run["episodes"]) / 2
    assert told["towns"][0]["figures"]["driving score"]["value"] == pytest.approx(score)
    assert "stopped car" in done.stdout
    assert "driving score" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--suite", "must-see", "--episodes", "3"), "it says itself which episodes are driven"),
        (("--suite", "must-hear"), "no such file, and no suite of that name is shipped; there are must-see"),
    ],
)
def test_mistakes_are_one_line(told_here, arguments, message):
    done = told_here("evaluate", "1k", "--policy", "pure-pursuit", *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_suite_without_a_town_that_is_offered_is_refused(make_run, tmp_path):
    done = evaluate(make_run().config, "--policy", "pure-pursuit", "--suite", suite(tmp_path, Town77=1))
    assert done.returncode == 2, done.stdout
    assert "td3-hpc: town Town77: there is none of this name; there are Brookfield, Hamlet" in done.stderr
