import pytest

from td3_hpc.checkpoint.manifest import Manifest, Segment, StoredFile
from td3_hpc.checkpoint.retention import best_checkpoint, kept_manifests, prune
from td3_hpc.checkpoint_names import manifest_paths
from td3_hpc.config import CheckpointConfig
from td3_hpc.errors import BadInput
from tests.checkpoint.rows import GrowingRows, open_store


def manifest(step, size=10, **tags):
    segments = (Segment("replay/shared.h5", 1000, "0", 0, 10),)
    return Manifest(1, step, step, "", StoredFile(f"state/{step}.h5", size, "0"), segments, 0, 10, tags)


def kept_steps(manifests, **config):
    return [m.step for m in kept_manifests(sorted(manifests, key=lambda m: -m.step), CheckpointConfig(**config))]


def test_the_last_ones_are_kept():
    assert kept_steps([manifest(step) for step in range(1, 9)], keep_last=3) == [8, 7, 6]
    assert kept_steps([manifest(1)], keep_last=3) == [1]


def test_the_best_by_evaluation_is_kept():
    returns = {1: 5.0, 2: 9.0, 3: float("nan"), 4: -1, 5: float("inf")}
    manifests = [manifest(step, evaluation_return=value) for step, value in returns.items()] + [
        manifest(6),
        manifest(7),
    ]
    assert kept_steps(manifests, keep_last=2) == [7, 6, 2]
    assert kept_steps(manifests, keep_last=2, keep_best=False) == [7, 6]


def test_the_best_checkpoint_is_found_and_its_absence_told(tmp_path):
    store = open_store(tmp_path, keep_last=5)
    store.save(1, {"x": 1}, GrowingRows(10))
    with pytest.raises(BadInput, match="no checkpoint with an evaluation"):
        best_checkpoint(tmp_path)
    for step, value in ((2, 3.0), (3, 7.5), (4, 7.0)):
        store.save(step, {"x": step}, GrowingRows(10 * step), tags={"evaluation_return": value})
    store.close()
    assert "s000000003" in best_checkpoint(tmp_path).name


def test_the_end_of_a_stage_is_kept():
    manifests = [manifest(step, **({"stage_end": True} if step == 3 else {})) for step in range(1, 9)]
    assert kept_steps(manifests, keep_last=2) == [8, 7, 3]


def test_the_first_at_or_after_each_multiple_is_kept():
    manifests = [manifest(step) for step in (90, 130, 190, 210, 250, 420, 430, 440)]
    assert kept_steps(manifests, keep_last=2, keep_every_steps=100) == [440, 430, 420, 210, 130]


def test_the_disk_budget_takes_the_oldest_first_and_never_the_newest_two():
    manifests = [manifest(step, size=2**28, stage_end=True) for step in range(1, 7)]
    assert kept_steps(manifests, keep_last=2, disk_budget_gib=1.0001) == [6, 5, 4, 3]
    assert kept_steps(manifests, keep_last=2, disk_budget_gib=0.1) == [6, 5]


def test_each_kept_one_stays_kept_when_the_others_have_gone():
    config = {"keep_last": 2, "keep_every_steps": 100}
    alive = []
    for step in range(30, 1000, 37):
        alive = [m for m in [*alive, manifest(step)] if m.step in kept_steps([*alive, manifest(step)], **config)]
    assert [m.step for m in alive] == kept_steps([manifest(step) for step in range(30, 1000, 37)], **config)[::-1]


@pytest.fixture
def run_dir(tmp_path):
    store = open_store(tmp_path, keep_last=5)
    for step in (1, 2, 3, 4):
        store.save(step, {"step": step}, GrowingRows(6000 * step, capacity=9000))
    store.close()
    return tmp_path


def names(run_dir):
    return sorted(path.name for folder in ("state", "replay") for path in (run_dir / folder).iterdir())


def test_a_dry_run_tells_what_pruning_then_removes(run_dir):
    before = names(run_dir)
    told = prune(run_dir, CheckpointConfig(keep_last=2), dry_run=True)
    assert names(run_dir) == before
    assert prune(run_dir, CheckpointConfig(keep_last=2)) == told
    removed = {*told.manifests, *(file.split("/")[1] for file in told.files)}
    assert set(before) - set(names(run_dir)) == removed
    assert len(told.manifests) == 2
    assert sum("rows-" in file for file in told.files) == 1, "rows 0 to 6000 are in no kept checkpoint's ring"
    assert told.bytes > 6000 * 36
    assert prune(run_dir, CheckpointConfig(keep_last=2)).files == ()


def test_what_a_later_save_is_writing_is_left_alone(run_dir):
    coming = [
        run_dir / "state" / "checkpoint-e0001-s000000005-0005.h5",
        run_dir / "state" / ".checkpoint-e0001-s000000005-0005.h5.tmp",
        run_dir / "replay" / "rows-e0002-000000024000-000000030000-0001.h5",
    ]
    for path in coming:
        path.touch()
    prune(run_dir, CheckpointConfig(keep_last=2))
    assert all(path.exists() for path in coming)


def test_an_unreadable_manifest_and_its_files_are_left_alone(run_dir):
    oldest = manifest_paths(run_dir)[-1]
    oldest.write_bytes(b"{")
    prune(run_dir, CheckpointConfig(keep_last=2))
    assert oldest.exists()
    assert oldest.with_suffix(".h5").exists()
