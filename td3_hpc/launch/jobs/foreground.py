"""A job's script without Slurm: in the foreground, with stop signals passed on."""

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from td3_hpc.errors import BadInput
from td3_hpc.lasting_output import survive_lost_output
from td3_hpc.training.signals import obeyed_signals


def run_script(script: Path, environment: Mapping[str, str] | None = None, keep_open: Sequence[int] = ()) -> int:
    """Run a script in a session of its own until it ends; returns its exit status.

    A stop signal, such as Ctrl-C, goes to the script's whole group as SIGTERM, once; the trainer saves and leaves, and
    this still waits for it. Where nobody takes the output any more, both go on. `keep_open`: file descriptors that the
    script inherits.
    """
    survive_lost_output()
    process: subprocess.Popen[bytes] | None = None
    told = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if process is not None and not told and process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        told = True

    before = {number: signal.signal(number, pass_on) for number in obeyed_signals()}
    try:
        process = subprocess.Popen(
            ["bash", str(script)],
            env={**os.environ, **(environment or {})},
            pass_fds=keep_open,
            start_new_session=True,
            restore_signals=False,  # Python ignores SIGPIPE, which would end the script between two lines of its own
            stdin=subprocess.DEVNULL,
        )
        if told:  # just before
            os.killpg(process.pid, signal.SIGTERM)
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status


@contextmanager
def exclusive_lock(path: Path, busy: str) -> Iterator[int]:
    """Hold a lock file while entered; yields its descriptor, which a script that inherits it holds as well.

    Raises BadInput with `busy` where another process holds it. Where the file system has no locks,
    it does without.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(busy) from None
        except OSError:
            pass
        yield descriptor
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process holds a lock file."""
    if not path.exists():
        return False
    try:
        with exclusive_lock(path, "held"):
            return False
    except BadInput:
        return True
