"""A run interrupted again and again ends with the same bytes as one that never was. Real processes, real signals."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from td3_hpc.checkpoint import diff, open_checkpoint
from td3_hpc.replay.rows import KIND, TRANSITION
from tests.exported_policy import TOLD

PATIENCE_S = 600.0
"""A run of a minute, on a machine that is busy with other tests."""


class Plan(NamedTuple):
    """How long a run is, and where in it something else begins."""

    steps: int
    learning_starts: int
    evaluate_every: int
    episode: int
    updates_per_step: float
    drives: bool
    """Whether it is long enough for the ego to have learned to move."""

    def stage(self):
        """What the runs change in the small stage."""
        return {
            "training.total_steps": self.steps,
            "training.learning_starts": self.learning_starts,
            "training.updates_per_step": self.updates_per_step,
            "environment.max_decisions": self.episode,
            "environment.traffic.vehicles": 8,
            "agent.batch_size": 4,
            "evaluation.every_steps": self.evaluate_every,
            "checkpoint.every_steps": self.steps // 12,
            "logging.interval_steps": 5,
            "logging.gradient_interval_updates": self.steps // 12,
        }


QUICK = Plan(steps=300, learning_starts=100, evaluate_every=75, episode=40, updates_per_step=0.375, drives=False)
LONG = Plan(steps=600, learning_starts=200, evaluate_every=150, episode=60, updates_per_step=1, drives=True)


def last_step(run):
    """Of the newest event; reads the record's end only, for it is asked again and again."""
    path = run.directory / "record.jsonl"
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 20_000))
        lines = [line for line in file.read().splitlines(keepends=True)[1:] if line.endswith(b"\n")]
    return json.loads(lines[-1])["step"] if lines else 0


def is_saving(run):
    return bool(list((run.directory / "state").glob(".checkpoint-*.tmp")))


def stop(run, number=signal.SIGTERM):
    """End the run by a signal; returns the step at which it said that it stopped."""
    run.process.send_signal(number)
    code, output = run.finish()
    assert code == (75 if number == signal.SIGTERM else -number), output
    return run.events("stopped")[-1]["step"] if number == signal.SIGTERM else None


def interrupt_at(run, step):
    run.start()
    run.wait_for(lambda run: last_step(run) >= step, PATIENCE_S)
    return stop(run)


def interrupt_while_driving(run, rng, after):
    """Stop it in the middle of an episode, where the one before was driven; tries again where one has just ended."""
    while True:
        after = interrupt_at(run, after + rng.randrange(5, 40))
        ended = run.events("episode")
        if ended and ended[-1]["mean_speed_kmh"] > 3 and ended[-1]["last_step"] + 1 < after:
            return after


def interrupt_evaluation(run, rng, plan):
    """Stop it inside an evaluation cycle, at any moment of it; tries the next cycle where the moment is missed."""
    while True:
        run.start()
        due = (last_step(run) // plan.evaluate_every + 1) * plan.evaluate_every
        assert due <= plan.steps, "no evaluation cycle was hit"
        run.wait_for(lambda run, due=due: last_step(run) >= due, PATIENCE_S)
        time.sleep(rng.uniform(0, 0.2))  # any instant will do
        stopped_at = stop(run)
        if stopped_at == due and all(event["step"] != due for event in run.events("evaluation")):
            return


def kill_while_saving(run, step):
    """SIGKILL with a file of a checkpoint half written; tries again where the moment is missed."""
    for _ in range(10):
        run.start()
        run.wait_for(lambda run: last_step(run) >= step, PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while not is_saving(run):
            assert time.monotonic() < deadline, "no checkpoint is being written"
            assert run.process.poll() is None, "the run ended first"
        stop(run, signal.SIGKILL)
        if is_saving(run):
            return
    pytest.fail("never killed in the middle of a save")


def command(*arguments):
    return subprocess.run([sys.executable, "-m", "td3_hpc", *map(str, arguments)], capture_output=True, text=True)


def without_times(events):
    clocks = ("time", "seconds", "steps_per_second")
    return [{key: value for key, value in event.items() if key not in clocks} for event in events]


def seen_while_standing(run):
    """How many pairs of consecutive frames differ although the ego stands still: something else moves in view."""
    blocks = list(open_checkpoint(run.directory).rows())
    rows = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    still = (rows["vector"][1:] == rows["vector"][:-1]).all(1) & ((rows["flags"][:-1] & KIND) == TRANSITION)
    moved = np.abs(np.diff(rows["frame"].astype(np.int16), axis=0)).max((1, 2)) > 20
    return int((still & moved).sum())


def scalar_steps(run, tag):
    files = sorted((run.directory / "tensorboard").glob("events.*"))
    events = [event for file in files for event in EventFileLoader(str(file)).Load()]
    return [event.step for event in events if event.HasField("summary") and event.summary.value[0].tag == tag]


def interrupted_run_ends_with_the_same_bytes(make_run, seed, plan):
    rng = random.Random(seed)
    whole = make_run(f"whole-{seed}", seed=seed, **plan.stage())
    interrupted = make_run(f"interrupted-{seed}", seed=seed, **plan.stage())
    whole.start()  # beside the other one

    stops = [interrupt_while_driving(interrupted, rng, plan.episode - 10)]
    interrupt_evaluation(interrupted, rng, plan)
    after = last_step(interrupted)
    stops.append(interrupt_at(interrupted, max(plan.learning_starts, after) + rng.randrange(5, plan.steps // 8)))
    again = interrupt_while_driving if plan.drives else lambda run, rng, after: interrupt_at(run, after + 5)
    stops.append(again(interrupted, rng, stops[-1]))
    kill_while_saving(interrupted, stops[-1] + 5)
    interrupted.start()
    code, output = interrupted.finish(PATIENCE_S)
    assert code == 0, output
    code, output = whole.finish(PATIENCE_S)
    assert code == 0, output
    updates = int((plan.steps - plan.learning_starts) * plan.updates_per_step)
    assert whole.events("finished")[0]["updates"] == updates

    compared = command("checkpoint", "diff", whole.directory, interrupted.directory)
    assert compared.returncode == 0, compared.stdout + compared.stderr
    attempts = interrupted.events("attempt")
    assert len(attempts) >= 6
    assert all(event["not_exact"] == [] for event in attempts)
    assert interrupted.events("episode_not_reproduced") == []
    for kind in ("interval", "episode", "evaluation", "gradients"):
        assert without_times(interrupted.events(kind)) == without_times(whole.events(kind))
    steps = list(range(5, plan.steps + 1, 5))
    assert [event["last_step"] for event in interrupted.events("interval")] == steps, "lost, or twice, in the record"
    assert scalar_steps(interrupted, "train/reward") == steps, "lost, or twice, in TensorBoard"

    driven = [e for e in whole.events("episode") if e["mean_speed_kmh"] > 3]
    assert any(e["first_step"] < at < e["last_step"] for e in driven for at in stops), "no stop while driving"
    return whole


@pytest.mark.timeout(1800)
def test_a_run_interrupted_five_times_ends_with_the_same_bytes(make_run):
    whole = interrupted_run_ends_with_the_same_bytes(make_run, 3, QUICK)
    assert seen_while_standing(whole) > 3, "no traffic moved in view"


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(10, 20))
def test_for_ten_seeds(make_run, seed):
    interrupted_run_ends_with_the_same_bytes(make_run, seed, LONG)


def test_a_stop_does_not_wait_for_a_simulator_that_hangs(make_run, small_run):
    run = make_run("run", **TOLD, **{"simulator.hang_timeout_s": 300})
    run.start()
    run.wait_for(lambda run: last_step(run) >= 5)
    os.kill(run.simulator_pid(), signal.SIGSTOP)
    run.process.send_signal(signal.SIGTERM)
    code, output = run.finish(timeout=200)  # less than what it gives a simulator that hangs
    assert code == 75, output
    assert {"hung", "died"}.isdisjoint(event["state"] for event in run.events("simulator"))
    assert run.events("checkpoint")[-1]["signal"] == "SIGTERM"
    assert run.train()[0] == 0
    (patience,) = diff(small_run.run_dir, run.directory)
    assert patience.what == "simulator.hang_timeout_s (5.0 -> 300.0)"
