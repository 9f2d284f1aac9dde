"""What a run leaves on disk, against real small file systems; and quotas as the two commands print them."""

import os
import stat
import subprocess
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from td3_hpc.launch.preflight.disk import (
    GIB,
    check_disk,
    check_inodes,
    check_quota,
    file_system,
    need,
    written_already,
)
from td3_hpc.launch.preflight.finding import Mistake, NotLearnt
from td3_hpc.launch.preflight.memory import state_bytes
from td3_hpc.replay.rows import row_bytes
from tests.launch.preflight.plans import plan, stage

needs_mount = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small file system")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 MB and 100 files."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m,nr_inodes=100", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def program(folder: Path, name: str, text: str) -> None:
    """A command of a name that prints a text."""
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit 1\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_every_kept_state_and_every_row_counts() -> None:
    state, row = state_bytes(stage().agent), row_bytes()
    kept = stage("checkpoint.keep_last=2", "checkpoint.keep_best=false", "checkpoint.every_steps=10",
                 "replay.capacity=5000", "training.total_steps=10_000")  # fmt: skip

    wanted = need(kept)

    assert wanted.bytes > 3 * state + 10_000 * row  # the newest two and the stage's last; a segment beyond the buffer
    assert wanted.bytes < 3 * state + 10_600 * row + state + 11_000 * row + 60 * 2**20


def test_checkpoints_kept_for_ever_count_with_the_rows_that_they_need() -> None:
    settings = ("training.total_steps=100_000", "replay.capacity=10_000", "checkpoint.every_steps=1000")
    without, with_them = need(stage(*settings)), need(stage(*settings, "checkpoint.keep_every_steps=10_000"))

    more = with_them.bytes - without.bytes

    assert more > 10 * state_bytes(stage().agent) + 80_000 * row_bytes()


def test_a_budget_bounds_the_checkpoints_but_never_below_the_newest_two() -> None:
    settings = ("training.total_steps=100_000", "replay.capacity=50_000", "checkpoint.keep_every_steps=1000",
                "checkpoint.every_steps=1000")  # fmt: skip
    bounded = need(stage(*settings, "checkpoint.disk_budget_gib=2")).bytes

    assert need(stage(*settings)).bytes > 6 * GIB
    assert 2 * GIB < bounded < 2.5 * GIB
    assert need(stage(*settings, "checkpoint.disk_budget_gib=0.001")).bytes > 50_000 * row_bytes()


@needs_mount
def test_a_file_system_too_small_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=rf"GiB .*; 0\.4 GiB free at {small}") as caught:
        check_disk(plan(small / "deep" / "run", "checkpoint.every_steps=100"))
    assert "make space" in caught.value.change
    assert "free at" in check_disk(plan(tmp_path / "run"))


@needs_mount
def test_what_the_run_has_written_already_is_not_asked_for_again(small: Path) -> None:
    short = ("checkpoint.keep_last=2", "checkpoint.keep_best=false", "training.total_steps=600")
    run = small / "run"
    (run / "state").mkdir(parents=True)
    (small / "other").write_bytes(b"0" * 200 * 2**20)
    assert 200 * 2**20 < need(stage(*short)).bytes < 320 * 2**20

    with pytest.raises(Mistake):
        check_disk(plan(run, *short))
    (small / "other").write_bytes(b"0" * 80 * 2**20)
    (run / "state" / "checkpoint-e0001-s000000500-0001.h5").write_bytes(b"0" * 120 * 2**20)

    assert written_already(run).bytes == 120 * 2**20
    check_disk(plan(run, *short))
    with pytest.raises(Mistake):  # what is set aside stays on the disk, and is none of the new run
        check_disk(replace(plan(run, *short), anew=True))


@needs_mount
def test_too_few_inodes_are_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=rf"up to \d+ files; 9\d inodes free at {small}") as caught:
        check_inodes(plan(small / "run"))
    assert "raise checkpoint.every_steps" in caught.value.change
    assert "inodes free" in check_inodes(plan(tmp_path / "run"))


def test_no_quota_command_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NotLearnt, match="no `quota` command"):
        check_quota(plan(tmp_path / "run"))


@pytest.mark.parametrize(
    ("blocks", "files", "fits"),
    [
        ("1000 9000000 0 0", "5 0 0 0", True),
        ("1000 0 0 0", "5 0 0 0", True),  # no limit
        ("8900000 9000000 9900000 0", "5 0 0 0", False),  # the soft limit counts
        ("9100000* 9000000 9900000 1800000000", "5 0 0 0", False),
        ("1000 9000000 0 0", "5 100 200 0", False),  # too few files
    ],
)
def test_a_quota_is_kept_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: str, files: str, fits: bool
) -> None:
    device, _ = file_system(tmp_path)
    header = "     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace\n"
    other = "     server:/home  1 1 1 0 1 1 1 0\n"
    program(tmp_path, "quota", f"Disk quotas for user me (uid 7): \n{header}{other}  {device} {blocks} {files}\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    if fits:
        assert "GiB in" in check_quota(plan(tmp_path / "run"))
        return
    with pytest.raises(Mistake, match=r"GiB in .* files to write; .* may write"):
        check_quota(plan(tmp_path / "run"))


def test_no_quota_there_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "quota", "Disk quotas for user me (uid 7): none\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert check_quota(plan(tmp_path / "run")).startswith("none for")


@pytest.mark.parametrize("option", ["-g", "-p"])
def test_lustres_quota_of_group_and_project_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    path = tmp_path / "lfs"
    path.write_text(f"""#!/bin/sh
[ "$1" = project ] && echo "4711 P $3"
[ "$3" = {option} ] && echo "/lustre 900000 0 1000000 - 5 0 1000 -" && exit
echo "/lustre 900000 0 0 - 5 0 0 -"
""")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("td3_hpc.launch.preflight.disk.file_system", lambda path: ("server@tcp:/lustre", "lustre"))
    whose = "group " if option == "-g" else "project 4711"

    with pytest.raises(Mistake, match=rf"to write; {whose}.* may write 0\.1 GiB in 995"):
        check_quota(plan(tmp_path / "run"))


@pytest.mark.parametrize("name", ["/lustre", "/lustre/a/long/name\n   "])
def test_lustres_quota_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    program(tmp_path, "lfs", f"{name} [900000] 0 1000000 - 5 0 1000 -\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("td3_hpc.launch.preflight.disk.file_system", lambda path: ("server@tcp:/lustre", "lustre"))

    with pytest.raises(Mistake, match=r"may write 0\.1 GiB in 995"):
        check_quota(plan(tmp_path / "run"))


def test_what_is_mounted_over_an_automounters_place_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = namedtuple("entry", "device mountpoint fstype")
    there = str(tmp_path)
    mounted = [entry("/dev/sda", "/", "ext4"), entry("auto", there, "autofs"), entry("nfs:/x", there, "nfs4")]
    monkeypatch.setattr("psutil.disk_partitions", lambda all: mounted)

    assert file_system(tmp_path / "run") == ("nfs:/x", "nfs4")
