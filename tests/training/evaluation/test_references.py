"""Reference drives: at a real run's end, from the cache, after an interruption."""

import json
import shutil
import signal
import subprocess
import sys

import pytest
import yaml

from td3_hpc.config import StageConfig, load_stage
from td3_hpc.gates.verdict import judge
from td3_hpc.training.evaluation.policies import THROTTLES
from td3_hpc.training.evaluation.references import REFERENCES, kept_references
from tests.training.conftest import run_factory
from tests.training.evaluation.test_kept_episodes import SUMMARY

DRIVING = {
    "agent.discount": 0.8,
    "environment.max_decisions": 25,
    "environment.route.evaluation_routes": 4,
    "evaluation.final_episodes": 3,
    "evaluation.simulators": 2,
}
"""Long enough for the drivers to get to different places, and for returns that are known nearly whole."""


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache that no other test has used."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(cache):
    """Of each driver; others keep something in the user's cache, too."""
    return {path.stem: path for path in cache.glob("td3-hpc/references/*/*.json")}


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    """A run that has ended, and the cache that it found empty; tests leave both as they are."""
    folder = tmp_path_factory.mktemp("driven")
    with run_factory(folder) as make, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        run = make("one", **DRIVING)
        code, output = run.train()
    assert code in (0, 3), output
    return run, folder / "cache"


def test_a_run_ends_with_the_drivers_on_its_last_cycle_s_episodes(driven, tmp_path, monkeypatch):
    run, cache = driven
    first, last = run.events("evaluation")
    assert [len(first["episodes"]), len(last["episodes"])] == [1, 3]
    drives = {event["policy"]: event for event in run.events("reference")}
    assert tuple(drives) == REFERENCES
    for event in drives.values():
        assert event["step"] == last["step"]
        assert [episode["route"] for episode in event["episodes"]] == [0, 1, 2]
        assert [episode["route_length_m"] for episode in event["episodes"]] == [
            episode["route_length_m"] for episode in last["episodes"]
        ]
    names = {*(f"constant-{throttle}" for throttle in THROTTLES), "random", "pure-pursuit"}
    assert set(files(cache)) == names

    assert "policy_motion" not in first or first["policy_motion"] is None
    assert last["policy_motion"] > 0
    assert last["value_states"] >= 3, "the first state of each episode, at least"
    gates = {gate.name: gate for gate in judge(run.directory).gates}
    assert gates["above_constant"].why == "the stage has 3 episodes, 20 are needed: evaluation.final_episodes"
    assert [item.count for item in gates["above_constant"].evidence] == [1, 1]

    ready = [event for event in run.events("simulator") if event["state"] == "ready"]
    assert {event.get("simulator") for event in ready if event["purpose"] == "evaluation"} == {None, 1}

    constant = drives["constant"]
    means = {
        throttle: sum(
            episode["route_completion"]
            for episode in json.loads(files(cache)[f"constant-{throttle}"].read_text()).values()
        )
        for throttle in THROTTLES
    }
    assert means[constant["throttle"]] == max(means.values())

    # Driven anew on one simulator, where the run had two that shared the episodes: each is what its number makes it.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert evaluated(run, "checkpoint", tmp_path, "-o", "evaluation.simulators=1")["episodes"] == last["episodes"]
    again = evaluated(run, "random", tmp_path, "-o", "evaluation.simulators=1")
    assert again["episodes"] == drives["random"]["episodes"]


def evaluated(run, policy, folder, *options):
    """What `td3-hpc evaluate` makes of the last cycle's episodes with a policy."""
    figures = folder / "figures.json"
    command = [sys.executable, "-m", "td3_hpc", "evaluate", str(run.directory), "--policy", policy, "--episodes", "3"]
    done = subprocess.run([*command, "--json", str(figures), *options], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    (driven,) = json.loads(figures.read_text())["runs"]
    return driven


def test_what_is_kept_is_not_driven_again_and_what_cannot_be_read_is(make_run, driven, own_cache):
    other = make_run("two", seed=7, **DRIVING)
    shutil.copytree(driven[1], own_cache)
    marked, damaged = files(own_cache)["pure-pursuit"], files(own_cache)["random"]
    kept = json.loads(marked.read_text())
    kept["1"]["return"] = 4321.0
    marked.write_text(json.dumps(kept))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:100])
    assert other.train()[0] in (0, 3)
    (drive,) = [event for event in other.events("reference") if event["policy"] == "pure-pursuit"]
    assert drive["episodes"][1]["return"] == 4321.0
    assert damaged.read_bytes() == whole, "another seed's run meets the same situations, and drives the same in them"


def test_a_drive_that_is_stopped_goes_on_where_it_was(make_run, own_cache):
    run = make_run(**{**DRIVING, "evaluation.final_episodes": 2})
    run.start()
    run.wait_for(lambda run: len(files(own_cache)) >= 3)
    run.process.send_signal(signal.SIGTERM)
    code, output = run.finish()
    assert code == 75, output
    assert not run.events("finished")
    driven = {path: path.stat().st_ino for path in files(own_cache).values() if len(json.loads(path.read_text())) == 2}
    assert driven
    code, output = run.train()
    assert code in (0, 3), output
    assert [event["policy"] for event in run.events("reference")] == list(REFERENCES)
    assert all(path.stat().st_ino == number for path, number in driven.items()), "what was driven was driven again"
    assert len(run.events("evaluation")) == 2, "a finished cycle was driven again"


# ---- the cache by itself
@pytest.fixture
def config(tmp_path):
    def make(**changes) -> StageConfig:
        stage = {"name": "x", "training": {"total_steps": 900, "learning_starts": 9}}
        (tmp_path / "x.yaml").write_text(yaml.safe_dump(stage))
        return load_stage(tmp_path / "x.yaml", [f"{key}={value}" for key, value in changes.items()])

    return make


@pytest.mark.parametrize(
    ("changes", "roads", "kept"),
    [
        ({"seed": 5, "agent.tau": 0.1, "environment.traffic.port": 0, "evaluation.episodes": 9}, "roads", True),
        ({}, "other roads", False),
        ({"environment.traffic.vehicles": 3}, "roads", False),
        ({"environment.route.evaluation_routes": 3}, "roads", False),
        ({"environment.vehicle": "vehicle.audi.tt"}, "roads", False),
        ({"environment.reward.target_speed_kmh": 25}, "roads", False),
    ],
)
def test_what_an_episode_depends_on_makes_another_one(own_cache, config, changes, roads, kept):
    kept_references(config(), "roads").write("random", {0: SUMMARY})
    assert bool(kept_references(config(**changes), roads).read("random")) == kept
