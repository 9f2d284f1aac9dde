"""Runs with several training simulators: rounds of decisions, one learner, the same bytes for the same number."""

import os
import signal

import pytest

from td3_hpc.checkpoint import diff, open_checkpoint

THREE = {"simulators": 3, "logging.interval_steps": 1}


def last_step(run):
    return max((event["step"] for event in run.events()), default=0)


def covered_steps(run):
    return [step for event in run.events("interval") for step in range(event["first_step"], event["last_step"] + 1)]


def test_decisions_are_counted_whichever_simulator_they_are_made_in(make_run):
    run = make_run(**{**THREE, "training.total_steps": 22, "training.learning_starts": 10})
    code, output = run.train()
    assert code in (0, 3), output
    finished = run.events("finished")[0]
    assert (finished["step"], finished["updates"], finished["evaluations"]) == (22, 12, 2)
    assert covered_steps(run) == list(range(1, 23)), "the last round is one decision long"
    assert [event["step"] for event in run.events("evaluation")] == [21, 22], (
        "after the round that reaches 20, and last"
    )
    ready = {event.get("simulator") for event in run.events("simulator") if event["state"] == "ready"}
    assert ready == {0, 1, 2, None}, "three for training, one for evaluation"
    starts = [event["first_step"] for event in run.events("episode")]
    assert starts == sorted(starts)
    rollouts = open_checkpoint(run.directory).state()["rollouts"]
    lengths = [len(rollout["episode"]["actions"]) for rollout in rollouts.values() if rollout["episode"]]
    assert sum(lengths) + sum(event["length"] for event in run.events("episode")) == 22
    held = [rollout["episode"]["actions"][:3] for rollout in rollouts.values() if rollout["episode"]]
    assert all((actions == actions[0]).all() for actions in held), "each environment repeats its random action"
    assert len({actions[0].tobytes() for actions in held}) == len(held), "each environment has one of its own"

    code, output = run.train("-o", "simulators=2")
    assert code == 2, output
    assert "simulators (3 -> 2)" in output


@pytest.mark.long
def test_a_run_interrupted_in_the_middle_of_its_rounds_ends_with_the_same_bytes(make_run):
    whole, interrupted = make_run("whole", **THREE), make_run("interrupted", **THREE)
    code, output = whole.train()
    assert code in (0, 3), output

    for stop_after, stopped in ((5, 1), (24, 2)):
        interrupted.start()
        interrupted.wait_for(lambda run, at=stop_after: last_step(run) >= at)
        os.kill(interrupted.simulator_pid(f"training-{stopped}"), signal.SIGSTOP)
        interrupted.wait_for(lambda run, at=stopped: run.steps_stand_still() and last_step(run) % 3 == at)
        interrupted.process.send_signal(signal.SIGTERM)
        code, output = interrupted.finish()
        assert code == 75, output
        rollouts = open_checkpoint(interrupted.directory).state()["rollouts"]
        in_flight = [name for name, rollout in rollouts.items() if rollout["action_in_flight"] is not None]
        assert in_flight == ["0", "1", "2"][stopped:], "the round was to be cut at the simulator that stood still"
    code, output = interrupted.train()
    assert code in (0, 3), output
    assert covered_steps(interrupted) == list(range(1, 41))
    assert diff(whole.directory, interrupted.directory) == []


@pytest.mark.long
def test_one_of_three_simulators_is_killed_and_the_run_goes_on_with_the_same_bytes(make_run):
    whole, wounded = make_run("whole", **THREE), make_run("wounded", **THREE)
    code, output = whole.train()
    assert code in (0, 3), output
    wounded.start()
    wounded.wait_for(lambda run: last_step(run) >= 10)
    os.kill(wounded.simulator_pid("training-1"), signal.SIGKILL)
    code, output = wounded.finish()
    assert code in (0, 3), output
    died = [event for event in wounded.events("simulator") if event["state"] == "died"]
    assert [event["simulator"] for event in died] == [1], "the record does not name the simulator"
    assert diff(whole.directory, wounded.directory) == []
