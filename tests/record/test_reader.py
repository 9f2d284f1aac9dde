"""Reading records: damaged ones, those of earlier formats, those of a later one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td3_hpc.record import FORMAT, AttemptStarted, CheckpointFailed, Event, RunFailed, read_events, read_record
from td3_hpc.record.base import KINDS
from td3_hpc.record.reader import parse

RECORDS = Path(__file__).parents[1] / "records"


@pytest.mark.parametrize("name", ["1k", "diverging", "broken"])
def test_a_record_of_format_1_is_read_whole_and_means_the_same(name):
    path = RECORDS / name / "record.jsonl"
    recorded, lines = read_record(path), [json.loads(line) for line in path.read_text().splitlines()]
    assert (recorded.damaged, recorded.lines, recorded.newer_format) == ([], len(lines), None)
    for event, line in zip(recorded.events, lines, strict=True):
        again = {"event": event.kind, **event.as_line()}
        assert {key: again[key] for key in line} == line, "every field of the line, under its name"
        assert again.keys() - line.keys() <= {"code", "cause"}, "and nothing but what its sentences said"


def failed(reason):
    return parse(json.dumps({"event": "failed", "step": 1, "reason": reason}).encode())


GIVEN_UP = "the training simulator was given up"
NAN = "NaN or infinity in update 2 at step 21: q"


@pytest.mark.parametrize(
    ("cause", "advice", "code"),
    [
        (NAN, ". The run stops here, older", "non_finite"),
        (f"{GIVEN_UP}: died, never ready", "; its last lines (x):", "simulator_never_ready"),
        (f"{GIVEN_UP}: hung", "; its last lines (x):", "simulator_failed"),
        ("the training environment was lost 4 times at reset", "", "environment_lost"),
        ("something else", "", "error"),
    ],
)
def test_sentences_of_format_1_become_codes(cause, advice, code):
    event = failed(cause + advice)
    assert isinstance(event, RunFailed)
    assert (event.code, event.cause, event.reason) == (code, cause, cause + advice)


def test_a_code_that_is_there_is_kept():
    event = parse(b'{"event": "failed", "step": 1, "reason": "NaN or infinity", "code": "error", "cause": "x"}')
    assert isinstance(event, RunFailed)
    assert (event.code, event.cause) == ("error", "x")


def test_a_full_disk_of_format_1_is_one():
    event = parse(b'{"event": "checkpoint_failed", "step": 1, "error": "could not (No space left on device)"}')
    assert isinstance(event, CheckpointFailed)
    assert event.code == "disk_full"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"3",
        b'{"event": 3, "step": 1}',
        b'{"event": "interval"}',
        b'{"event": "attempt", "step": "1"}',
        b'{"event": "interval", "step": 5, "first_step": 1}',
        b'{"event": "interval", "step": 5, "first_step": "one", "last_step": 5}',
        b'{"event": "not a kind", "step": 5}',
    ],
)
def test_what_is_no_whole_event_of_a_known_kind_is_damage(line):
    assert parse(line) is None


def test_what_a_later_version_adds_to_an_event_is_passed_over():
    event = parse(b'{"event": "attempt", "step": 5, "epoch": 2, "mood": "good"}')
    assert isinstance(event, AttemptStarted)
    assert event.epoch == 2


def test_a_newer_format_is_noticed(tmp_path):
    path = tmp_path / "record.jsonl"
    path.write_text(json.dumps({"event": "attempt", "step": 0, "epoch": 1, "format": FORMAT + 1}) + "\n")
    assert read_record(path).newer_format == FORMAT + 1


def test_the_end_of_a_record_is_read_from_its_first_whole_line(tmp_path):
    path = tmp_path / "record.jsonl"
    lines = [json.dumps({"event": "attempt", "step": step, "epoch": 1}) for step in range(10)]
    path.write_text("\n".join(lines) + "\n")
    tail = read_record(path, tail_bytes=3 * len(lines[0])).events
    assert [event.step for event in tail] == [8, 9]
    assert [event.step for event in read_record(path, tail_bytes=10**6).events] == list(range(10))


def test_there_are_no_events_where_there_is_no_record(tmp_path):
    assert read_events(tmp_path / "record.jsonl", Event) == []


@given(
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(
        st.text(max_size=12), st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), max_size=6
    ),
)
def test_no_line_breaks_the_reader(kind, fields):
    event = parse(json.dumps({**fields, "event": kind, "step": 3}).encode())
    assert event is None or (event.kind, event.step) == (kind, 3)
