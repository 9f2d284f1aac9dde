"""Queueing jobs one at a time."""

import fcntl
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from td3_hpc.submission_folder import SubmissionFolder

PATIENCE_S = 90.0
"""A lock that nobody has touched for as long is nobody's: its holder says more often that it is still at work."""
TOUCH_S = 5.0
QUIET_S = 2.0
"""Waiting is said after that."""
HOLDER = "holder"


@contextmanager
def queue_lock(folder: SubmissionFolder, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Entered by one at a time, for the folder of a run or a campaign, which it makes where there is none: by commands
    here, and by jobs (their script makes and removes the same folder) that heal a campaign's chain.

    A lock whose holder died on this machine is taken over at once: the kernel has given up its hold on the file in it.
    Of another machine's lock that tells nothing on some file systems: it is taken over when nobody has touched it for
    `patience_s`, and the wait is said on standard error.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    descriptor, done = _take(folder.lock, patience_s), threading.Event()
    touching = threading.Thread(target=_touch, args=(folder.lock, done), daemon=True)
    touching.start()
    try:
        yield
    finally:
        done.set()
        touching.join()
        shutil.rmtree(folder.lock, ignore_errors=True)
        os.close(descriptor)


def _touch(lock: Path, done: threading.Event) -> None:
    """Tell those who wait that its holder is at work."""
    while not done.wait(TOUCH_S):
        with suppress(OSError):
            os.utime(lock)


def _take(lock: Path, patience_s: float) -> int:
    """Wait for a lock; returns the descriptor of the holder's file, which is to be kept open."""
    said, seen, since = False, (0, 0), 0.0
    while True:
        with suppress(FileExistsError):
            lock.mkdir()
            return _hold(lock)
        descriptor = _of_the_dead(lock)
        if descriptor is not None:
            return descriptor
        now = _identity(lock)
        if now != seen:
            seen, since = now, time.monotonic()
        waited = time.monotonic() - since
        if waited > patience_s:
            _take_away(lock, seen)
        elif waited > QUIET_S and not said:
            until = datetime.now() + timedelta(seconds=patience_s - waited)
            who = f"{lock}: {_who(lock)} queues jobs"
            print(f"{who}; waits for it, if it gives no sign until {until:%H:%M:%S}", file=sys.stderr, flush=True)
            said = True
        time.sleep(0.1)


def _hold(lock: Path) -> int:
    """Note in a lock who holds it, and hold that file, where the file system can."""
    descriptor = os.open(lock / HOLDER, os.O_RDWR | os.O_CREAT, 0o644)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(descriptor, f"{socket.gethostname()} {os.getpid()}".encode())
    return descriptor


def _of_the_dead(lock: Path) -> int | None:
    """The descriptor of the holder's file where that was a process of this machine and is gone; it is held now."""
    if _holder(lock)[0] != socket.gethostname():
        return None
    try:
        descriptor = os.open(lock / HOLDER, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == (lock / HOLDER).stat().st_ino:  # not given back meanwhile
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{socket.gethostname()} {os.getpid()}".encode())
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _take_away(lock: Path, identity: tuple[int, int]) -> None:
    """Remove a lock that nobody needs any more."""
    away = lock.with_name(f"{lock.name}.{socket.gethostname()}-{os.getpid()}")
    with suppress(OSError):
        lock.rename(away)
        if _identity(away) != identity:  # somebody else was quicker, and this is a new one
            away.rename(lock)
    shutil.rmtree(away, ignore_errors=True)


def _identity(lock: Path) -> tuple[int, int]:
    try:
        status = lock.stat()
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


def _who(lock: Path) -> str:
    host, number = _holder(lock)
    return f"process {number} on {host}" if host else "somebody else"


def _holder(lock: Path) -> tuple[str, str]:
    """Node and number of the process that holds a lock; empty where that is not known: of a job, or not yet."""
    try:
        host, number = (lock / HOLDER).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return "", ""
    return host, number
