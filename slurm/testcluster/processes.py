"""Daemons: started in the background, known by process id and start time, ended by nothing else."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from failure import ClusterError
from progress import SAY_EVERY_S

POLL_S = 0.1


def start_time(pid: int) -> int | None:
    """When a live process was started, in clock ticks after boot; None where there is none, or only a zombie.

    With the id it names one process for good: ids are used again, together with the start time never.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


class Daemon:
    """One background process of the cluster. Its id is kept in run/<name>.json, its output in log/<name>.out."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self._record = directory / "run" / f"{name}.json"
        self.log = directory / "log" / f"{name}.out"

    @property
    def pid(self) -> int | None:
        """The process id while the daemon lives, else None."""
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record["pid"] if start_time(record["pid"]) == record["started"] else None

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the daemon in a session of its own, unless it is alive."""
        if self.pid is not None:
            return
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._record.write_text(json.dumps({"pid": process.pid, "started": start_time(process.pid)}), encoding="utf-8")

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Wait until the daemon is ready; raises ClusterError with its last lines when it dies or takes too long."""
        begun = told = time.monotonic()
        deadline = begun + timeout_s
        while not ready():
            if time.monotonic() - told > SAY_EVERY_S:
                told = time.monotonic()
                print(f"waiting for {self.name}, {told - begun:.0f} s", flush=True)
            if self.pid is None:
                raise ClusterError(f"{self.name} ended at once: {self._last_lines()}")
            if time.monotonic() > deadline:
                raise ClusterError(f"{self.name} is not ready after {timeout_s:.0f} s: {self._last_lines()}")
            time.sleep(POLL_S)

    def stop(self, timeout_s: float) -> None:
        """End the daemon by SIGTERM, by SIGKILL when that takes too long."""
        pid = self.pid
        if pid is not None:
            end([pid], timeout_s)
        self._record.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the daemon by SIGKILL, as the loss of its node would."""
        pid = self.pid
        if pid is None:
            raise ClusterError(f"{self.name} is not running")
        os.kill(pid, signal.SIGKILL)
        self._record.unlink(missing_ok=True)

    def _last_lines(self) -> str:
        lines = self.log.read_text(errors="replace", encoding="utf-8").splitlines()[-3:] if self.log.exists() else []
        return " | ".join(lines) + f" (see {self.log.parent})"


def end(pids: Sequence[int], timeout_s: float) -> None:
    """End processes by SIGTERM, whatever is left after the time-out by SIGKILL, and wait until they are gone."""
    alive = {pid: start_time(pid) for pid in pids}
    for number, limit_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, 5.0)):
        for pid in alive:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + limit_s
        while alive and time.monotonic() < deadline:
            alive = {pid: started for pid, started in alive.items() if started and start_time(pid) == started}
            time.sleep(POLL_S)


def listening(port: int) -> bool:
    """Whether something accepts connections at the port on the loopback."""
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex(("127.0.0.1", port)) == 0


def succeeds(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a short command exits 0."""
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def job_processes(slurm_conf: Path) -> list[int]:
    """Processes of the cluster's jobs: step daemons and jobs that name its slurm.conf in their environment.

    slurmstepd and what it started outlive their slurmd, so a lost node leaves some behind.
    """
    mark, own, found = f"SLURM_CONF={slurm_conf}".encode(), _ancestors(os.getpid()), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if mark not in environment or int(entry.name) in own:
            continue
        if b"slurmstepd" in command or any(item.startswith(b"SLURM_JOB_ID=") for item in environment):
            found.append(int(entry.name))
    return found


def _ancestors(pid: int) -> set[int]:
    found = set()
    while pid > 1:
        found.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    return found
