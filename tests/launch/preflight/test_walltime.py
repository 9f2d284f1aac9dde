"""Steps against time limits: attempts counted, and what would get nowhere refused."""

import json
from pathlib import Path

import pytest

from td3_hpc.checkpoint_names import newest_step
from td3_hpc.launch.preflight.finding import Doubt, Mistake, NotLearnt
from td3_hpc.launch.preflight.walltime import (
    REFERENCE_DRIVERS,
    Rate,
    check_checkpoint_interval,
    check_evaluation_cycle,
    check_signal_lead,
    check_walltime,
    seconds_left,
)
from td3_hpc.training.evaluation.policies import THROTTLES
from td3_hpc.training.evaluation.references import REFERENCES
from tests.launch.preflight.plans import doctor, plan

MILLION = ("training.total_steps=1e6", "training.learning_starts=10_000", "evaluation.every_steps=10_000")


def record(run_dir: Path, *events: dict) -> None:
    run_dir.mkdir(exist_ok=True)
    (run_dir / "record.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


def interval(last_step: int, rate: float) -> dict:
    steps = {"step": last_step, "first_step": last_step - 9, "last_step": last_step}
    return {"event": "interval", **steps, "steps_per_second": rate}


def test_attempts_are_counted_from_the_stated_rate(tmp_path: Path) -> None:
    # 1e6 / 10 + (100 cycles of 3 episodes of 1000 decisions + 3 reference drives of 2000) / 10 = 130,600 s, and the
    # picture's test (2 * 56 episodes of 1500) / 10 = 16,800 s, in attempts of 600 - 3 - 0.5 minutes.
    found = check_walltime(plan(tmp_path / "run", *MILLION, rate=10, walltime_minutes=600, scheduler="slurm"))

    assert found.startswith("1000000 steps at 10.0/s (stated) and evaluation: about 40.9 h, 5 attempts of 600")


def test_exploration_and_evaluation_go_at_the_simulators_rate(tmp_path: Path) -> None:
    whole = plan(tmp_path / "run", *MILLION)

    references, picture = 3 * 2000 / 100, 2 * 56 * 1500 / 100
    expected = 10_000 / 100 + 990_000 / 10 + 100 * 3 * 1000 / 100 + references
    assert seconds_left(whole, Rate(100.0, 10.0, "")) == expected + picture

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "gates.yaml").write_text("picture_matters: false")
    assert seconds_left(whole, Rate(100.0, 10.0, "")) == expected, "the campaign does not ask for the test"


def test_the_reference_drivers_are_counted_once_and_share_the_evaluations_simulators(tmp_path: Path) -> None:
    assert len(THROTTLES) + len(REFERENCES) - 1 == REFERENCE_DRIVERS
    rate = Rate(100.0, 10.0, "")
    shared = ("evaluation.simulators=2", "evaluation.final_episodes=10")
    without = 500 / 100 + 500 / 10 + (3 + 10) * 1000 / 100

    assert seconds_left(plan(tmp_path / "run", *shared), rate) == without + 10 * 2000 / 2 / 100
    short = seconds_left(plan(tmp_path / "run", "environment.max_decisions=100"), rate)
    assert short == 500 / 100 + 500 / 10 + 2 * 3 * 100 / 100 + 3 * 12 * 100 / 100, "no episode is longer than it may be"

    (tmp_path / "run" / "state").mkdir(parents=True)
    (tmp_path / "run" / "state" / "checkpoint-e0001-s000001000-0003.json").touch()
    assert seconds_left(plan(tmp_path / "run", *shared), rate) == 0


def test_the_doctors_rate_is_used_for_its_kind_of_simulator_only(tmp_path: Path) -> None:
    found = check_walltime(plan(tmp_path / "run", result=doctor()))
    assert "4.0/s (measured 0 s ago on n1, batch 256)" in found

    found = check_walltime(plan(tmp_path / "run", "agent.batch_size=64", result=doctor()))
    assert "4.0/s (measured 0 s ago on n1, batch 256 and not 64: `td3-hpc doctor --stage` measures this stage)" in found

    with pytest.raises(NotLearnt, match="1000 steps at an unknown rate") as caught:
        check_walltime(plan(tmp_path / "run", result=doctor(simulator="carla")))
    assert "td3-hpc doctor --cluster here" in caught.value.change


@pytest.mark.parametrize(("updates", "rate"), [("4", "1.0"), ("0.5", "8.0"), ("0.125", "32.0")])
def test_the_doctors_rate_follows_the_updates_per_step(tmp_path: Path, updates: str, rate: str) -> None:
    found = check_walltime(plan(tmp_path / "run", f"training.updates_per_step={updates}", result=doctor()))
    assert f" {rate}/s (measured" in found


def test_a_run_that_has_begun_counts_what_is_left_at_its_own_rate(tmp_path: Path) -> None:
    run = tmp_path / "run"
    record(run, interval(10, 9.0), interval(20, 5.0))
    (run / "state").mkdir()
    (run / "state" / "checkpoint-e0001-s000000600-0003.json").touch()

    assert newest_step(run) == 600
    assert check_walltime(plan(run, result=doctor())).startswith("400 steps at 5.0/s (this run's record)")


def test_a_chain_that_is_too_short_is_refused(tmp_path: Path) -> None:
    short = {"scheduler": "slurm", "requeue": "chain", "chain_length": 3, "walltime_minutes": 600}

    with pytest.raises(Mistake, match=r"5 attempts .*, but the chain has 3 jobs") as caught:
        check_walltime(plan(tmp_path / "run", *MILLION, rate=10, **short))
    assert "raise chain_length to 7" in caught.value.change
    assert check_walltime(plan(tmp_path / "run", *MILLION, rate=10, **{**short, "chain_length": 5}))


def test_a_walltime_that_starting_and_saving_fill_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="of walltime_minutes 2, nothing is left") as caught:
        check_walltime(plan(tmp_path / "run", walltime_minutes=2, signal_lead_s=100))
    assert "raise walltime_minutes in configs/clusters/here.yaml" in caught.value.change


@pytest.mark.parametrize(
    ("overrides", "rate", "walltime", "fits"),
    [
        ((), None, 60, True),  # ten minutes, the default
        (("checkpoint.every_minutes=90",), None, 60, False),
        (("checkpoint.every_minutes=90",), 10, 60, True),  # 1000 steps at 10/s are sooner
        (("checkpoint.every_minutes=90", "checkpoint.every_steps=40_000"), 10, 60, False),
        (("checkpoint.every_minutes=90",), None, 240, True),
    ],
)
def test_a_checkpoint_must_come_within_an_attempt(
    tmp_path: Path, overrides: tuple[str, ...], rate: float | None, walltime: int, fits: bool
) -> None:
    tried = plan(tmp_path / "run", *overrides, rate=rate, walltime_minutes=walltime)

    if fits:
        assert "between two" in check_checkpoint_interval(tried)
        return
    with pytest.raises(Mistake if rate else Doubt, match="no checkpoint would be written") as caught:
        check_checkpoint_interval(tried)
    assert "lower checkpoint.every_minutes (90)" in caught.value.change


def test_an_evaluation_cycle_must_end_within_an_attempt(tmp_path: Path) -> None:
    cycle = ("evaluation.final_episodes=20", "evaluation.simulators=2", "environment.route.evaluation_routes=40")
    fits = check_evaluation_cycle(plan(tmp_path / "run", *cycle, rate=10, walltime_minutes=60))
    assert fits == "20 episodes of at most 1000 decisions: at most 17 min, in attempts of 60 minutes"

    with pytest.raises(Doubt, match=r"at most 17 min, in attempts of 15 minutes, and an interrupted cycle begins anew"):
        check_evaluation_cycle(plan(tmp_path / "run", *cycle, rate=10, walltime_minutes=15))
    with pytest.raises(NotLearnt, match="at an unknown rate"):
        check_evaluation_cycle(plan(tmp_path / "run", *cycle))


def test_the_signal_comes_early_enough_for_a_checkpoint(tmp_path: Path) -> None:
    slow = doctor(saving={"seconds": 40.0, "bytes": 10**9})

    assert "180 s for a checkpoint that takes 40.0 s" in check_signal_lead(plan(tmp_path / "run", result=slow))
    with pytest.raises(Mistake, match=r"90 s for a checkpoint that takes 40\.0 s") as caught:
        check_signal_lead(plan(tmp_path / "run", result=slow, signal_lead_s=90))
    assert "raise signal_lead_s to at least 95" in caught.value.change


def test_the_time_of_a_checkpoint_is_this_runs_own_where_it_has_saved(tmp_path: Path) -> None:
    record(tmp_path / "run", *({"event": "checkpoint", "step": 10, "seconds": seconds} for seconds in (100.0, 60.0)))

    with pytest.raises(Mistake, match=r"takes 100\.0 s \(this run's record\)"):
        check_signal_lead(plan(tmp_path / "run", result=doctor()))


def test_the_time_of_a_checkpoint_unknown_says_how_to_learn_it(tmp_path: Path) -> None:
    with pytest.raises(NotLearnt) as caught:
        check_signal_lead(plan(tmp_path / "run"))
    assert caught.value.change == "run `td3-hpc doctor --cluster here`"
