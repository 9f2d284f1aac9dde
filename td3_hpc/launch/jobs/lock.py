"""Queueing jobs one at a time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from td3_hpc.submission_folder import SubmissionFolder


@contextmanager
def queue_lock(folder: SubmissionFolder, patience_s: float = 60.0) -> Iterator[None]:
    """Entered by one at a time, for the folder of a run or a campaign, which it makes where there is none: by commands
    here, and by jobs (their script does the same) that heal a campaign's chain.

    A lock that is older than anybody needs it was left by a killed process, and is taken over.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    lock, deadline = folder.lock, time.monotonic() + patience_s
    while True:
        try:
            lock.mkdir()
            break
        except FileExistsError:
            if time.monotonic() > deadline:
                break
            time.sleep(0.2)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            lock.rmdir()
