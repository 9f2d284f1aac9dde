"""What file systems do to a run's checkpoints: reads that fail, refusals that pass or do not, a purge by age."""

import errno
import os
from pathlib import Path

import pytest

from td3_hpc import durable
from td3_hpc.checkpoint import CheckpointStore
from td3_hpc.checkpoint.errors import RunDirectoryTaken, Superseded
from td3_hpc.config import CheckpointConfig
from td3_hpc.errors import ExitCode, UserError
from tests.checkpoint.rows import GrowingRows, open_store, tree
from tests.checkpoint.test_store import checkpoint_of, reopen


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE])
def test_a_file_that_the_file_system_does_not_give_costs_no_checkpoint(tmp_path, monkeypatch, code):
    store = open_store(tmp_path)
    store.save(1, tree(1), GrowingRows(10))
    store.save(2, tree(2), GrowingRows(20))
    store.close()
    newest = checkpoint_of(tmp_path, 2)
    failures = FailingReads(monkeypatch, code)
    for name in (f"state/{newest.name}", newest.state.path):
        failures.begin(tmp_path / name, times=99)
        with pytest.raises(UserError, match=r"cannot be read.*try again") as raised:
            open_store(tmp_path)
        assert raised.value.exit_code == ExitCode.FAILED, "a chain of jobs must go on"
        failures.begin(tmp_path / name, times=2)
        assert reopen(tmp_path)[0].manifest == newest, "tried again"
    assert not (tmp_path / "state" / "set-aside").exists()


class FailingReads:
    """Files that cannot be opened so many times."""

    def __init__(self, monkeypatch, code):
        self.path, self.left = None, 0
        real = Path.open

        def open_(path, *arguments, **options):
            if path == self.path and self.left:
                self.left -= 1
                raise OSError(code, os.strerror(code), str(path))
            return real(path, *arguments, **options)

        monkeypatch.setattr(Path, "open", open_)
        monkeypatch.setattr(durable, "_PAUSES_S", (0.0, 0.0, 0.0))

    def begin(self, path, times):
        self.path, self.left = path, times


PASSES = {errno.ENOSPC: True, errno.EIO: True, errno.EACCES: False, errno.EROFS: False}


@pytest.mark.parametrize("code", PASSES)
def test_only_what_will_not_pass_is_bad_input(tmp_path, monkeypatch, code):
    """Bad input ends a chain of jobs for good."""

    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(UserError, match="cannot be used") as raised:
        open_store(tmp_path)
    assert raised.value.exit_code == (ExitCode.FAILED if PASSES[code] else ExitCode.BAD_INPUT)


def test_a_directory_in_use_may_be_tried_again(tmp_path):
    store = open_store(tmp_path)
    with pytest.raises(RunDirectoryTaken) as raised:
        open_store(tmp_path)
    assert raised.value.exit_code == 1
    store.close()


def test_an_epoch_file_that_cannot_be_read_for_a_moment_is_no_other_attempts(tmp_path, monkeypatch):
    store = open_store(tmp_path)
    failures = FailingReads(monkeypatch, errno.EIO)
    failures.begin(tmp_path / "state" / "epoch-0001.json", times=99)
    with pytest.raises(UserError, match="could not be written") as raised:
        store.save(1, tree(1), GrowingRows(10))
    assert not isinstance(raised.value, Superseded)
    assert not store.is_owner()
    failures.begin(None, 0)
    store.save(2, tree(2), GrowingRows(20))
    assert store.is_owner()
    store.close()


def test_what_a_run_needs_to_go_on_does_not_look_old(tmp_path):
    """A scratch file system's purge removes files by their age."""
    run, campaign = tmp_path / "campaign" / "1k" / "seed-1", tmp_path / "campaign" / "campaign.yaml"
    old = [run / "config.yaml", run / "gates.yaml", run / "record.jsonl", run / "submission" / "stage.yaml", campaign]
    (tmp_path / "scratch").mkdir()
    run.mkdir(parents=True)
    (run / "replay").symlink_to(tmp_path / "scratch")
    old.append(tmp_path / "scratch" / "rows-of-long-ago.h5")
    telling = [run / "submission" / "lock" / "holder", run / "logs" / "slurm-7.out"]
    for path in (*old, *telling):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1000, 1000))
    store = CheckpointStore(run, CheckpointConfig(), keep_fresh=[campaign, tmp_path / "gone"])
    store.open_for_writing()
    store.save(1, tree(1), GrowingRows(10))
    store.close()
    assert [path for path in old if path.stat().st_mtime == 1000] == []
    assert [path for path in telling if path.stat().st_mtime != 1000] == [], "their age means something"
