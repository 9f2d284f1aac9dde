"""Processes that a test started, and whether they are gone."""

import time

import psutil


def descendants(pid: int) -> list[psutil.Process]:
    """All processes below a process, now."""
    return psutil.Process(pid).children(recursive=True)


def wait_until_gone(processes: list[psutil.Process], timeout: float = 15) -> list[psutil.Process]:
    """Wait for the processes to end; returns those that have not."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        alive = [process for process in processes if process.is_running() and process.status() != "zombie"]
        if not alive:
            return []
        time.sleep(0.05)
    return alive
