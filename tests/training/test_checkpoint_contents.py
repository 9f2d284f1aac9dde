"""What the checkpoint of a real run holds: everything described, and everything compared by `diff`."""

import random
import subprocess
import sys

import h5py
import numpy as np
import pytest

from td3_hpc.checkpoint import CheckpointStore, diff, open_checkpoint
from td3_hpc.config import CheckpointConfig


class LoadedRows:
    """The rows of a checkpoint, to be saved again."""

    def __init__(self, checkpoint):
        blocks = list(checkpoint.rows())
        self.rows = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        self.first_row, self.sealed_row = checkpoint.first_row, checkpoint.manifest.next_row

    def read_rows(self, start, stop):
        return {name: array[start - self.first_row : stop - self.first_row] for name, array in self.rows.items()}


def saved(directory, state, rows):
    store = CheckpointStore(directory, CheckpointConfig())
    store.open_for_writing()
    store.save(1, state, rows)
    store.close()
    return directory


def leaves(tree, prefix=""):
    """The entries of a tree that are compared, by path."""
    for name, value in tree.items():
        if name == "provenance" and not prefix:
            continue
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}\n")
        else:
            yield f"{prefix}{name}"


def changed(tree, paths):
    """A copy of the tree with the least change in each of these entries."""
    copy = dict(tree)
    for path in paths:
        *parents, last = path.split("\n")
        section = copy
        for parent in parents:
            section[parent] = dict(section[parent])
            section = section[parent]
        section[last] = changed_value(section[last])
    return copy


def changed_value(value):
    if value is None or isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if isinstance(value, int) else float(np.nextafter(value, np.inf))
    if isinstance(value, str):
        return f"{value}x"
    if value.size == 0:
        return np.zeros((1, *value.shape[1:]), value.dtype)
    value = value.copy()
    value.reshape(-1).view(np.uint8)[random.Random(value.nbytes).randrange(value.nbytes)] ^= 1
    return value


def test_a_stranger_can_read_what_every_entry_is(stopped_run):
    manifest = open_checkpoint(stopped_run).manifest
    for stored in manifest.files():
        with h5py.File(stopped_run / stored.path) as file:
            unexplained = []

            def look(name, item, unexplained=unexplained):
                number = isinstance(item, h5py.Dataset) and item.dtype.kind != "S"
                if not item.attrs.get("description") or (number and not item.attrs.get("unit")):
                    unexplained.append(name)

            file.visititems(look)
            assert unexplained == []


def test_everything_that_a_run_needs_is_there(stopped_run):
    state = open_checkpoint(stopped_run).state()
    assert {"counters", "agent", "replay", "rollouts", "telemetry", "config", "provenance"} <= state.keys()
    assert state["rollouts"]["0"]["episode"]["actions"].shape[0] > 0, "the run was to be stopped in an episode"
    parameters = state["agent"]["actor"].keys()
    for name in ("actor", "actor_target", "actor_optimizer"):
        assert state["agent"][name].keys() == parameters
    assert {"processor", "accelerator", "threads", "kernels", "torch", "libraries", "numpy"} <= state[
        "provenance"
    ].keys()


def test_diff_names_every_entry_that_is_changed(stopped_run, tmp_path):
    checkpoint = open_checkpoint(stopped_run)
    state, rows = checkpoint.state(), LoadedRows(checkpoint)
    assert diff(stopped_run, saved(tmp_path / "same", state, rows)) == [], "what is loaded and saved again is the same"
    paths = list(leaves(state))
    assert len(paths) > 100
    other = saved(tmp_path / "other", changed(state, paths), rows)
    found = {difference.path for difference in diff(stopped_run, other)}
    assert found == {path.replace("\n", "/") for path in paths}


def test_diff_names_every_row_field_that_is_changed(stopped_run, tmp_path):
    checkpoint = open_checkpoint(stopped_run)
    state = checkpoint.state()
    small = {"counters": state["counters"]}
    first = saved(tmp_path / "first", small, LoadedRows(checkpoint))
    for name in LoadedRows(checkpoint).rows:
        rows = LoadedRows(checkpoint)
        rows.rows[name] = changed_value(rows.rows[name])
        found = diff(first, saved(tmp_path / name, small, rows))
        assert [difference.path for difference in found] == [f"replay rows/{name}"]


def diff_command(first, second):
    return subprocess.run([sys.executable, "-m", "td3_hpc", "checkpoint", "diff", first, second]).returncode


def test_the_command_exits_1_for_one_bit(stopped_run, tmp_path):
    checkpoint = open_checkpoint(stopped_run)
    other = changed(checkpoint.state(), ["agent\ncritic_optimizer\ncnn.conv1.weight\nexp_avg_sq"])
    assert diff_command(stopped_run, saved(tmp_path / "other", other, LoadedRows(checkpoint))) == 1
    assert diff_command(stopped_run, stopped_run) == 0


@pytest.mark.long
def test_diff_finds_a_change_in_any_single_entry(stopped_run, tmp_path):
    checkpoint = open_checkpoint(stopped_run)
    state, rows = checkpoint.state(), LoadedRows(checkpoint)
    for number, path in enumerate(leaves(state)):
        other = saved(tmp_path / str(number), changed(state, [path]), rows)
        assert [difference.path for difference in diff(stopped_run, other)] == [path.replace("\n", "/")]
        for file in other.rglob("*.h5"):
            file.unlink()
