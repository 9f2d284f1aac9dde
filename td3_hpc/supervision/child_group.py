"""A child process that leads a process group of its own and cannot outlive the supervisor."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from typing import BinaryIO

import psutil

from td3_hpc.supervision.launch_command import Launch

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.02
_libc = ctypes.CDLL(None, use_errno=True)


class ChildGroup:
    """A started program. Everything in its group is ended by `stop`; nothing else ever is."""

    def __init__(self, start: Launch, log: BinaryIO, stdin: int = subprocess.DEVNULL) -> None:
        """Start it, its output going to the open file, its input from a descriptor. Raises OSError where it cannot be
        started.
        """
        supervisor = os.getpid()
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            start.command,
            env=start.environment,
            stdin=stdin,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _die_with(supervisor),
        )
        self._ended = False

    @property
    def pid(self) -> int:
        """The process's id, and its group's."""
        return self._process.pid

    def ended(self) -> bool:
        """Whether its first process has ended. It is left unreaped, so that its id stays its own until `stop`."""
        if not self._ended:
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            self._ended = os.waitid(os.P_PID, self.pid, flags) is not None
        return self._ended

    def members(self) -> list[psutil.Process]:
        """The living processes of the group, its first one first."""
        try:
            first = psutil.Process(self.pid)
            processes = [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
        return [process for process in processes if _group(process.pid) == self.pid]

    def memory_gib(self) -> float:
        """Resident memory of the whole group, in GiB."""
        total = 0
        for process in self.members():
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total / 2**30

    def stop(self, grace_s: float) -> int:
        """End the group: SIGTERM, up to `grace_s` seconds, SIGKILL. Returns the exit code, negative for a signal."""
        if not self.ended():
            self._signal_group(signal.SIGTERM)
            deadline = time.monotonic() + grace_s
            while not self.ended() and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        self._signal_group(signal.SIGKILL)  # also what a program that ended by itself has left behind
        return self._process.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def describe_exit(code: int) -> str:
    """'exit code 1' or 'signal SIGKILL', from an exit code as `subprocess` gives it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1


def _die_with(parent: int) -> None:
    """In the child, before it becomes the program: be killed when the parent ends, and take SIGTERM seriously again."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the supervisor ignores it, which children inherit
    if os.getppid() != parent:
        os._exit(1)
