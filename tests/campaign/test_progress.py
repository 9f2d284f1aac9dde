"""How far a run has come, from whatever is in its directory."""

import json
import os
from pathlib import Path
from typing import Any

from td3_hpc.campaign.progress import read_progress
from td3_hpc.config import StageConfig, dump_yaml
from tests.campaign_stand_in import STAGE


def event(kind: str, step: int, time: float, **fields: Any) -> str:
    return json.dumps({"event": kind, "step": step, "time": time, **fields}) + "\n"


def interval(first: int, last: int, time: float) -> str:
    return event("interval", last, time, first_step=first, last_step=last, steps_per_second=99.0)


def make_run(folder: Path, *lines: str) -> Path:
    run = folder / "run"
    (run / "state").mkdir(parents=True)
    stage = {"name": "a", "seed": 7, **STAGE, "training": {"total_steps": 100, "learning_starts": 2}}
    (run / "config.yaml").write_text(dump_yaml(StageConfig.model_validate(stage)))
    (run / "record.jsonl").write_text("".join(lines))
    return run


def test_speed_and_time_left_count_evaluation_in_and_earlier_attempts_out(tmp_path: Path) -> None:
    run = make_run(
        tmp_path,
        event("attempt", 0, 0.0, epoch=1),
        interval(1, 10, 1.0),
        event("attempt", 10, 1000.0, epoch=2),
        interval(11, 20, 1010.0),
        event("evaluation", 20, 1025.0),
        interval(21, 40, 1050.0),
    )

    progress = read_progress(run, now=1060.0)

    assert (progress.state, progress.step, progress.total_steps, progress.seed) == ("started", 40, 100, 7)
    assert progress.steps_per_second == 20 / 40
    assert progress.seconds_left == 60 / 0.5
    assert progress.attempts == 2


def test_the_newest_checkpoint_and_its_age(tmp_path: Path) -> None:
    run = make_run(tmp_path, event("attempt", 0, 0.0, epoch=1))
    for name in ("checkpoint-e0001-s000000050-0002.json", "checkpoint-e0002-s000000030-0001.json"):
        (run / "state" / name).touch()
        os.utime(run / "state" / name, (900.0, 900.0 if "e0001" in name else 940.0))

    progress = read_progress(run, now=1000.0)

    assert progress.checkpoint_age_s == 60.0
    assert progress.checkpoint_step == 30, "the one that a resume takes: of the newest attempt"


def test_a_finished_run_whose_checkpoints_do_not_reach_as_far_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path, event("attempt", 0, 0.0, epoch=1), interval(1, 100, 9.0), event("finished", 100, 10.0))
    (run / "state" / "checkpoint-e0001-s000000100-0002.json").touch()
    assert read_progress(run).note == ""

    (run / "state" / "checkpoint-e0001-s000000100-0002.json").rename(
        run / "state" / "checkpoint-e0001-s000000050-0001.json"
    )

    progress = read_progress(run)
    assert progress.state == "finished"
    assert progress.note == "its newest checkpoint is of step 50, from which `train` goes on"


def test_alerts_that_are_on(tmp_path: Path) -> None:
    run = make_run(
        tmp_path,
        event("attempt", 0, 0.0, epoch=1),
        event("alert", 10, 1.0, name="q_magnitude", active=True),
        event("alert", 20, 2.0, name="td_error", active=True),
        event("alert", 30, 3.0, name="q_magnitude", active=False),
    )

    assert read_progress(run).alerts == ("td_error",)


def test_alerts_that_were_raised_before_the_part_that_is_read(tmp_path: Path) -> None:
    on = event("interval", 100, 3.0, first_step=91, last_step=100, alerts=["td_error", "q_magnitude"])
    over = event("alert", 100, 3.0, name="q_magnitude", active=False)
    run = make_run(tmp_path, event("attempt", 0, 0.0, epoch=1), on, over, interval(101, 110, 4.0))

    assert read_progress(run).alerts == ("td_error",)


def test_why_a_run_failed(tmp_path: Path) -> None:
    run = make_run(tmp_path, event("attempt", 0, 0.0, epoch=1), event("failed", 4, 1.0, reason="NaN in update 3\nmore"))

    progress = read_progress(run)

    assert (progress.state, progress.note, progress.seconds_left) == ("failed", "NaN in update 3", None)


def test_a_verdict_of_before_does_not_hide_a_run_that_goes_on(tmp_path: Path) -> None:
    verdict = {"verdict": "NO-GO", "reason": "Blind.", "stage": "a", "step": 50, "written": "1970-01-01T00:01:00+00:00"}
    bound = {"simulator": {"kind": "embedded", "version": "0.9.16"}, "town": "Hamlet", "config_sha256": "0"}
    verdict |= {"gates": [], "bound_to": bound | {"code_sha256": "0", "image_sha256": None}}
    before = event("attempt", 0, 0.0, epoch=1), interval(1, 50, 59.9)
    run = make_run(tmp_path, *before)
    (run / "verdict.json").write_text(json.dumps(verdict))
    assert (read_progress(run).state, read_progress(run).note) == ("NO-GO", "Blind.")

    with (run / "record.jsonl").open("a") as record:
        record.write(event("attempt", 50, 90.0, epoch=2) + interval(51, 60, 100.0))

    progress = read_progress(run)
    assert (progress.state, progress.note) == ("started", "")
    assert progress.seconds_left is not None


def test_an_empty_or_damaged_directory_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    assert read_progress(tmp_path).state == "not started"
    run = make_run(tmp_path, event("attempt", 0, 0.0, epoch=1), interval(1, 10, 1.0), '{"event": "inter')
    (run / "config.yaml").write_text("training: [")
    (run / "verdict.json").write_text("{")

    progress = read_progress(run)

    assert (progress.step, progress.total_steps, progress.state) == (10, None, "finished")
    assert "verdict.json: damaged" in progress.note


def test_of_a_long_record_the_end_is_enough(tmp_path: Path) -> None:
    lines = [event("attempt", 0, 0.0, epoch=1), *(interval(step, step, float(step)) for step in range(1, 20_001))]
    run = make_run(tmp_path, *lines)

    progress = read_progress(run)

    assert (progress.state, progress.step, progress.steps_per_second) == ("started", 20_000, 1.0)
