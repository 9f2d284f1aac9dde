"""What checkpoints need of the run directory's file system."""

import fcntl
import os
import time
from pathlib import Path

from td3_hpc.launch.doctor.context import Context
from td3_hpc.launch.doctor.node import file_system_kind
from td3_hpc.launch.doctor.result import Files

FSYNC_S = 1.0
WRITE_MIB = 64


def measure_files(context: Context) -> Files:
    """Rename over a file, exclusive link, lock, fsyncs of small files and writing one large file, in a folder there."""
    folder = context.run_dir / "files"
    folder.mkdir(exist_ok=True)
    try:
        return Files(
            kind=file_system_kind(folder),
            rename=_renames(folder),
            exclusive_link=_links(folder),
            flock=_locks(folder),
            fsyncs_per_s=_fsyncs_per_s(folder),
            write_mib_per_s=_write_mib_per_s(folder),
        )
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def _renames(folder: Path) -> bool:
    """A rename puts the new file in the old one's place, and a reader that has the old one open keeps it."""
    old, new = folder / "old", folder / "new"
    old.write_text("old", encoding="utf-8")
    new.write_text("new", encoding="utf-8")
    with old.open(encoding="utf-8") as reader:
        new.rename(old)
        return old.read_text(encoding="utf-8") == "new" and not new.exists() and reader.read() == "old"


def _links(folder: Path) -> bool:
    """A link to a name that exists is refused: that is how an attempt claims a run."""
    source, target = folder / "source", folder / "target"
    source.touch()
    try:
        os.link(source, target)
    except OSError:
        return False
    try:
        os.link(source, target)
    except FileExistsError:
        return True
    return False


def _locks(folder: Path) -> bool:
    """A second lock on a locked file is refused."""
    with (
        (folder / "lock").open("w", encoding="utf-8") as first,
        (folder / "lock").open("w", encoding="utf-8") as second,
    ):
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _fsyncs_per_s(folder: Path) -> float:
    """4 KiB written and synced, again and again."""
    count, started = 0, time.monotonic()
    with (folder / "small").open("wb", buffering=0) as file:
        while time.monotonic() < started + FSYNC_S:
            file.write(b"\0" * 4096)
            os.fsync(file.fileno())
            count += 1
    return count / (time.monotonic() - started)


def _write_mib_per_s(folder: Path) -> float:
    """One large file, synced once."""
    block = os.urandom(2**20)  # file systems that compress must not shine
    started = time.monotonic()
    with (folder / "large").open("wb", buffering=0) as file:
        for _ in range(WRITE_MIB):
            file.write(block)
        os.fsync(file.fileno())
    return WRITE_MIB / (time.monotonic() - started)
