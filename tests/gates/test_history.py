"""A run's record as gates read it: damage, coverage, stages that continue another."""

import json
from dataclasses import replace

import pytest

from td3_hpc.config import StageConfig, dump_yaml
from td3_hpc.errors import BadInput
from td3_hpc.gates.history import evidence, read_history
from td3_hpc.record import EvaluationCycle, Interval

CONFIG = {"name": "x", "training": {"total_steps": 50, "learning_starts": 10}, "evaluation": {"every_steps": 10}}


@pytest.fixture
def write(tmp_path):
    """`write(event, …)` writes a record and returns its history."""
    (tmp_path / "config.yaml").write_text(dump_yaml(StageConfig.model_validate(CONFIG)))

    def make(*events):
        lines = [event if isinstance(event, str) else json.dumps({"step": 0, "time": 1.0, **event}) for event in events]
        (tmp_path / "record.jsonl").write_text("\n".join(lines) + "\n")
        return read_history(tmp_path)

    return make


def interval(first, last):
    return {"event": "interval", "step": last, "first_step": first, "last_step": last}


def test_events_know_their_line(write):
    history = write({"event": "attempt", "epoch": 1}, "half a li", interval(1, 10), interval(11, 20))
    assert [event.line for event in history.events] == [1, 3, 4]
    assert history.problems == ["record.jsonl: 1 of 4 lines cannot be read (line 2)"]
    assert str(evidence(Interval, "reward", history.intervals)) == "2 × `interval` (reward), steps 1–20, lines 3–4"


@pytest.mark.parametrize(
    "line", ["[]", "3", '{"event": 3, "step": 1}', '{"event": "x"}', '{"event": "x", "step": "1"}']
)
def test_what_is_no_event_is_damage(write, line):
    assert write(line).events == []


@pytest.mark.parametrize(
    ("intervals", "covered", "twice"),
    [
        ([(1, 10), (11, 20)], 20, 0),
        ([(1, 10), (16, 20)], 15, 0),
        ([(1, 10), (6, 20)], 20, 5),
        ([(11, 20), (1, 10)], 20, 0),
        ([(1, 20), (5, 10)], 20, 6),
        ([], 0, 0),
    ],
)
def test_steps_are_counted_once(write, intervals, covered, twice):
    assert write(*(interval(*bounds) for bounds in intervals)).steps_covered() == (covered, twice)


def test_a_stage_that_continues_another_owes_its_own_evaluations_only(write):
    first = {"event": "attempt", "epoch": 1, "resumed_from": None}
    again = {"event": "attempt", "epoch": 2, "resumed_from": 5, "step": 5}
    later = {"event": "attempt", "epoch": 1, "resumed_from": 25, "step": 25}
    assert write(first, again).evaluations_due() == [10, 20, 30, 40, 50]
    history = write(first, again, later, {**again, "step": 30, "resumed_from": 30})
    assert (history.first_step, history.evaluations_due()) == (25, [30, 40, 50])


def test_the_last_step_owes_an_evaluation_in_any_case(write):
    attempt = {"event": "attempt", "epoch": 1, "resumed_from": None}
    cycles = [
        {"event": "evaluation", "step": step, "cycle": number, "means": {}, "episodes": []}
        for number, step in enumerate((11, 20, 33, 42), start=1)
    ]
    history = write(attempt, *cycles)
    values = {**CONFIG, "training": {"total_steps": 42, "learning_starts": 10}, "simulators": 4}
    history = replace(history, stage=StageConfig.model_validate(values))
    assert history.evaluations_due() == [10, 20, 30, 40, 42]
    cycles = history.of(EvaluationCycle)
    assert history.evaluations_done(cycles) == {10, 20, 30, 40, 42}, "the last round came to 40 and to 42"
    assert history.evaluations_done(cycles[:3]) == {10, 20, 30}


def test_a_stage_whose_first_attempt_told_nothing_knows_where_it_began(write):
    before = {"event": "attempt", "epoch": 1, "resumed_from": None, "continues_stage": False}
    second = {"event": "attempt", "epoch": 2, "resumed_from": 25, "step": 25, "continues_stage": True}
    later = {"event": "attempt", "epoch": 3, "resumed_from": 30, "step": 30, "continues_stage": False}
    assert write(before).first_step == 0
    assert write(before, second, later).first_step == 25


def test_each_attempt_has_its_own_events(write):
    attempts = [{"event": "attempt", "epoch": epoch, "resumed_from": None} for epoch in (1, 2)]
    history = write(interval(1, 4), attempts[0], interval(5, 9), attempts[1], interval(10, 14), interval(15, 19))
    assert [len(own) for _, own in history.attempts()] == [2, 3]
    assert all(own[0] is start for start, own in history.attempts())


@pytest.mark.parametrize(
    ("last", "finished", "can_go_on"),
    [
        ({"event": "finished", "step": 50}, True, False),
        ({"event": "finished", "step": 40}, False, True),
        ({"event": "stopped", "step": 40}, False, True),
        ({"event": "failed", "step": 40}, False, False),
    ],
)
def test_how_a_run_stands(write, last, finished, can_go_on):
    history = write(interval(1, 40), last)
    assert (history.finished, history.can_go_on) == (finished, can_go_on)


def test_what_is_missing_is_named(tmp_path):
    history = read_history(tmp_path)
    assert [problem.split(":")[0] for problem in history.problems] == ["config.yaml", "record.jsonl"]
    with pytest.raises(BadInput, match=r"config\.yaml"):
        _ = history.config
