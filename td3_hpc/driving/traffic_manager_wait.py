"""Waiting until the Traffic Manager's thread is parked, before anything that ticks.

The Traffic Manager runs inside the client library. After `world.tick()` has returned, its thread makes one more call
and then waits on a condition variable; the library's next tick notifies that variable without holding its mutex. A
tick that falls between the thread's check and its sleep is lost, and both sides wait for ever: no time-out applies.
Fast synchronous simulators meet this within minutes. So the caller first makes sure that the thread sleeps inside its
futex, which Linux shows in `/proc/self/task/<thread>/syscall`.
"""

import os
import time
from collections.abc import Set
from typing import BinaryIO

_FUTEX = b"202"  # x86-64, the only machine that the client library is built for
_POLL_S = 20e-6
_FALLBACK_SLEEP_S = 1e-3
_HOME_S = 0.010
"""Asleep in one futex for this long just after its creation: this futex is the thread's condition variable."""
_NEW_HOME_S = 1.0
"""Asleep in another futex for this long: what was taken for the condition variable was a slow call."""
_SAME_VARIABLE = 16  # glibc's condition variable sleeps on two words, 4 bytes apart


def thread_ids() -> set[str]:
    """The ids of this process's threads."""
    return set(os.listdir("/proc/self/task"))


class ParkedWait:
    """Knows the worker thread of the one Traffic Manager that was made since `before` (see `thread_ids`)."""

    def __init__(self, before: Set[str]) -> None:
        self._file = _worker_file(thread_ids() - before)
        self._home = 0

    def wait(self, timeout_s: float) -> None:
        """Return once the thread is parked; raises TimeoutError when it is not within timeout_s."""
        if self._file is None:
            time.sleep(_FALLBACK_SLEEP_S)  # no proof, but longer than the thread's last call takes
            return
        if self._home and self._at_home(self._futex()):
            return
        self._wait(timeout_s)

    def close(self) -> None:
        """Forget the thread."""
        if self._file is not None:
            self._file.close()

    def _wait(self, timeout_s: float) -> None:
        started = settled = time.monotonic()
        candidate = 0
        while True:
            futex, now = self._futex(), time.monotonic()
            if self._home and self._at_home(futex):
                return
            if futex != candidate:
                candidate, settled = futex, now
            elif futex and now - settled > (_NEW_HOME_S if self._home else _HOME_S):
                self._home = futex
                return
            if now - started > timeout_s:
                raise TimeoutError(f"the Traffic Manager's thread did not park within {timeout_s:g} s")
            time.sleep(_POLL_S)

    def _at_home(self, futex: int) -> bool:
        return abs(futex - self._home) <= _SAME_VARIABLE

    def _futex(self) -> int:
        """Address of the futex that the thread sleeps in; 0 when it does not."""
        assert self._file is not None
        self._file.seek(0)
        fields = self._file.read(64).split()
        return int(fields[1], 16) if fields and fields[0] == _FUTEX else 0


def _worker_file(new: Set[str]) -> BinaryIO | None:
    """The open `syscall` file of the one new thread that is no RPC server thread; None where that is not readable."""
    workers = [thread for thread in new if _name(thread) != "server"]
    if len(workers) != 1:
        return None
    try:
        file = open(f"/proc/self/task/{workers[0]}/syscall", "rb", buffering=0)  # noqa: SIM115
        file.read(64)
    except OSError:
        return None
    return file


def _name(thread: str) -> str:
    try:
        with open(f"/proc/self/task/{thread}/comm", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return "server"  # ended meanwhile
