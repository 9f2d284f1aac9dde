"""A small disk, and filling it up."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """A new file system of that size (`4m`) at the directory; skips the test where none can be mounted."""
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


def fill_up(path: Path) -> None:
    """Write a file until its disk is full, to the last half kilobyte."""
    for block in (1 << 20, 512):
        with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
            while file.write(bytes(block)):
                pass
