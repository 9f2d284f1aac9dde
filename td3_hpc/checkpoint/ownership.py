"""One writer by epoch. Each attempt claims the next epoch by an exclusive link, which works on NFS and Lustre.

The newest epoch file also names its holder (host, job, attempt, process, since when), and the holder renews the file's
time stamp every few seconds: its sign of life. A holder that is gone, silent or superseded holds nothing. That may
err on a process that hangs, and on a lost node the old process may live on while Slurm restarts its job elsewhere; no
harm comes of it: the superseded process stops at its next save, and reports nothing as saved that it wrote meanwhile.
"""

import contextlib
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from td3_hpc.checkpoint.epochs import epoch_name, read_epochs, read_epochs_from
from td3_hpc.checkpoint.errors import RunDirectoryTaken, Superseded
from td3_hpc.checkpoint.sealed_json import seal
from td3_hpc.durable import replace_file, sync_directory

SIGN_OF_LIFE_S = 5.0
"""Seconds between two signs of life."""
SILENCE_S = 30.0
"""A holder that cannot be asked, and shows no sign of life for this long, is taken for dead."""


class Ownership:
    """The right to write in a run directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._released = threading.Event()
        self._content: dict[str, Any] = {}
        self._silent: tuple[int, float] | None = None
        """Epoch and time stamp of a holder that was waited for, in vain: it is not waited for again."""
        self.epoch = 0

    def claim(self, resumed_from: str | None, run: str = "", above: int = 0, anew: bool = False) -> None:
        """Claim the next epoch, one higher than `above` at least. Raises RunDirectoryTaken.

        `resumed_from` is the manifest that it continues, `run` the run's identity; `anew`: the user has set aside
        whatever was there.
        """
        while True:
            epoch = max(self.refuse_live_holder(), above) + 1
            if self._create(epoch, resumed_from, run, anew):
                self.epoch = epoch
                threading.Thread(target=self._show_life, name="sign of life", daemon=True).start()
                return

    def refuse_live_holder(self) -> int:
        """Raise RunDirectoryTaken where another live process holds the newest epoch; returns the highest epoch.

        Waits up to SILENCE_S for a sign of life where the holder is on another machine or in another container, or
        where its file cannot be read.
        """
        epochs = read_epochs(self._directory)
        newest = max([0, *epochs.claims, *epochs.unreadable])
        if not newest:
            return epochs.highest
        holder = epochs.claims[newest].content if newest in epochs.claims else {}
        if holder.get("released") or _is_restart_of(holder):
            return epochs.highest
        alive = _is_alive(holder)
        if alive is None:
            path = _path(self._directory, newest)
            alive = (newest, _modified(path)) != self._silent and _shows_life(path)
            self._silent = (newest, _modified(path))
        if alive:
            job = f" (job {holder['job']})" if holder.get("job") else ""
            raise RunDirectoryTaken(
                f"{self._directory.parent}: in use by attempt {newest}, process {holder.get('pid')} on "
                f"{holder.get('host')}{job} since {holder.get('since')}; wait for it or stop it first"
            )
        return epochs.highest

    def check(self) -> None:
        """Raise Superseded where a newer attempt has claimed the run, or another directory stands in its place.

        Raises OSError where the file system does not say.
        """
        epochs = read_epochs_from(self._directory, self.epoch)
        epochs.disown(str(self._content.get("run") or ""))
        newest = max([0, *epochs.claims, *epochs.unreadable])
        if newest > self.epoch:
            holder = epochs.claims[newest].content if newest in epochs.claims else {}
            raise Superseded(
                f"{self._directory.parent}: attempt {newest} (process {holder.get('pid')} on {holder.get('host')}) has "
                f"taken this run over; attempt {self.epoch} stops and saves nothing more"
            )
        if self.epoch not in epochs.claims or epochs.claims[self.epoch].content.get("claim") != self._content.get(
            "claim"
        ):
            raise Superseded(
                f"{self._directory.parent}: {epoch_name(self.epoch)} of this attempt is no longer there: the directory "
                f"was moved or another one put in its place; attempt {self.epoch} stops and saves nothing more"
            )

    def note_saved(self, manifest: str) -> None:
        """Write the name of the newest checkpoint into the epoch file. Raises OSError."""
        self._rewrite(saved=manifest)

    def correct(self, resumed_from: str | None, run: str) -> None:
        """Correct the claim: another attempt was at work between the look and the claim. Raises OSError."""
        self._rewrite(resumed_from=resumed_from, run=run)

    def release(self) -> None:
        """Tell the next attempt that this one has ended."""
        self._released.set()
        with contextlib.suppress(OSError, Superseded):  # on a full disk: the next attempt then finds the process gone
            own = read_epochs_from(self._directory, self.epoch).claims.get(self.epoch)
            if own is not None and own.content.get("claim") == self._content.get("claim"):
                self._rewrite(released=True)

    def _rewrite(self, **changes: Any) -> None:
        self._content.update(changes)
        replace_file(_path(self._directory, self.epoch), seal(self._content))

    def _show_life(self) -> None:
        path = _path(self._directory, self.epoch)
        while not self._released.wait(SIGN_OF_LIFE_S):
            with contextlib.suppress(OSError):
                os.utime(path)

    def _create(self, epoch: int, resumed_from: str | None, run: str = "", anew: bool = False) -> bool:
        self._content = {
            "epoch": epoch,
            "run": run,
            "claim": secrets.token_hex(8),
            "host": socket.gethostname(),
            "machine": _machine(),
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
            "started_ticks": _start_ticks(os.getpid()),
            "job": os.environ.get("SLURM_JOB_ID", ""),
            "cluster": os.environ.get("SLURM_CLUSTER_NAME", ""),
            "attempt": os.environ.get("SLURM_RESTART_COUNT", "0"),
            "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
            "resumed_from": resumed_from,
            "saved": None,
            **({"anew": True} if anew else {}),
        }
        temporary, path = self._directory / f".claim-{secrets.token_hex(8)}", _path(self._directory, epoch)
        try:
            with temporary.open("wb") as file:
                file.write(seal(self._content))
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # atomic and exclusive on NFS too, unlike O_EXCL of old
        except FileExistsError:
            if not os.path.samefile(temporary, path):  # NFS may ask its server twice, and then finds our own link
                return False
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(self._directory)
        return True


def _path(directory: Path, epoch: int) -> Path:
    return directory / epoch_name(epoch)


def _is_alive(holder: Mapping[str, Any]) -> bool | None:
    """Whether the holder lives; None for one that cannot be asked: on another machine, or in another container."""
    if not holder.get("machine") or holder["machine"] != _machine():
        return None
    try:
        if holder.get("started_ticks"):  # since the machine's boot: a clock that is set does not move it
            return _start_ticks(int(holder["pid"])) == int(holder["started_ticks"])
        return abs(psutil.Process(int(holder["pid"])).create_time() - float(holder["started"])) < 1.0
    except (psutil.Error, KeyError, ValueError):
        return False


def _start_ticks(pid: int) -> int:
    """Clock ticks from the machine's boot to a process's start; 0 where there is no such process (or only what its
    parent has not waited for yet), or no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0
    state, *fields = stat.rpartition(")")[2].split()
    return 0 if state in ("Z", "X") else int(fields[18])


def _shows_life(path: Path) -> bool:
    """Whether a holder renews its epoch file's time stamp. How old that is says nothing: clocks may be apart."""
    first = _modified(path)
    print(
        f"{path.parent.parent}: waiting up to {SILENCE_S:.0f} s for a sign of life of its last attempt", file=sys.stderr
    )
    deadline = time.monotonic() + SILENCE_S
    while time.monotonic() < deadline:
        time.sleep(SIGN_OF_LIFE_S / 20)
        if _modified(path) != first:
            return True
    return False


def _modified(path: Path) -> float:
    with path.open("rb") as file:  # opened, since NFS may answer a mere stat from its cache
        return os.fstat(file.fileno()).st_mtime


def _is_restart_of(holder: Mapping[str, Any]) -> bool:
    """Whether this is a later attempt of the holder's Slurm job, which Slurm restarts only after giving it up.

    Or the attempt of another job, where the job's script has learned from Slurm that the holder's has ended. Jobs of
    another cluster on the same file system are unknown to this one, and their numbers mean nothing here.
    """
    if holder.get("cluster", "") not in ("", os.environ.get("SLURM_CLUSTER_NAME", "")):
        return False
    if holder.get("job") and holder["job"] == os.environ.get("TD3_HPC_ENDED_JOB"):
        return True
    job = os.environ.get("SLURM_JOB_ID", "")
    attempt = int(os.environ.get("SLURM_RESTART_COUNT", "0") or 0)
    return bool(job) and holder.get("job") == job and attempt > int(holder.get("attempt", 0) or 0)


def _machine() -> str:
    """This boot of this machine, and this container of it: processes of another one cannot be seen."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
