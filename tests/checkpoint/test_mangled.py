"""Run directories as people, sync tools and file systems leave them: nothing whole is lost, what is wrong is named."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from td3_hpc.checkpoint import CheckpointDamaged, CheckpointStore, NotContinued, open_checkpoint
from td3_hpc.checkpoint import ownership as ownership_module
from td3_hpc.checkpoint.cli import app
from td3_hpc.checkpoint.errors import Superseded
from td3_hpc.checkpoint_names import manifest_paths
from td3_hpc.config import CheckpointConfig
from td3_hpc.errors import BadInput, UserError
from tests.checkpoint.rows import GrowingRows, content, loaded_rows, open_store, same, tree
from tests.checkpoint.test_store import flip, reopen

NEWEST = "checkpoint-e0002-s000000003-0001.json"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two attempts: steps 1 and 2, then step 3."""
    for steps in ((1, 2), (3,)):
        store = open_store(tmp_path / "run")
        for step in steps:
            store.save(step, tree(step), GrowingRows(10 * step))
        store.close()
    return tmp_path / "run"


def digest(directory: Path) -> str:
    """Of everything: names, kinds, contents, and times of change."""
    found = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        found.update(f"{path} {path.lstat().st_mode} {path.lstat().st_mtime_ns}".encode())
        if path.is_file() and os.access(path, os.R_OK, effective_ids=True):
            found.update(path.read_bytes())
    return found.hexdigest()


def refusal(run: Path) -> str:
    """The one line of an attempt that does not begin; nothing is changed."""
    before = digest(run)
    with pytest.raises(BadInput) as raised:
        CheckpointStore(run, CheckpointConfig()).open_for_writing()
    assert digest(run) == before
    assert len(str(raised.value).splitlines()) == 1
    return str(raised.value)


def command(*arguments: object) -> str:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def old_epoch_file(run: Path, epoch: int, **changes: object) -> None:
    """As earlier versions wrote it."""
    path = run / "state" / f"epoch-{epoch:04}.json"
    old = {"host": "h", "machine": "m", "pid": 1, "started": 0.0, "job": "", "attempt": "0", "since": "then"}
    path.write_text(json.dumps({**old, "resumed_from": None, "released": True, **changes}))


def test_an_epoch_file_that_claims_to_begin_anew_deletes_nothing(run: Path) -> None:
    old_epoch_file(run, 9)
    said = refusal(run)
    assert "epoch-0009.json claims to begin the run anew" in said
    assert f"The newest whole checkpoint is {NEWEST} (step 3)" in said
    assert f"td3-hpc checkpoint continue {run}" in said
    assert "another --run-dir" in said

    assert NEWEST in command("continue", run)
    checkpoint, _ = reopen(run)
    assert checkpoint.manifest.name == NEWEST


def test_a_copied_epoch_file_is_no_claim(run: Path) -> None:
    state = run / "state"
    shutil.copy(state / "epoch-0001.json", state / "epoch-0009.json")
    assert "epoch-0009.json is a copy of epoch-0001.json, not a claim" in refusal(run)
    assert "epoch-0009.json" in command("continue", run)
    assert reopen(run)[0].manifest.name == NEWEST


def test_a_cut_epoch_file_is_named_and_the_newest_checkpoint_continued(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership_module, "SILENCE_S", 0.1)
    path = run / "state" / "epoch-0002.json"
    path.write_bytes(path.read_bytes()[:50])
    checkpoint, messages = reopen(run)
    assert checkpoint.manifest.name == NEWEST
    assert "epoch-0002.json is damaged" in messages[0]


def test_without_epoch_files_no_number_is_used_twice(run: Path) -> None:
    for path in (run / "state").glob("epoch-*"):
        path.unlink()
    store = open_store(run)
    assert store.epoch == 3
    assert store.latest().manifest.name == NEWEST
    store.close()


def test_another_runs_files_are_refused_by_name(run: Path, tmp_path: Path) -> None:
    other = open_store(tmp_path / "other")
    for step in (7, 8):
        other.save(step, tree(step), GrowingRows(step))
    other.close()
    shutil.copy(tmp_path / "other/state/checkpoint-e0001-s000000008-0002.json", run / "state")
    shutil.copy(tmp_path / "other/state/epoch-0001.json", run / "state" / "epoch-0001.json")
    checkpoint, messages = reopen(run)
    assert checkpoint.manifest.name == NEWEST
    said = "\n".join(messages)
    assert "checkpoint-e0001-s000000008-0002.json is set aside: it is of another run" in said
    assert "epoch-0001.json is of another run" in said

    for folder in ("state", "replay"):
        shutil.copytree(tmp_path / "other" / folder, run / folder, dirs_exist_ok=True)
    said = refusal(run)
    assert "holds checkpoints of several runs" in said
    assert NEWEST in said
    assert "checkpoint-e0001-s000000008-0002.json" in said
    command("continue", run, run / "state" / NEWEST)
    assert reopen(run)[0].manifest.name == NEWEST


def all_files(run: Path) -> list[Path]:
    return sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file())


def outcome(run: Path) -> tuple[str, str]:
    """The checkpoint that an attempt would continue from (empty where it refuses), and what it says."""
    store = CheckpointStore(run, CheckpointConfig())
    try:
        store.check_continuable()
        newest = store.latest()
    except (CheckpointDamaged, BadInput) as error:
        return "", str(error)
    assert newest is not None, "it begins anew"
    return newest.manifest.name, "\n".join(store.messages)


def test_whatever_file_of_a_copy_has_not_arrived_or_is_cut(run: Path, tmp_path: Path) -> None:
    """Each file in turn: the newest is continued, or an older one because the newest is named, or the run refuses."""
    for name in all_files(run):
        for cut in (False, True):
            copy = tmp_path / "copy"
            shutil.copytree(run, copy)
            if cut:
                (copy / name).write_bytes((copy / name).read_bytes()[:40])
            else:
                (copy / name).unlink()
            os.utime(copy / name.parent)
            newest, said = outcome(copy)
            assert newest == NEWEST or NEWEST in said or name.name in said, (name, cut, newest, said)
            shutil.rmtree(copy)


def test_files_that_arrive_in_any_order_never_begin_a_run_anew(run: Path, tmp_path: Path) -> None:
    files = all_files(run)
    for turn in range(len(files)):
        copy = tmp_path / "copy"
        for name in [*files[turn:], *files[:turn]][:-1]:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(run / name, copy / name)
            store = CheckpointStore(copy, CheckpointConfig())
            with contextlib.suppress(NotContinued, CheckpointDamaged):
                assert store.latest() is not None, f"begins anew with {all_files(copy)}"
        shutil.rmtree(copy)


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint-e0002-s000000003-0001 (conflicted copy 2026-11-28).json",
        "checkpoint-e0002-s000000003-0001.sync-conflict-20261128-120000-ABCDEFG.json",
        "CHECKPOINT-E0002-S000000003-0001.JSON",
    ],
)
def test_conflict_names_of_sync_tools(run: Path, name: str) -> None:
    path = run / "state" / NEWEST
    shutil.copy(path, path.with_name(name))
    checkpoint, messages = reopen(run)
    assert checkpoint.manifest.name == NEWEST
    assert f"{name} holds the manifest {NEWEST}; under this name it does not count" in messages

    path.unlink()
    said = refusal(run)
    assert name in said
    assert NEWEST in said
    command("continue", run, path.with_name(name))
    assert reopen(run)[0].manifest.name == NEWEST


def test_a_directory_that_is_moved_during_a_run_stops_it(run: Path) -> None:
    store = open_store(run)
    moved = run.rename(run.with_name("moved"))
    with pytest.raises(Superseded, match="was moved or another one put in its place"):
        store.save(4, tree(4), GrowingRows(40))
    store.close()
    assert not run.exists()
    assert open_checkpoint(moved).manifest.name == NEWEST


def test_a_snapshot_from_the_middle_of_an_attempt_is_continued(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    store = open_store(run)
    store.save(4, tree(4), GrowingRows(40))
    snapshot = Path(shutil.copytree(run, tmp_path / "snapshot"))
    store.save(5, tree(5), GrowingRows(50))
    store.close()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")  # lest this process is taken for the snapshot's live holder
    checkpoint, messages = reopen(snapshot)
    assert (checkpoint.manifest.step, messages) == (4, [])
    shutil.copytree(snapshot, run, dirs_exist_ok=True)  # the older over the newer
    checkpoint, _ = reopen(run)
    assert checkpoint.manifest.step == 5
    assert same(loaded_rows(checkpoint)[1], content(0, 50))


def test_a_file_system_without_hard_links_is_refused_in_one_line(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(BadInput, match=r"cannot be used \(Operation not permitted\).*hard links"):
        CheckpointStore(run, CheckpointConfig()).open_for_writing()
    assert reopen_without_writing(run) == NEWEST


def reopen_without_writing(run: Path) -> str:
    return CheckpointStore(run, CheckpointConfig()).latest().manifest.name


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a file system")
@pytest.mark.parametrize(("options", "said"), [("ro", "Read-only file system"), ("nr_inodes=40", "No space left")])
def test_a_read_only_one_and_one_without_inodes(run: Path, tmp_path: Path, options: str, said: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options.replace("ro", "rw"), "tmpfs", disk], check=True)
    try:
        shutil.copytree(run, disk / "run")
        if options == "ro":
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        else:
            for number in range(100):
                try:
                    (disk / str(number)).touch()
                except OSError:
                    break
        with pytest.raises(UserError, match=said):
            CheckpointStore(disk / "run", CheckpointConfig()).open_for_writing()
        assert reopen_without_writing(disk / "run") == NEWEST
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.fixture
def shared_run(run: Path) -> Iterator[Path]:
    """The same in a folder that other users can reach."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(shutil.copytree(run, Path(folder) / "run"))


@contextlib.contextmanager
def another_user() -> Iterator[None]:
    """What is done within is done as a user to whom none of the files belong."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_another_users_run_that_may_only_be_read_is_refused_in_one_line(shared_run: Path) -> None:
    with another_user():
        assert "Permission denied" in refusal(shared_run)
        assert reopen_without_writing(shared_run) == NEWEST


def test_another_users_run_in_a_writable_folder_is_continued(shared_run: Path) -> None:
    for folder in (shared_run, shared_run / "state", shared_run / "replay"):
        folder.chmod(0o777)
    with another_user():
        store = open_store(shared_run)
        assert store.latest().manifest.name == NEWEST
        store.save(4, tree(4), GrowingRows(40))
        store.close()

    checkpoint, _ = reopen(shared_run)
    assert checkpoint.manifest.step == 4
    assert same(loaded_rows(checkpoint)[1], content(0, 40))


@pytest.mark.parametrize("suffix", [".json", ".h5"])
def test_a_checkpoint_that_another_user_keeps_to_himself_is_not_taken_for_a_damaged_one(
    shared_run: Path, suffix: str
) -> None:
    for folder in (shared_run, shared_run / "state", shared_run / "replay"):
        folder.chmod(0o777)
    secret = shared_run / "state" / NEWEST.replace(".json", suffix)
    secret.chmod(0o600)

    with another_user():
        assert f"{secret}: this user may not read it" in refusal(shared_run)
    checkpoint, _ = reopen(shared_run)
    assert checkpoint.manifest.name == NEWEST


def test_set_aside_is_brought_back_and_removed_only_on_request(run: Path) -> None:
    assert "files set aside" in command("set-aside", run)
    assert manifest_paths(run) == []
    store = open_store(run)
    assert store.latest() is None
    store.save(1, tree(10), GrowingRows(5))
    store.close()
    assert NEWEST in command("continue", run, run / "state" / "set-aside" / NEWEST)
    checkpoint, _ = reopen(run)
    assert checkpoint.manifest.name == NEWEST
    assert same(loaded_rows(checkpoint)[1], content(0, 30))

    told = command("prune", run, "--set-aside", "--dry-run")
    assert "would free" in told
    assert "checkpoint-e0004-s000000001-0001.json" in told
    assert (run / "state" / "set-aside" / "checkpoint-e0004-s000000001-0001.json").exists()
    command("prune", run, "--set-aside")
    assert list((run / "state" / "set-aside").iterdir()) == []
    assert reopen(run)[0].manifest.name == NEWEST


def test_a_lost_run_is_not_begun_anew(run: Path) -> None:
    for path in manifest_paths(run):
        path.unlink()
    assert f"no checkpoint is here, but epoch-0002.json tells of {NEWEST}" in refusal(run)
    for path in (run / "state").glob("epoch-*"):
        path.unlink()
    assert "is of one: is a copy incomplete?" in refusal(run)


def test_a_first_save_that_was_killed_is_no_sign_of_a_lost_run(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.close()
    (tmp_path / "state" / "checkpoint-e0001-s000000001-0001.h5").write_bytes(b"x")
    (tmp_path / "replay" / "rows-e0001-000000000000-000000000010-0001.h5").write_bytes(b"x")
    assert reopen(tmp_path) == (None, [])


def test_what_two_lines_need_stays_with_both(run: Path) -> None:
    """A superseded writer's checkpoint is set aside whole, without the rows that the other line needs, too."""
    flip(run / "state" / NEWEST.replace(".json", ".h5"), 3000)
    store = open_store(run, keep_last=2)
    for step in (3, 4, 5):
        store.save(step, tree(step), GrowingRows(10 * step))
    store.close()
    checkpoint, _ = reopen(run)
    assert checkpoint.manifest.step == 5
    assert same(loaded_rows(checkpoint)[1], content(0, 50))
    assert (run / "state" / "set-aside" / NEWEST).exists()


@pytest.mark.parametrize("jump", [-1e8, 1e8])
def test_clocks_and_file_times_change_nothing(run: Path, jump: float) -> None:
    for path in run.rglob("*"):
        os.utime(path, (1e9 + jump, 1e9 + jump))
    store = CheckpointStore(run, CheckpointConfig(), clock=lambda: 1e9 - jump)
    store.open_for_writing()
    assert store.latest().manifest.name == NEWEST
    store.save(4, tree(4), GrowingRows(40))
    store.close()
    assert reopen(run)[0].manifest.step == 4
