import json
import os

from td3_hpc.checkpoint import adopt, diff, has_checkpoint, open_checkpoint
from td3_hpc.checkpoint_names import manifest_paths
from tests.checkpoint.rows import GrowingRows, content, loaded_rows, open_store, same, tree
from tests.checkpoint.test_store import reopen


def saved(run_dir, steps):
    store = open_store(run_dir)
    for step in steps:
        store.save(step, tree(step), GrowingRows(10 * step), tags={"stage_end": step == steps[-1]})
    store.close()
    return open_checkpoint(run_dir)


def test_an_adopted_checkpoint_is_the_same_bytes_and_verifies(tmp_path):
    before = saved(tmp_path / "before", [1, 2, 3])

    adopt(before, tmp_path / "after")

    assert diff(tmp_path / "before", tmp_path / "after") == []
    checkpoint, messages = reopen(tmp_path / "after")
    assert messages == []
    assert same(checkpoint.state(), tree(3))
    assert same(loaded_rows(checkpoint)[1], content(0, 30))
    assert "stage_end" not in checkpoint.manifest.tags, "it is the end of the other run, not of this one"


def test_the_runs_own_checkpoints_are_newer_even_at_the_same_step(tmp_path):
    adopt(saved(tmp_path / "before", [1, 2, 3, 4]), tmp_path / "after")

    store = open_store(tmp_path / "after")
    store.save(4, tree(44), GrowingRows(40))
    store.close()

    checkpoint, _ = reopen(tmp_path / "after")
    assert same(checkpoint.state(), tree(44))
    assert same(loaded_rows(checkpoint)[1], content(0, 40))


def test_neither_run_is_harmed_when_the_other_goes_on_and_prunes(tmp_path):
    adopt(saved(tmp_path / "before", [1, 2]), tmp_path / "after")

    for run in ("before", "after"):
        store = open_store(tmp_path / run, keep_last=2, keep_best=False)
        for step in range(3, 9):
            store.save(step, tree(step), GrowingRows(10 * step))
        store.close()

    for run in ("before", "after"):
        checkpoint, messages = reopen(tmp_path / run)
        assert messages == []
        assert same(loaded_rows(checkpoint)[1], content(0, 80))


def test_a_copy_serves_where_links_are_impossible(tmp_path, monkeypatch):
    def no_links(*arguments):
        raise OSError("another file system")

    before = saved(tmp_path / "before", [1, 2])
    monkeypatch.setattr(os, "link", no_links)
    adopt(before, tmp_path / "after")
    monkeypatch.undo()

    assert diff(tmp_path / "before", tmp_path / "after") == []
    states = [
        path.with_suffix(".h5").stat().st_ino
        for path in (*manifest_paths(tmp_path / "before")[:1], *manifest_paths(tmp_path / "after"))
    ]
    assert states[0] != states[1]


def test_cut_off_before_its_manifest_it_is_no_checkpoint_and_is_done_again(tmp_path):
    before = saved(tmp_path / "before", [1, 2])
    path = adopt(before, tmp_path / "after")
    content_before = without_identity(path)
    path.unlink()

    assert not has_checkpoint(tmp_path / "after")
    assert without_identity(adopt(before, tmp_path / "after")) == content_before
    assert diff(tmp_path / "before", tmp_path / "after") == []


def without_identity(path):
    """A manifest's content without the new run's random identity."""
    return {key: value for key, value in json.loads(path.read_text()).items() if key not in ("run", "checksum")}
