"""The run directory: real read-only file systems, real holders, real runs of another configuration."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from td3_hpc.checkpoint import CheckpointStore
from td3_hpc.config import dump_yaml
from td3_hpc.errors import BadInput
from td3_hpc.launch.preflight.finding import Mistake
from td3_hpc.launch.preflight.run_directory import (
    check_checkpoints,
    check_not_taken,
    check_same_run,
    check_writable,
)
from tests.checkpoint.rows import GrowingRows, tree
from tests.launch.preflight.plans import plan, stage


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that is mounted read-only."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a read-only file system")
    folder = tmp_path / "read-only"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_file_system_is_refused(read_only: Path) -> None:
    with pytest.raises(Mistake, match=f"{read_only}: cannot be written .read-only file system") as caught:
        check_writable(plan(read_only / "deep" / "run"))
    assert "give another --run-dir" in caught.value.change


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    assert "to be made in" in check_writable(plan(tmp_path / "a" / "run"))
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_a_live_process_works_on_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert check_not_taken(plan(run)) == "no job or process works on it"
    store = CheckpointStore(run, stage().checkpoint)
    store.open_for_writing()

    try:
        with pytest.raises(Mistake, match=f"in use by attempt 1, process {os.getpid()}"):
            check_not_taken(plan(run))
    finally:
        store.close()
    assert check_not_taken(plan(run)) == "no job or process works on it"


def test_a_run_of_another_configuration_is_refused_by_the_key(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert check_same_run(plan(run)) == "a new run"
    (run / "config.yaml").write_text(dump_yaml(stage()))
    check_same_run(plan(run, "seed=2"))  # it has done nothing yet
    (run / "state").mkdir()
    (run / "state" / "checkpoint-e0001-s000000005-0001.json").touch()

    assert check_same_run(plan(run)) == "continues the run that is there"
    with pytest.raises(BadInput, match=r"holds a run of another configuration: seed \(1 -> 2\)"):
        check_same_run(plan(run, "seed=2"))
    aside = replace(plan(run, "seed=2"), anew=True)
    assert check_same_run(aside) == "a new run; the one that is there is set aside"
    assert check_checkpoints(aside) == "none: the run that is there is set aside"


def save(run: Path, step: int) -> None:
    """A checkpoint, by an attempt of its own."""
    store = CheckpointStore(run, stage().checkpoint)
    store.open_for_writing()
    store.save(step, tree(step), GrowingRows(10 * step))
    store.close()


def test_checkpoints_that_need_their_users_decision_are_told_before_anything_is_queued(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert check_checkpoints(plan(run)) == "none yet"
    save(run, 5)
    assert check_checkpoints(plan(run)) == "continues from step 5"

    for path in (run / "state").glob("checkpoint-*"):
        path.rename(tmp_path / path.name)

    with pytest.raises(Mistake, match=r"no checkpoint is here, but epoch-0001\.json tells of checkpoint-e0001-s0"):
        check_checkpoints(plan(run))


def test_a_record_without_its_checkpoints_is_told_before_anything_is_queued(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "record.jsonl").write_text(
        '{"event": "finished", "step": 9, "time": 1.0, "updates": 1, "actor_updates": 0, "episodes": 1, '
        '"evaluations": 0, "replay_rows": 9, "memory_peak_mib": 1}\n'
    )

    with pytest.raises(Mistake, match=r"record\.jsonl tells of a checkpoint of step 9, but none is here"):
        check_checkpoints(plan(run))
