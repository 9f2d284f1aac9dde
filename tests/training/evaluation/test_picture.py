"""The test of the picture within a run: it ends a blind one, and lets it go on where it is only recommended."""

import json
import signal
from pathlib import Path

import pytest
import yaml

from td3_hpc.record import EpisodeSummary, PictureDrive
from td3_hpc.training.evaluation.picture import FOLDER, PictureTest
from tests.training.conftest import Run


def summary(ended: str) -> EpisodeSummary:
    numbers = dict.fromkeys(("return", "length", "route_completion", "route_length_m", "distance_m"), 0)
    numbers |= dict.fromkeys(("mean_speed_kmh", "collisions", "lane_invasions"), 0)
    return EpisodeSummary.model_validate({"end_reason": ended, "reward_components": {}, **numbers})


def drive(seeing: int, blind: int) -> PictureDrive:
    """Of ten situations, so many were got through."""
    with_picture, without = (
        [summary("route_completed")] * n + [summary("collision")] * (10 - n) for n in (seeing, blind)
    )
    return PictureDrive(suite="must-see", with_picture=with_picture, without_picture=without)


@pytest.mark.parametrize(
    ("ends_run", "drives", "missed"),
    [
        (True, [], False),
        (True, [drive(3, 2)], True),
        (True, [drive(4, 2)], False),
        (False, [drive(3, 2)], False),
        (True, [drive(3, 2), drive(9, 2)], False),
    ],
)
def test_missed_is_what_the_last_drive_says(ends_run: bool, drives: list[PictureDrive], missed: bool):
    assert PictureTest(1000, 20, ends_run).is_missed(drives) is missed


def gates(run: Run, **settings: object) -> None:
    run.directory.mkdir(exist_ok=True)
    off = {"action_saturation": False, "buffer_operations": False, "pixels_reach_heads": False}
    picture = {"picture_matters": {"from_step": 20, **settings}}
    (run.directory / "gates.yaml").write_text(yaml.safe_dump({**off, **picture}))


def checkpoints(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "state").glob("checkpoint-*.json"))


@pytest.mark.long
def test_a_run_that_does_not_look_is_ended_with_its_checkpoint_and_goes_on_when_that_is_only_recommended(make_run):
    run = make_run(**{"environment.max_decisions": 8, "evaluation.simulators": 2})
    gates(run)
    run.start()
    kept_episodes = run.directory / FOLDER
    (first,) = run.wait_for(lambda run: list(kept_episodes.glob("with-picture-*.json")))
    run.wait_for(lambda run: len(json.loads(first.read_text())) >= 5)
    run.process.send_signal(signal.SIGTERM)
    code, output = run.finish()
    assert code == 75, output
    assert not run.events("picture")
    driven = json.loads(first.read_text())
    first.write_text(json.dumps({number: {**episode, "return": 4321.0} for number, episode in driven.items()}))

    code, output = run.train()
    assert code == 3, output
    (told,) = run.events("picture")
    assert [e["return"] == 4321.0 for e in told["with_picture"]] == [str(n) in driven for n in range(21)]
    assert not kept_episodes.exists()
    ready = {(e["purpose"], e.get("simulator")) for e in run.events("simulator") if e["state"] == "ready"}
    assert ready == {("training", None), ("evaluation", None), ("evaluation", 1)}, "the test's took others' places"
    assert "must-see, 21 situations: success 0 % seeing, 0 % blind" in output
    assert "NO-GO: Picture matters: " in output
    assert "The run ended there, at step 20." in output
    assert [event["step"] for event in run.events("picture")] == [20]
    verdict = json.loads((run.directory / "verdict.json").read_text())
    assert verdict["step"] == 20
    kept = checkpoints(run.directory)
    assert "s000000020" in kept[-1], kept

    code, output = run.train()
    assert code == 3, output
    assert checkpoints(run.directory) == kept, "nothing was done"

    gates(run, severity="recommended")
    code, output = run.train()
    assert run.events("finished"), output
    assert [event["step"] for event in run.events("picture")] == [20], "it was tested again"
    assert code in (0, 3), output
    assert "NO-GO: Picture matters" not in output


@pytest.mark.long
def test_the_test_changes_nothing_else(make_run):
    means = []
    for name, test in (("tested", {"severity": "recommended"}), ("untested", {"from_step": 10_000})):
        run = make_run(name, **{"environment.max_decisions": 8})
        gates(run, **test)
        run.train()
        assert bool(run.events("picture")) == (name == "tested")
        means.append([event["means"] for event in run.events("evaluation")])
    assert means[0] == means[1]
