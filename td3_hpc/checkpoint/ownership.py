"""One writer by epoch. Each attempt claims the next epoch by an exclusive link, which works on NFS and Lustre.

The newest epoch file also names its holder (host, job, attempt, process, since when). A holder on this host that is
gone, or one whose epoch has been superseded, holds nothing. On a lost node the old process may live on while Slurm
restarts its job elsewhere: the restarted job supersedes it, and it stops at its next save.
"""

import json
import os
import re
import socket
import time
from pathlib import Path
from typing import Any

import psutil

from td3_hpc.checkpoint.errors import RunDirectoryTaken, Superseded

_NAME = re.compile(r"^epoch-(\d{4,})\.json$")


class Ownership:
    """The right to write in a run directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.epoch = 0

    def claim(self, resumed_from: str | None) -> None:
        """Claim the next epoch; `resumed_from` is the manifest that it continues. Raises RunDirectoryTaken."""
        while True:
            newest = self.refuse_live_holder()
            if self._create(newest + 1, resumed_from):
                self.epoch = newest + 1
                return

    def refuse_live_holder(self) -> int:
        """Raise RunDirectoryTaken where another live process holds the newest epoch; returns that epoch."""
        newest = newest_epoch(self._directory)
        holder = read_epoch(self._directory, newest) if newest else None
        if holder and not holder.get("released") and _is_alive(holder) and not _is_restart_of(holder):
            job = f" (job {holder['job']})" if holder["job"] else ""
            raise RunDirectoryTaken(
                f"{self._directory.parent}: in use by process {holder['pid']} on {holder['host']}{job} since "
                f"{holder['since']}; wait for it or stop it first"
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
        path = _path(self._directory, self.epoch)
        holder = read_epoch(self._directory, self.epoch)
        if holder is not None:
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps({**holder, "released": True}))
            temporary.replace(path)

    def _create(self, epoch: int, resumed_from: str | None) -> bool:
        content = json.dumps(
            {
                "host": socket.gethostname(),
                "boot": _boot_id(),
                "pid": os.getpid(),
                "started": psutil.Process().create_time(),
                "job": os.environ.get("SLURM_JOB_ID", ""),
                "attempt": os.environ.get("SLURM_RESTART_COUNT", "0"),
                "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
                "resumed_from": resumed_from,
            }
        ).encode()
        temporary = self._directory / f".claim-{socket.gethostname()}-{os.getpid()}"
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


def _is_alive(holder: dict[str, Any]) -> bool:
    """Whether the holder may still live; a process on another host cannot be asked, and is taken to."""
    if holder.get("host") != socket.gethostname():
        return True
    if holder.get("boot") != _boot_id():
        return False
    try:
        return abs(psutil.Process(int(holder["pid"])).create_time() - float(holder["started"])) < 1.0
    except (psutil.Error, KeyError, ValueError):
        return False


def _is_restart_of(holder: dict[str, Any]) -> bool:
    """Whether this is a later attempt of the holder's Slurm job, which Slurm restarts only after giving it up.

    Or the attempt of another job, where the job's script has learned from Slurm that the holder's has ended.
    """
    if holder.get("job") and holder["job"] == os.environ.get("TD3_HPC_ENDED_JOB"):
        return True
    job = os.environ.get("SLURM_JOB_ID", "")
    attempt = int(os.environ.get("SLURM_RESTART_COUNT", "0") or 0)
    return bool(job) and holder.get("job") == job and attempt > int(holder.get("attempt", 0) or 0)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
