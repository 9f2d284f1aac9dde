"""What all test processes share: made by the first that needs it, while the others wait."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def of_all_processes(factory: pytest.TempPathFactory) -> Path:
    """The folder of these tests' temporary files, the same in every process of pytest-xdist."""
    folder = factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make` has filled; where that failed, the next process tries it again in another one."""
    shared = of_all_processes(factory)
    with (shared / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = shared / f"{name}.made"
        if not made.exists():
            folder = factory.mktemp(name)
            make(folder)
            made.write_text(str(folder))
    return Path(made.read_text())
