"""Who may take a run directory over."""

import json
from pathlib import Path

import pytest

from td3_hpc.checkpoint.errors import RunDirectoryTaken
from td3_hpc.checkpoint.ownership import Ownership

ELSEWHERE = {"host": "another-node", "boot": "b", "pid": 1, "started": 0.0, "job": "41", "attempt": "0", "since": "now"}


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run directory whose newest epoch is held by job 41 on another node; this is job 42."""
    (tmp_path / "epoch-0001.json").write_text(json.dumps(ELSEWHERE))
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    return tmp_path


def test_a_holder_on_another_node_keeps_its_run_unless_slurm_says_that_its_job_has_ended(
    held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunDirectoryTaken, match=r"on another-node \(job 41\)"):
        Ownership(held).claim(None)
    monkeypatch.setenv("TD3_HPC_ENDED_JOB", "40")
    with pytest.raises(RunDirectoryTaken):
        Ownership(held).claim(None)

    monkeypatch.setenv("TD3_HPC_ENDED_JOB", "41")
    ownership = Ownership(held)
    ownership.claim(None)

    assert ownership.epoch == 2


def test_a_holder_without_a_job_is_not_taken_for_an_ended_one(held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (held / "epoch-0001.json").write_text(json.dumps({**ELSEWHERE, "job": ""}))
    monkeypatch.setenv("TD3_HPC_ENDED_JOB", "")

    with pytest.raises(RunDirectoryTaken):
        Ownership(held).claim(None)
