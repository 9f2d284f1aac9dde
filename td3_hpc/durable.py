"""Writing files that survive a crash at any instant."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from td3_hpc.errors import BadInput

Read = TypeVar("Read")

#: What a read answers of the file itself; any other failure is the file system's, and may pass.
_ANSWERS = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM)
_PAUSES_S = (0.2, 1.0, 3.0)


def insist(read: Callable[[], Read]) -> Read:
    """What a read gives, tried again for a few seconds where the file system fails it (EIO, ESTALE). Raises OSError."""
    for pause_s in _PAUSES_S:
        try:
            return read()
        except OSError as error:
            if error.errno in _ANSWERS:
                raise
        time.sleep(pause_s)
    return read()


def is_answer(error: OSError) -> bool:
    """Whether a failed read tells something of the file: that it is not there, or not for this user."""
    return error.errno in _ANSWERS


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
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and not error.filename:
            error.filename = str(path)  # write and fsync name none
        raise
    sync_directory(path.parent)
