import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from td3_hpc.checkpoint import CheckpointDamaged, CheckpointStore, diff
from td3_hpc.checkpoint import segments as segments_module
from td3_hpc.checkpoint import store as store_module
from td3_hpc.config import CheckpointConfig
from tests.checkpoint.rows import GrowingRows, content, loaded_rows, open_store, same, tree


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset % len(data)] ^= 0x10
    path.write_bytes(data)


def reopen(run_dir):
    store = open_store(run_dir)
    try:
        return store.latest(), store.messages
    finally:
        store.close()


def test_what_was_saved_comes_back(tmp_path):
    store = open_store(tmp_path)
    store.save(3, tree(3), GrowingRows(20))
    store.close()
    checkpoint, messages = reopen(tmp_path)
    assert messages == []
    assert same(checkpoint.state(), tree(3))
    first, rows = loaded_rows(checkpoint)
    assert first == 0
    assert same(rows, content(0, 20))


def test_nothing_saved_is_nothing_to_load(tmp_path):
    assert reopen(tmp_path) == (None, [])


def test_a_checkpoint_writes_only_the_new_rows(tmp_path):
    store = open_store(tmp_path)
    store.save(1, tree(1), GrowingRows(5000))
    before = {path.name for path in (tmp_path / "replay").iterdir()}
    store.save(2, tree(2), GrowingRows(5010))
    new = [path for path in (tmp_path / "replay").iterdir() if path.name not in before]
    assert [path.name.split("-")[2:4] for path in new] == [["000000005000", "000000005010"]]
    store.close()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=30), st.integers(20, 100))
def test_rows_come_back_whatever_the_saves_and_the_ring(tmp_path_factory, growth, capacity):
    run_dir = tmp_path_factory.mktemp("run")
    store = open_store(run_dir)
    rows = GrowingRows(0, capacity)
    for step, count in enumerate(growth):
        rows.sealed_row += count
        store.save(step, {"step": step}, rows)
    store.close()
    checkpoint, _ = reopen(run_dir)
    first, loaded = loaded_rows(checkpoint)
    assert first <= rows.first_row
    assert checkpoint.manifest.next_row == rows.sealed_row
    if loaded:
        assert same(loaded, content(first, rows.sealed_row))


def test_many_small_segments_become_one(tmp_path):
    store = open_store(tmp_path)
    for step in range(1, 50):
        store.save(step, {"step": step}, GrowingRows(step * 3))
    store.close()
    checkpoint, _ = reopen(tmp_path)
    assert len(checkpoint.manifest.segments) <= segments_module.MANY_SMALL + 1
    assert same(loaded_rows(checkpoint)[1], content(0, 147))


def test_compressed_rows_come_back(tmp_path):
    store = open_store(tmp_path, compression="blosc-lz4")
    store.save(1, tree(1), GrowingRows(3000))
    store.close()
    assert same(loaded_rows(reopen(tmp_path)[0])[1], content(0, 3000))


def test_a_flipped_byte_anywhere_is_found_named_and_the_previous_checkpoint_used(tmp_path_factory):
    @settings(max_examples=25, deadline=None)
    @given(st.data())
    def check(data):
        run_dir = tmp_path_factory.mktemp("run")
        store = open_store(run_dir)
        store.save(1, tree(1), GrowingRows(10))
        store.save(2, tree(2), GrowingRows(20))
        store.close()
        newest = max((run_dir / "state").glob("checkpoint-*.json"))
        mine = [newest, newest.with_suffix(".h5"), max((run_dir / "replay").iterdir())]
        path = data.draw(st.sampled_from(mine))
        flip(path, data.draw(st.integers(0, path.stat().st_size - 1)))
        checkpoint, messages = reopen(run_dir)
        assert checkpoint.manifest.step == 1
        assert any(path.name in message for message in messages), messages
        assert same(checkpoint.state(), tree(1))
        assert (run_dir / "state" / "set-aside" / newest.name).exists(), "what is broken is kept"

    check()


def test_a_missing_segment_is_named(tmp_path):
    store = open_store(tmp_path)
    store.save(1, tree(1), GrowingRows(10))
    store.close()
    segment = next((tmp_path / "replay").iterdir())
    segment.unlink()
    with pytest.raises(CheckpointDamaged, match=f"{segment.name}: missing.*purge") as raised:
        open_store(tmp_path)
    assert "no checkpoint verifies" in str(raised.value), "a run with checkpoints must never start anew by itself"


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    store = open_store(tmp_path)
    writing, may_go_on = threading.Event(), threading.Event()
    real = store_module.tree_image

    def held(*arguments):
        writing.set()
        assert may_go_on.wait(20)
        return real(*arguments)

    monkeypatch.setattr(store_module, "tree_image", held)
    rows = GrowingRows(10)
    store.save_in_background(1, tree(1), rows)
    assert writing.wait(20)
    rows.sealed_row = 15  # training adds rows meanwhile
    assert store.poll() == []
    may_go_on.set()
    store.save(2, tree(2), rows)  # a signal's save waits for the one under way
    assert [(outcome.step, outcome.error) for outcome in store.poll()] == [(1, None)]
    store.close()
    checkpoint, _ = reopen(tmp_path)
    assert checkpoint.manifest.step == 2
    assert same(loaded_rows(checkpoint)[1], content(0, 15))


FIELDS = [
    "counters/step", "counters/updates", "agent/actor/weight", "agent/optimizer/moment", "agent/generator/state",
    "agent/generator/bytes", "episode/seed", "episode/actions", "flag", "rate", "config",
]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_diff_finds_a_change_in_any_field(tmp_path, field):
    changed = tree(4)
    section = changed
    *parents, last = field.split("/")
    for parent in parents:
        section = section[parent]
    value = section[last]
    section[last] = f"{value}x" if isinstance(value, str) else not value if isinstance(value, bool) else value + 1
    for name, state in (("a", tree(4)), ("b", changed)):
        store = open_store(tmp_path / name)
        store.save(4, state, GrowingRows(10))
        store.close()
    assert [difference.path for difference in diff(tmp_path / "a", tmp_path / "b")] == [field]


def test_diff_ignores_provenance_and_how_rows_are_cut_into_segments(tmp_path):
    other = tree(4) | {"provenance": {"host": "elsewhere"}}
    store = open_store(tmp_path / "a")
    store.save(4, tree(4), GrowingRows(30))
    store.close()
    store = open_store(tmp_path / "b")
    for rows in (7, 19, 30):
        store.save(4, other, GrowingRows(rows))
    store.close()
    assert diff(tmp_path / "a", tmp_path / "b") == []


def test_diff_finds_a_change_in_any_row_field(tmp_path):
    class Changed(GrowingRows):
        def read_rows(self, start, stop):
            rows = super().read_rows(start, stop)
            rows["reward"][-1] += 1
            return rows

    for name, rows in (("a", GrowingRows(10)), ("b", Changed(10))):
        store = open_store(tmp_path / name)
        store.save(4, tree(4), rows)
        store.close()
    assert [difference.path for difference in diff(tmp_path / "a", tmp_path / "b")] == ["replay rows/reward"]


def test_a_tree_without_lists_or_objects_only(tmp_path):
    store = CheckpointStore(tmp_path, CheckpointConfig())
    store.open_for_writing()
    with pytest.raises(TypeError):
        store.save(1, {"bad": np.array([object()])}, GrowingRows())
    store.close()
