"""A stage that continues another one is one run from its first step to its last."""

import json
from pathlib import Path

import pytest

from td3_hpc.campaign.carry_over import carry_over
from td3_hpc.checkpoint import CheckpointDamaged, diff
from td3_hpc.errors import BadInput
from tests.checkpoint.rows import GrowingRows, open_store, tree


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A finished run of 4 steps, with what it wrote after its last checkpoint."""
    run = tmp_path / "before"
    (run / "tensorboard").mkdir(parents=True)
    record = b"".join(json.dumps({"event": "interval", "step": step}).encode() + b"\n" for step in range(1, 5))
    (run / "record.jsonl").write_bytes(record + b'{"event": "finished", "step": 4}\n')
    (run / "tensorboard" / "events.out.tfevents.1").write_bytes(b"0123456789")
    sizes = {"record_bytes": len(record), "tensorboard_bytes": {"events.out.tfevents.1": 6}}
    store = open_store(run)
    store.save(4, {**tree(4), "provenance": sizes}, GrowingRows(40), tags={"stage_end": True})
    store.close()
    return run


def test_the_checkpoint_comes_along_with_the_record_and_the_event_files_up_to_it(before: Path, tmp_path: Path) -> None:
    assert carry_over(before, tmp_path / "after") == 4

    assert diff(before, tmp_path / "after") == []
    events = [json.loads(line) for line in (tmp_path / "after" / "record.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events] == [1, 2, 3, 4]
    assert "finished" not in {event["event"] for event in events}
    assert (tmp_path / "after" / "tensorboard" / "events.out.tfevents.1").read_bytes() == b"012345"


def test_a_run_that_has_begun_is_left_alone(before: Path, tmp_path: Path) -> None:
    carry_over(before, tmp_path / "after")
    store = open_store(tmp_path / "after")
    store.save(5, tree(5), GrowingRows(50))
    store.close()
    (tmp_path / "after" / "record.jsonl").write_text("its own\n")

    assert carry_over(before, tmp_path / "after") is None

    assert (tmp_path / "after" / "record.jsonl").read_text() == "its own\n"


def test_cut_off_anywhere_it_is_done_again(before: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("td3_hpc.checkpoint.adoption.replace_file", killed)
    with pytest.raises(KeyboardInterrupt):
        carry_over(before, tmp_path / "after")
    monkeypatch.undo()

    assert carry_over(before, tmp_path / "after") == 4
    assert diff(before, tmp_path / "after") == []


def test_nothing_to_continue_from_is_said(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()

    with pytest.raises(BadInput, match="holds no checkpoint"):
        carry_over(tmp_path / "before", tmp_path / "after")


def test_a_verdict_whose_checkpoint_is_not_there_is_not_believed(before: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointDamaged, match="earned at step 9, but its newest checkpoint is of step 4"):
        carry_over(before, tmp_path / "after", reached=9)
    assert not (tmp_path / "after").exists()
