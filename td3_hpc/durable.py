"""Writing files that survive a crash at any instant."""

import os
from pathlib import Path

from td3_hpc.errors import BadInput


def sync_directory(directory: Path) -> None:
    """Make the directory's entries durable (a rename is not, until its directory is synced)."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_folder(path: Path) -> None:
    """Raise BadInput where a file that a user has named lies in no folder."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise BadInput(f"{path}: there is no folder {folder}")
    if path.is_dir():
        raise BadInput(f"{path}: is a folder; name a file")
    if not os.access(folder, os.W_OK):
        raise BadInput(f"{path}: cannot be written in {folder}")


def replace_file(path: Path, content: bytes) -> None:
    """Put content at path atomically: temporary name, flush, fsync, rename, directory fsync.

    Raises OSError (disk full, read-only) with the old file untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
