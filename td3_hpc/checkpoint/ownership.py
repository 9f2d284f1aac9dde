"""One writer by epoch. Each attempt claims the next epoch by an exclusive link, which works on NFS and Lustre.

The newest epoch file also names its holder (host, job, attempt, process, since when), and the holder renews the file's
time stamp every few seconds: its sign of life. A holder that is gone, silent or superseded holds nothing. That may
err on a process that hangs, and on a lost node the old process may live on while Slurm restarts its job elsewhere; no
harm comes of it: the superseded process stops at its next save, and what it wrote meanwhile is never read.
"""

import contextlib
import json
import os
import re
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from td3_hpc.checkpoint.errors import RunDirectoryTaken, Superseded

SIGN_OF_LIFE_S = 5.0
"""Seconds between two signs of life."""
SILENCE_S = 30.0
"""A holder that cannot be asked, and shows no sign of life for this long, is taken for dead."""
_LONG_SILENCE_S = 600.0
"""Then the time stamp alone is enough, however far the machines' clocks are apart."""
_NAME = re.compile(r"^epoch-(\d{4,})\.json$")


class Ownership:
    """The right to write in a run directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._released = threading.Event()
        self.epoch = 0

    def claim(self, resumed_from: str | None) -> None:
        """Claim the next epoch; `resumed_from` is the manifest that it continues. Raises RunDirectoryTaken."""
        while True:
            newest = self.refuse_live_holder()
            if self._create(newest + 1, resumed_from):
                self.epoch = newest + 1
                threading.Thread(target=self._show_life, name="sign of life", daemon=True).start()
                return

    def refuse_live_holder(self) -> int:
        """Raise RunDirectoryTaken where another live process holds the newest epoch; returns that epoch.

        Waits up to SILENCE_S for a sign of life where the holder is on another machine or in another container.
        """
        newest = newest_epoch(self._directory)
        holder = read_epoch(self._directory, newest) if newest else None
        if holder is None or holder.get("released") or _is_restart_of(holder):
            return newest
        alive = _is_alive(holder)
        if alive is None:
            alive = _shows_life(_path(self._directory, newest))
        if alive:
            job = f" (job {holder['job']})" if holder.get("job") else ""
            raise RunDirectoryTaken(
                f"{self._directory.parent}: in use by attempt {newest}, process {holder.get('pid')} on "
                f"{holder.get('host')}{job} since {holder.get('since')}; wait for it or stop it first"
            )
        return newest

    def check(self) -> None:
        """Raise Superseded where a newer attempt has claimed the run."""
        newest = newest_epoch(self._directory)
        if newest != self.epoch:
            holder = read_epoch(self._directory, newest) or {}
            raise Superseded(
                f"{self._directory.parent}: attempt {newest} (process {holder.get('pid')} on {holder.get('host')}) has "
                f"taken this run over; attempt {self.epoch} stops and saves nothing more"
            )

    def release(self) -> None:
        """Tell the next attempt that this one has ended."""
        self._released.set()
        path = _path(self._directory, self.epoch)
        holder = read_epoch(self._directory, self.epoch)
        if holder is not None:
            temporary = path.with_suffix(".tmp")
            with contextlib.suppress(OSError):  # on a full disk: the next attempt then finds the process gone
                temporary.write_text(json.dumps({**holder, "released": True}))
                temporary.replace(path)

    def _show_life(self) -> None:
        path = _path(self._directory, self.epoch)
        while not self._released.wait(SIGN_OF_LIFE_S):
            with contextlib.suppress(OSError):
                os.utime(path)

    def _create(self, epoch: int, resumed_from: str | None) -> bool:
        content = json.dumps(
            {
                "host": socket.gethostname(),
                "machine": _machine(),
                "pid": os.getpid(),
                "started": psutil.Process().create_time(),
                "job": os.environ.get("SLURM_JOB_ID", ""),
                "attempt": os.environ.get("SLURM_RESTART_COUNT", "0"),
                "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
                "resumed_from": resumed_from,
            }
        ).encode()
        temporary = self._directory / f".claim-{secrets.token_hex(8)}"
        temporary.write_bytes(content)
        try:
            os.link(temporary, _path(self._directory, epoch))  # atomic and exclusive on NFS too, unlike O_EXCL of old
            return True
        except FileExistsError:
            return False
        finally:
            temporary.unlink()


def newest_epoch(directory: Path) -> int:
    """The highest epoch claimed, 0 for none."""
    matches = (_NAME.match(name) for name in os.listdir(directory))
    return max((int(match.group(1)) for match in matches if match), default=0)


def read_epoch(directory: Path, epoch: int) -> dict[str, Any] | None:
    """Who claimed an epoch; None where its file cannot be read."""
    try:
        content = json.loads(_path(directory, epoch).read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _path(directory: Path, epoch: int) -> Path:
    return directory / f"epoch-{epoch:04}.json"


def _is_alive(holder: dict[str, Any]) -> bool | None:
    """Whether the holder lives; None for one that cannot be asked: on another machine, or in another container."""
    if not holder.get("machine") or holder["machine"] != _machine():
        return None
    try:
        return abs(psutil.Process(int(holder["pid"])).create_time() - float(holder["started"])) < 1.0
    except (psutil.Error, KeyError, ValueError):
        return False


def _shows_life(path: Path) -> bool:
    """Whether a holder renews its epoch file's time stamp."""
    first = _modified(path)
    if time.time() - first > _LONG_SILENCE_S:
        return False
    deadline = time.monotonic() + SILENCE_S
    while time.monotonic() < deadline:
        time.sleep(SIGN_OF_LIFE_S / 20)
        if _modified(path) != first:
            return True
    return False


def _modified(path: Path) -> float:
    with path.open("rb") as file:  # opened, since NFS may answer a mere stat from its cache
        return os.fstat(file.fileno()).st_mtime


def _is_restart_of(holder: dict[str, Any]) -> bool:
    """Whether this is a later attempt of the holder's Slurm job, which Slurm restarts only after giving it up.

    Or the attempt of another job, where the job's script has learned from Slurm that the holder's has ended.
    """
    if holder.get("job") and holder["job"] == os.environ.get("TD3_HPC_ENDED_JOB"):
        return True
    job = os.environ.get("SLURM_JOB_ID", "")
    attempt = int(os.environ.get("SLURM_RESTART_COUNT", "0") or 0)
    return bool(job) and holder.get("job") == job and attempt > int(holder.get("attempt", 0) or 0)


def _machine() -> str:
    """This boot of this machine, and this container of it: processes of another one cannot be seen."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
