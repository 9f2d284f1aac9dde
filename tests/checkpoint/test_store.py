import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from td3_hpc.checkpoint import CheckpointDamaged, CheckpointStore, diff, open_checkpoint
from td3_hpc.checkpoint import segments as segments_module
from td3_hpc.checkpoint import store as store_module
from td3_hpc.checkpoint.manifest import read_manifest
from td3_hpc.checkpoint_names import manifest_paths, order_of
from td3_hpc.config import CheckpointConfig
from td3_hpc.errors import UserError
from td3_hpc.replay import ReplayBuffer
from td3_hpc.spaces import ACTION, random_observation
from tests.checkpoint.held_write import HeldWrite
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


@settings(max_examples=15)
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
    @settings(max_examples=60)
    @given(st.data())
    def check(data):
        run_dir = tmp_path_factory.mktemp("run")
        store = open_store(run_dir)
        store.save(1, tree(1), GrowingRows(10))
        store.save(2, tree(2), GrowingRows(20))
        store.close()
        newest, previous = checkpoint_of(run_dir, 2), checkpoint_of(run_dir, 1)
        name = data.draw(st.sampled_from([f"state/{newest.name}", *(file.path for file in newest.files())]))
        path = run_dir / name
        flip(path, data.draw(st.integers(0, path.stat().st_size - 1)))
        if name in [file.path for file in previous.files()]:  # the previous one needs it, too
            with pytest.raises(CheckpointDamaged, match=f"{path.name}.*\n.*{path.name}.*\n.*no checkpoint verifies"):
                open_store(run_dir)
            return
        checkpoint, messages = reopen(run_dir)
        assert checkpoint.manifest.step == 1
        assert any(path.name in message for message in messages), messages
        assert same(checkpoint.state(), tree(1))
        assert same(loaded_rows(checkpoint)[1], content(0, 10))
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
    writing = HeldWrite(monkeypatch)
    rows = GrowingRows(10)
    store.save_in_background(1, tree(1), rows)
    writing.wait_until_begun()
    rows.sealed_row = 15  # training adds rows meanwhile
    assert store.poll() == []
    writing.go_on()
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


def files_of(run_dir):
    return {path.name for folder in ("state", "replay") for path in (run_dir / folder).iterdir() if path.is_file()}


def test_saves_of_every_size_leave_few_segments_and_write_a_row_twice_at_most(tmp_path, monkeypatch):
    monkeypatch.setattr(segments_module, "SEGMENT_ROWS", 1024)
    monkeypatch.setattr(segments_module, "SMALL_ROWS", 512)
    for each in (40, 100, 500, 1000, 3000):
        store, written = open_store(tmp_path / str(each)), 0
        rows = GrowingRows()
        for step in range(6000 // each):
            rows.sealed_row += each
            store.save(step, {"step": step}, rows)
            written += segments_written(store)
        store.close()
        manifest = reopen(tmp_path / str(each))[0].manifest
        assert len(manifest.segments) <= rows.sealed_row / 512 + segments_module.MANY_SMALL
        assert written <= 2.1 * rows.sealed_row, (
            f"saves of {each} rows wrote each row {written / rows.sealed_row} times"
        )


def segments_written(store):
    """Rows of the segments that the newest save wrote."""
    manifest = store.latest().manifest
    number = f"-{manifest.number:04}.h5"
    return sum(s.next_row - s.first_row for s in manifest.segments if s.path.endswith(number))


def test_a_segment_that_has_gone_is_written_again_and_named(tmp_path):
    store = open_store(tmp_path)
    for step in (1, 2, 3):
        store.save(step, {"step": step}, GrowingRows(6000 * step))
    lost = sorted((tmp_path / "replay").iterdir())[1]
    lost.unlink()
    info = store.save(4, {"step": 4}, GrowingRows(24_000))
    assert info.written_again == (f"replay/{lost.name}",)
    assert info.written_again == (f"replay/{lost.name}",)
    store.close()
    checkpoint, messages = reopen(tmp_path)
    assert messages == []
    assert same(loaded_rows(checkpoint)[1], content(0, 24_000))


def test_files_that_a_purge_would_take_for_old_are_touched(tmp_path):
    now = 1e9
    store = CheckpointStore(tmp_path, CheckpointConfig(), clock=lambda: now)
    store.open_for_writing()
    store.save(1, {"step": 1}, GrowingRows(6000))
    segment = next((tmp_path / "replay").iterdir())
    for hours, touched in ((1, False), (25, True)):
        now += hours * 3600
        os.utime(segment, (0, 0))
        store.save(hours, {"step": hours}, GrowingRows(6000 + hours))
        assert (segment.stat().st_mtime > 0) == touched
    store.close()


def test_what_a_killed_or_failed_save_left_is_cleared_away(tmp_path):
    store = open_store(tmp_path)
    store.save(1, tree(1), GrowingRows(10))
    store.close()
    for name in (
        "state/.checkpoint-e0001-s000000002-0002.h5.tmp",
        "state/.checkpoint-e0001-s000000001-0001.json.77.tmp",
        "state/checkpoint-e0001-s000000002-0002.h5",
        "replay/.rows-e0001-000000000010-000000000020-0002.h5.tmp",
        "replay/rows-e0001-000000000010-000000000020-0002.h5",
    ):
        (tmp_path / name).write_bytes(b"x")
    store = open_store(tmp_path)
    store.save(3, tree(3), GrowingRows(30))
    store.close()
    kept = [checkpoint_of(tmp_path, 1), checkpoint_of(tmp_path, 3)]
    expected = {Path(file.path).name for m in kept for file in m.files()} | {m.name for m in kept}
    assert files_of(tmp_path) == expected | {"epoch-0001.json", "epoch-0002.json"}


def checkpoint_of(run_dir, step):
    paths = [path for path in manifest_paths(run_dir) if order_of(path)[1] == step]
    return read_manifest(paths[0]) if paths else None


def test_the_rows_of_a_broken_checkpoint_are_set_aside_not_deleted(tmp_path):
    store = open_store(tmp_path)
    store.save(1, tree(1), GrowingRows(6000))
    store.save(2, tree(2), GrowingRows(12_000))
    store.close()
    broken = checkpoint_of(tmp_path, 2)
    flip(tmp_path / broken.state.path, 5000)
    store = open_store(tmp_path)
    assert store.latest().manifest.step == 1
    store.save(2, tree(2), GrowingRows(12_000))
    store.close()
    aside = {path.name for path in (tmp_path / "state" / "set-aside").iterdir()}
    own = {Path(broken.state.path).name, broken.name, Path(broken.segments[1].path).name}
    assert aside == own
    assert reopen(tmp_path)[1] == []


def test_a_superseded_writers_checkpoint_is_set_aside(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    old = open_store(tmp_path)
    old.save(1, tree(1), GrowingRows(10))
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    newer = open_store(tmp_path)
    monkeypatch.setattr(old._ownership, "check", lambda: None)  # as if paused behind it
    monkeypatch.setattr(store_module.retention, "prune", lambda *_, **__: None)
    old.save(9, tree(9), GrowingRows(90))
    monkeypatch.undo()
    newer.save(2, tree(2), GrowingRows(20))
    assert open_checkpoint(tmp_path).manifest.step == 2
    assert newer.latest().manifest.step == 2
    newer.close()
    assert checkpoint_of(tmp_path, 9) is not None, "it is nobody's to delete"
    store = open_store(tmp_path)
    assert store.latest().manifest.step == 2
    assert "s000000009-0002.json is set aside: another attempt had taken the run over" in "\n".join(store.messages)
    assert "checkpoint-e0001-s000000009-0002.h5" in store.messages[-1]
    store.close()
    assert same(loaded_rows(reopen(tmp_path)[0])[1], content(0, 20))
    assert (tmp_path / "state" / "set-aside" / "checkpoint-e0001-s000000009-0002.h5").exists()


def test_the_ring_may_come_round_to_small_segments_while_they_are_written_again(tmp_path):
    rows = GrowingRows(0, 200)
    store = open_store(tmp_path)
    for step in range(15):
        rows.sealed_row += 10
        store.save(step, {"step": step}, rows)
    real = rows.read_rows

    def overtaken(start, stop):
        rows.read_rows = real
        rows.sealed_row += 100  # meanwhile
        return content(start, stop)

    rows.read_rows = overtaken
    rows.sealed_row += 10
    store.save(15, {"step": 15}, rows)
    store.close()
    checkpoint, messages = reopen(tmp_path)
    assert messages == []
    assert len(checkpoint.manifest.segments) == 16
    assert same(loaded_rows(checkpoint)[1], content(0, 160))


def test_rows_that_are_overwritten_before_they_are_saved_fail_the_save(tmp_path):
    rows = GrowingRows(50, 60)
    store = open_store(tmp_path)
    real = rows.read_rows

    def overtaken(start, stop):
        read = real(start, stop)
        rows.sealed_row += 100
        return read

    rows.read_rows = overtaken
    with pytest.raises(UserError, match="ring came round to row 0"):
        store.save(1, {"step": 1}, rows)
    store.close()
    assert reopen(tmp_path)[0] is None


def test_a_buffer_that_wrapped_three_times_samples_the_same_sequence(tmp_path):
    capacity, rng = 300, np.random.default_rng(5)
    replay = ReplayBuffer(capacity, np.random.default_rng(6))
    store, in_background = open_store(tmp_path), 0

    step = 0
    while replay.next_row < 3 * capacity + 100:
        observation = random_observation(rng)
        replay.begin(observation)
        for t in range(length := int(rng.integers(5, 40))):
            observation = random_observation(rng, observation)
            replay.add(ACTION.random(rng), float(t), observation, False, t == length - 1)
            step += 1
            if step % 40 == 0:
                store.save_in_background(step, {"replay": replay.state()}, replay)
                in_background += 1
    replay.begin(random_observation(rng))
    assert replay.first_row > 2 * capacity
    store.save(step, {"replay": replay.state()}, replay)
    assert [outcome.error for outcome in store.poll()] == [None] * in_background
    store.close()
    checkpoint, _ = reopen(tmp_path)
    restored = ReplayBuffer(capacity, np.random.default_rng(7))
    restored.restore(checkpoint.first_row, checkpoint.rows())
    restored.load_state(checkpoint.state()["replay"])
    assert len(restored) == len(replay)
    for _ in range(20):
        ours, theirs = restored.sample(64), replay.sample(64)
        np.testing.assert_equal(vars(ours), vars(theirs))
