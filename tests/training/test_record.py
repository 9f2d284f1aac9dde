import json

import numpy as np
import pytest

from td3_hpc.training.record import RunRecord, read_record


@pytest.fixture
def record(tmp_path):
    record = RunRecord(tmp_path, clock=lambda: 1234.5678)
    record.open()
    yield record
    record.close()


def test_events_come_back_in_order_with_step_and_time(record):
    record.append("attempt", host="a")
    record.step = 7
    record.append("interval", reward=np.float32(0.5), norms=np.arange(2))
    assert list(read_record(record.path)) == [
        {"event": "attempt", "step": 0, "time": 1234.568, "host": "a"},
        {"event": "interval", "step": 7, "time": 1234.568, "reward": 0.5, "norms": [0, 1]},
    ]


def test_a_line_cut_off_by_a_kill_is_skipped(record):
    record.append("interval", first_step=1)
    record.append("interval", first_step=2)
    content = record.path.read_bytes()
    record.path.write_bytes(content[:-5])
    assert [event["first_step"] for event in read_record(record.path)] == [1]


def test_reopening_at_a_checkpoint_cuts_later_steps_and_keeps_what_happened_to_the_attempt(record):
    record.append("interval", first_step=1)
    kept = record.size()
    record.append("interval", first_step=2)
    record.append("simulator", state="died")
    record.append("episode", index=3)
    record.close()
    record.open(keep_bytes=kept)
    record.append("interval", first_step=2)
    assert [(e["event"], e.get("first_step")) for e in read_record(record.path)] == [
        ("interval", 1),
        ("simulator", None),
        ("interval", 2),
    ]


def test_a_cut_line_before_the_new_attempt_does_not_swallow_its_first_event(record):
    record.append("interval", first_step=1)
    kept = record.size()
    record.close()
    with record.path.open("ab") as file:
        file.write(b'{"event": "simulator", "st')
    record.open(keep_bytes=kept)
    record.append("attempt", epoch=2)
    assert [event["event"] for event in read_record(record.path)] == ["interval", "attempt"]


def test_every_line_is_json(record):
    record.append("alert", value=float("nan"))
    assert np.isnan(json.loads(record.path.read_text())["value"])


def test_what_cannot_be_json_is_refused(record):
    with pytest.raises(TypeError, match="object cannot stand in the record"):
        record.append("interval", value=object())
