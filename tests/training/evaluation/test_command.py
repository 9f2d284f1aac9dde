"""`td3-hpc evaluate`, by the command that users run, on the embedded simulator."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from tests.training.conftest import run_factory


def evaluate(*arguments):
    command = [sys.executable, "-m", "td3_hpc", "evaluate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_who_drives_makes_a_difference_and_the_drive_is_filmed(make_run, tmp_path):
    stage = make_run(**{"environment.max_decisions": 60}).config
    completion = {}
    film = tmp_path / "traffic-manager.gif"
    for policy, options in {"traffic-manager": ("--video", film), "random": ()}.items():
        figures = tmp_path / f"{policy}.json"
        done = evaluate(stage, "--policy", policy, "--episodes", 2, "--json", figures, *options)
        assert done.returncode == 0, done.stderr
        assert "route completion" in done.stdout
        driven = json.loads(figures.read_text())
        completion[policy] = driven["figures"]["route completion"]["value"]
        (episodes,) = [run["episodes"] for run in driven["runs"]]
        assert [item["route"] for item in episodes] == [0, 1]
        if policy == "traffic-manager":
            with Image.open(film) as pictures:
                assert pictures.size == (480, 270)
                # every other decision, and of equal pictures one
                assert pictures.n_frames >= episodes[0]["length"] // 4
    assert completion["traffic-manager"] > completion["random"]


def test_the_best_constant_driver_is_told_with_its_throttle_and_filmed(make_run, tmp_path):
    stage = make_run(**{"environment.max_decisions": 30}).config
    film, figures = tmp_path / "constant.gif", tmp_path / "constant.json"
    done = evaluate(stage, "--policy", "constant", "--episodes", 1, "--video", film, "--json", figures)
    assert done.returncode == 0, done.stderr
    (driven,) = json.loads(figures.read_text())["runs"]
    assert driven["throttle"] in [tenths / 10 for tenths in range(1, 11)]
    assert f"the best of ten, throttle {driven['throttle']:g}" in done.stdout
    assert film.stat().st_size


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that has ended, with three evaluation cycles; tests leave it as it is."""
    with run_factory(tmp_path_factory.mktemp("trained")) as make:
        run = make(**{"training.total_steps": 24, "evaluation.every_steps": 8, "seed": 2})
        code, output = run.train()
        assert code == 0, output
        yield run


def test_a_checkpoint_drives_the_same_again_and_otherwise_when_blinded(trained, tmp_path):
    run = trained
    episodes = {}
    for name, options in {"seeing": (), "blind": ("--without", "vector")}.items():
        figures = tmp_path / f"{name}.json"
        done = evaluate(run.directory, "--episodes", 1, "--json", figures, *options)
        assert done.returncode == 0, done.stderr
        episodes[name] = json.loads(figures.read_text())["runs"][0]["episodes"]
    assert episodes["seeing"] != episodes["blind"]
    assert run.events("evaluation")[-1]["episodes"] == episodes["seeing"], "not the same again as during the run"


def test_several_runs_are_figured_together_each_by_its_best_checkpoint(trained, tmp_path):
    run = trained
    returns = {event["step"]: event["means"]["return"] for event in run.events("evaluation")}
    figures = tmp_path / "figures.json"
    done = evaluate(run.directory, run.directory, "--best", "--episodes", 1, "--json", figures)
    assert done.returncode == 0, done.stderr
    driven = json.loads(figures.read_text())
    best = max(returns, key=returns.get)
    assert [one["step"] for one in driven["runs"]] == [best, best]
    assert "2 runs of 1 episode" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--policy", "random", "--best"), "has no checkpoint"),
        (("--video", "drive.avi"), "a film is written as .gif or .mp4"),
        (("--policy", "random", "--first-route", "10"), "there are 10 held-out routes"),
        (("--policy", "random", "--without", "radar"), "the observation holds no radar; it holds image"),
        ((), "no checkpoint"),
        (("--policy", "random", "--json", "."), ".: is a folder; name a file"),
    ],
)
def test_bad_input_is_one_line(make_run, told_here, arguments, message):
    run = make_run()
    run.directory.mkdir()
    path = run.config if "random" in arguments else run.directory
    done = told_here("evaluate", path, *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"environment.ticks_per_action": 4}, "seconds of a decision 0.2, "),
        ({"environment.route.evaluation_routes": 5}, "episodes 5, "),
        ({"environment.town": "Brookfield"}, "environment.town Brookfield, "),
        ({"environment.route.max_length_m": 119}, "environment.route.max_length_m 119"),
    ],
)
def test_runs_that_are_not_alike_are_not_figured_together(make_run, told_here, tmp_path, changes, message):
    one, other = make_run("one"), make_run("other", **changes)
    figures = tmp_path / "figures.json"
    done = told_here("evaluate", one.config, other.config, "--policy", "random", "--json", figures)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "figures over both need the same" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
