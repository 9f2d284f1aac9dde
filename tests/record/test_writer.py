"""Writing the record: what stands in it, and what is left of it after kills and on resume."""

import io
import json

import numpy as np
import pytest
from pydantic import ValidationError

from td3_hpc.record import (
    AlertChanged,
    AttemptStarted,
    EpisodeEnded,
    Event,
    GradientReading,
    Interval,
    RunRecord,
    SimulatorChanged,
    read_events,
)
from tests.disks import fill_up, small_disk


@pytest.fixture
def record(tmp_path):
    record = RunRecord(tmp_path, clock=lambda: 1234.5678)
    record.open()
    yield record
    record.close()


def interval(first):
    return Interval(first_step=first, last_step=first + 9)


def test_a_line_has_the_events_fields_under_their_names_with_step_and_time(record):
    record.step = 7
    record.append(
        Interval(
            first_step=1, last_step=7, reward=np.float32(0.5), rewards={"progress": np.float64(0.25)}, replay_fill=0.5
        )
    )
    assert json.loads(record.path.read_text()) == {
        "event": "interval",
        "step": 7,
        "time": 1234.568,
        "first_step": 1,
        "last_step": 7,
        "reward": 0.5,
        "reward/progress": 0.25,
        "replay/fill": 0.5,
    }


def test_events_come_back_in_order_as_they_were_written(record):
    record.append(AttemptStarted(epoch=1))
    record.step = 7
    record.append(interval(1))
    attempt, read = read_events(record.path, Event)
    assert (attempt.kind, attempt.step, attempt.line) == ("attempt", 0, 1)
    assert read == interval(1).model_copy(update={"step": 7, "time": 1234.568, "line": 2})


def test_a_number_that_the_schema_does_not_have_is_refused(record):
    with pytest.raises(ValidationError, match="loudness"):
        record.append(Interval.model_validate({"first_step": 1, "last_step": 2, "loudness": 3.0}))


def test_a_line_cut_off_by_a_kill_is_skipped(record):
    record.append(interval(1))
    record.append(interval(11))
    content = record.path.read_bytes()
    record.path.write_bytes(content[:-5])
    assert [event.first_step for event in read_events(record.path, Interval)] == [1]


def test_reopening_at_a_checkpoint_cuts_later_steps_and_keeps_what_happened_to_the_attempt(record):
    record.append(interval(1))
    kept = record.size()
    record.append(interval(11))
    record.append(SimulatorChanged(purpose="training", state="died"))
    record.append(EpisodeEnded(index=3))
    record.close()
    record.open(keep_bytes=kept)
    record.append(interval(11))
    assert [event.kind for event in read_events(record.path, Event)] == ["interval", "simulator", "interval"]


def test_a_cut_line_before_the_new_attempt_does_not_swallow_its_first_event(record):
    record.append(interval(1))
    kept = record.size()
    record.close()
    with record.path.open("ab") as file:
        file.write(b'{"event": "simulator", "st')
    record.open(keep_bytes=kept)
    record.append(AttemptStarted(epoch=2))
    assert [event.kind for event in read_events(record.path, Event)] == ["interval", "attempt"]


def test_a_process_that_still_writes_does_not_reach_the_new_attempts_record(record, tmp_path):
    record.append(interval(1))
    kept = record.size()
    new = RunRecord(tmp_path)
    new.open(keep_bytes=kept)  # there is nothing to cut
    record.append(interval(11))
    new.append(AttemptStarted(epoch=2))
    new.close()
    assert [event.kind for event in read_events(new.path, Event)] == ["interval", "attempt"]


def test_nan_and_infinity_come_back(record):
    record.append(AlertChanged(name="q", active=True, value=float("nan")))
    record.append(GradientReading(update=1, before_clipping={"actor": np.float32("inf")}))
    alert, reading = read_events(record.path, Event)
    assert np.isnan(alert.value)
    assert reading.before_clipping == {"actor": np.inf}


@pytest.mark.parametrize("replace", [lambda path: path.unlink(), lambda path: path.rename(path.with_suffix(".old"))])
def test_a_record_that_was_taken_away_is_put_back(record, replace):
    record.append(interval(1))
    replace(record.path)
    record.append(interval(11))
    assert record.size() == record.path.stat().st_size
    record.append(interval(21))
    assert [event.first_step for event in read_events(record.path, Interval)] == [1, 11, 21]


def test_a_copy_in_the_records_place_is_replaced_by_the_record(record):
    record.append(interval(1))
    content = record.path.read_bytes()
    record.path.unlink()
    record.path.write_bytes(content)
    record.append(interval(11))
    record.close()
    assert [event.first_step for event in read_events(record.path, Interval)] == [1, 11]


def test_a_superseded_attempt_does_not_put_its_record_back(tmp_path):
    old = RunRecord(tmp_path, is_ours=lambda: False)
    old.open()
    old.append(interval(1))
    new = RunRecord(tmp_path)
    new.open(keep_bytes=0)
    new.append(AttemptStarted(epoch=2))
    old.append(interval(11))
    old.size()
    old.close()
    new.close()
    assert [event.kind for event in read_events(new.path, Event)] == ["attempt"]


def test_a_record_that_cannot_be_written_any_more_is_written_anew(record, monkeypatch):
    record.append(interval(1))
    broken = record._file
    record._file = io.FileIO(broken.fileno(), "rb", closefd=False)  # it reads, and never writes
    record.append(interval(11))
    assert [event.first_step for event in read_events(record.path, Interval)] == [1]
    record.size()
    broken.close()
    assert [event.first_step for event in read_events(record.path, Interval)] == [1, 11]


def test_what_could_not_be_written_in_the_end_is_said(tmp_path, capsys):
    with small_disk(tmp_path / "disk", "64k") as disk:
        record = RunRecord(disk)
        record.open()
        fill_up(disk / "filler")
        for first in range(1, 10_000, 10):
            record.append(interval(first))
        record.close()
        assert "bytes could not be written" in capsys.readouterr().err
