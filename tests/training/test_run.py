"""Whole runs, by the command that users run, on the embedded simulator."""

import os
import signal

import pytest

from td3_hpc.checkpoint import diff
from td3_hpc.record import CheckpointSaved, RunStopped, read_record
from tests.exported_policy import TOLD
from tests.processes import descendants, wait_until_gone


def last_step(run):
    return max((event["step"] for event in run.events()), default=0)


def covered_steps(run):
    return [step for event in run.events("interval") for step in range(event["first_step"], event["last_step"] + 1)]


def test_a_run_reaches_its_last_step_and_says_so(ended):
    run = ended
    finished = run.events("finished")[0]
    assert (finished["step"], finished["updates"], finished["actor_updates"], finished["evaluations"]) == (
        40,
        20,
        10,
        2,
    )
    assert covered_steps(run) == list(range(1, 41))
    assert sum(event["dimension_errors"] + event["non_finite"] for event in run.events("interval")) == 0
    assert [len(event["episodes"]) for event in run.events("evaluation")] == [1, 1]
    assert [event["update"] for event in run.events("gradients")] == [10, 20]
    assert "Critical metrics" in (run.directory / "report.md").read_text()

    code, output = run.train()
    assert code == 0
    assert "nothing to do" in output
    assert len(run.events("attempt")) == 1


def test_a_run_whose_terminal_is_closed_has_saved_its_last_step(stopped_run):
    events = read_record(stopped_run / "record.jsonl").events
    (stopped,) = [event for event in events if isinstance(event, RunStopped)]
    saved = [event for event in events if isinstance(event, CheckpointSaved)][-1]
    assert stopped.signal == "SIGHUP"
    assert saved.at_step == stopped.step >= 26


def test_a_simulator_that_outgrows_its_memory_limit_is_recycled_between_episodes(make_run, small_run):
    run = make_run("outgrown", **TOLD, **{"simulator.memory_limit_gib": 0.001})
    code, output = run.train()
    assert code in (0, 3), output
    states = [event["state"] for event in run.events("simulator") if event["purpose"] == "training"]
    assert states[:6] == ["started", "ready", "outgrown", "recycled", "started", "ready"]
    (limit,) = diff(small_run.run_dir, run.directory)
    assert limit.what == "simulator.memory_limit_gib (8.0 -> 0.001)"


@pytest.mark.long
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_an_interrupted_run_ends_with_the_same_bytes(make_run, small_run, name):
    interrupted = make_run("interrupted", **TOLD)
    interrupted.start()
    interrupted.wait_for(lambda run: last_step(run) >= 7)
    interrupted.process.send_signal(signal.Signals[name])
    code, output = interrupted.finish()
    assert code == 75, output
    assert interrupted.events("stopped")[-1]["signal"] == name
    interrupted.start()
    interrupted.process.stdout.close()  # as `| head` does, or a terminal that goes away
    interrupted.wait_for(lambda run: last_step(run) >= 26)
    interrupted.process.send_signal(signal.SIGHUP)
    assert interrupted.process.wait(60) == 75, interrupted.events("failed")
    assert interrupted.events("stopped")[-1]["signal"] == "SIGHUP"
    code, output = interrupted.train()
    assert code == 0, output
    assert len(interrupted.events("attempt")) == 3
    assert covered_steps(interrupted) == list(range(1, 41)), "a step is lost or stands twice in the record"
    assert diff(small_run.run_dir, interrupted.directory) == []


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.long)],
    ids=lambda number: number.name,
)
def test_the_run_outlives_its_simulator(make_run, number):
    run = make_run()
    run.start()
    run.wait_for(lambda run: last_step(run) >= 10)
    os.kill(run.simulator_pid(), number)
    code, output = run.finish()
    assert code == 0, output
    assert run.events("finished")[0]["updates"] == 20
    assert covered_steps(run) == list(range(1, 41))
    states = [event["state"] for event in run.events("simulator") if event["purpose"] == "training"]
    assert {"died", "hung"} & set(states), f"the record does not name the event: {states}"


def test_a_run_whose_simulator_is_given_up_has_saved_its_last_step(make_run):
    run = make_run(**{"simulator.restarts_per_hour": 0})
    run.start()
    run.wait_for(lambda run: last_step(run) >= 10)
    os.kill(run.simulator_pid(), signal.SIGKILL)
    code, output = run.finish()
    assert code == 1, output
    assert run.events("failed")[-1]["code"] == "simulator_failed"
    assert run.events("checkpoint")[-1]["at_step"] == run.events("failed")[-1]["step"] >= 10
    code, output = run.train()
    assert code == 0, output
    assert covered_steps(run) == list(range(1, 41)), "a step is lost or stands twice in the record"


def test_nothing_is_left_running_after_the_learner_is_killed(make_run):
    run = make_run()
    run.start()
    run.wait_for(lambda run: last_step(run) >= 10)
    processes = descendants(run.process.pid)
    assert len(processes) >= 3, "supervisors, simulators and a worker were expected"
    run.process.kill()
    run.process.communicate()
    assert wait_until_gone(processes) == []


def test_another_configuration_is_refused_and_names_the_keys(ended):
    code, output = ended.train("-o", "agent.tau=0.01", "-o", "seed=4")
    assert code == 2
    assert "agent.tau (0.005 -> 0.01)" in output
    assert "seed (3 -> 4)" in output


def test_a_checkpoint_of_another_run_is_refused_by_the_keys(ended):
    (ended.directory / "config.yaml").unlink()
    (ended.directory / "record.jsonl").unlink()
    code, output = ended.train("-o", "training.total_steps=44", "-o", "agent.tau=0.01")
    assert code == 2, output
    assert "a checkpoint of another run: agent.tau (0.005 -> 0.01)" in output


def test_a_finished_run_can_be_made_longer(ended):
    code, output = ended.train("-o", "training.total_steps=44")
    assert code == 0, output
    assert covered_steps(ended) == list(range(1, 45))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("environment.town=Atlantis", "Atlantis"),
        ("environment.weather=[Sunny]", "ClearNoon"),
        ("training.learning_starts=40", "learning would never start"),
        ("agent.tua=1", "did you mean tau"),
        ("training.device=cuda", "CUDA"),
        ("agent.encoder=natur", "unknown encoder 'natur'; known: distances, nature"),
        ("agent.encoder=distances", "agent.pretrained: encoder distances says nothing until it is trained"),
    ],
)
def test_bad_input_is_one_line_and_starts_nothing(make_run, told_here, option, message):
    run = make_run()
    told = told_here("train", run.config, "--run-dir", run.directory, "-o", option)
    assert told.returncode == 2, told
    assert message in told.stderr
    assert len((told.stdout + told.stderr).strip().splitlines()) == 1, told
    assert not run.events("interval")
