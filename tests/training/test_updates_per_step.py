"""More and fewer updates than steps: as many as are due, each at its step, and the same bytes after an interruption."""

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td3_hpc.checkpoint import diff
from td3_hpc.config.training import TrainingConfig


@given(st.integers(1, 32), st.integers(1, 10**6), st.integers(1, 10**6))
def test_an_update_is_made_at_the_first_step_at_which_it_is_due(eighths, starts, number):
    training = TrainingConfig(total_steps=10**7, learning_starts=starts, updates_per_step=eighths / 8)
    step = training.step_of_update(number)
    assert training.updates_due(step - 1) < number <= training.updates_due(step)
    assert training.updates_due(starts) == 0


@pytest.mark.long
@pytest.mark.parametrize("rate", [0.375, 2])
def test_an_interrupted_run_ends_with_the_same_bytes(make_run, rate):
    settings = {"training.updates_per_step": rate, "logging.interval_steps": 1}
    whole, interrupted = make_run("whole", **settings), make_run("interrupted", **settings)
    code, output = whole.train()
    assert code == 0, output
    finished = whole.events("finished")[0]
    assert finished["updates"] == int((40 - 20) * rate), "40 steps, 20 of them exploration"

    interrupted.start()
    interrupted.wait_for(lambda run: max((event["step"] for event in run.events()), default=0) >= 25)
    interrupted.process.send_signal(signal.SIGTERM)
    code, output = interrupted.finish()
    assert code == 75, output
    code, output = interrupted.train()
    assert code == 0, output
    assert diff(whole.directory, interrupted.directory) == []
