"""Disturb a run on the test cluster, again and again: preemption, time limits, lost nodes, dead simulators, restarts.

    python -m benchmarks.million.disturb CAMPAIGN/1m/seed-1 --log disturbances.jsonl --every-minutes 10

Needs SLURM_CONF of the test cluster (docs/test-cluster.md). One disturbance after the other, in turn, each only once
the run has gone on learning since the last; one line of JSON each. Given again, it goes on with the next
kind. It ends with the run, or with Ctrl-C.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
POLL_S = 2.0
OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")
BETWEEN_STEPS = 200
"""At least so many steps lie between two disturbances."""


class Run:
    """The run as its files and Slurm tell of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def status(self) -> dict[str, Any]:
        """What `td3-hpc status --json` says of it."""
        (run,) = json.loads(_output(sys.executable, "-m", "td3_hpc", "status", "--json", str(self.directory)))["runs"]
        return dict(run)

    @property
    def step(self) -> int:
        return int(self.status()["step"] or 0)

    def job(self) -> dict[str, str]:
        """Slurm's words about its newest job: JobId, JobState, NodeList, Partition and so on."""
        job = self.status()["job"]
        if job is None:
            return {}
        words = _output("scontrol", "show", "job", "-o", str(job["id"])).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait_for(self, *states: str) -> dict[str, str]:
        """Until its job is in one of these states."""
        while (job := self.job()).get("JobState") not in states:
            time.sleep(POLL_S)
        return job


def preempt(run: Run) -> None:
    """A job of a higher partition takes the whole node: SIGTERM, KillWait, SIGKILL, requeue."""
    job = run.job()
    options = ["-p", "high", "-w", job["NodeList"], "--exclusive", "-o", "/dev/null"]
    _output("sbatch", *options, "--wrap", "sleep 10")
    run.wait_for("PENDING")


def preempt_with_grace(run: Run) -> None:
    """The same from the partition that has a grace time, which the job is moved to while it waits."""
    preempt(run)
    _output("scontrol", "update", f"JobId={run.job()['JobId']}", "Partition=grace")
    run.wait_for("RUNNING")
    _wait_for_steps(run)
    preempt(run)
    _output("scontrol", "update", f"JobId={run.job()['JobId']}", "Partition=low")


def end_its_time(run: Run) -> None:
    """Its walltime is cut to what it has used and two to three minutes."""
    job = run.job()
    days, _, clock = job["RunTime"].rpartition("-")
    hours, minutes, _ = clock.split(":")
    limit = (int(days or 0) * 24 + int(hours)) * 60 + int(minutes) + 3
    _output("scontrol", "update", f"JobId={job['JobId']}", f"TimeLimit={limit}")
    run.wait_for("PENDING")


def lose_its_node(run: Run) -> None:
    """SIGKILL to the node's slurmd; the job's processes live on, as after a lost network. The node comes back."""
    number = run.job()["NodeList"].rpartition("n")[2].rpartition("-")[2]
    _cluster("kill-node", number)
    run.wait_for("PENDING")
    run.wait_for("RUNNING")  # elsewhere: on a node that has just come back Slurm 22.05 may revoke its credential
    _cluster("start-node", number)


def kill_its_simulator(run: Run) -> None:
    """SIGKILL to a training simulator, which in a container has a number of its own: known by its port and the run."""
    address = json.loads((run.directory / "simulators" / "simulator-training.json").read_text(encoding="utf-8"))
    for process in psutil.process_iter():
        try:
            command, environment = process.cmdline(), process.environ()
        except psutil.Error:
            continue
        of_the_run = any(str(run.directory) in value for value in environment.values())
        if of_the_run and "td3_hpc.simulator" in command and str(address["port"]) in command:
            process.kill()
            return
    raise LookupError(f"{run.directory}: no training simulator listens on port {address['port']}")


def restart_the_controller(run: Run) -> None:
    """SIGKILL to this cluster's slurmctld, which is away for half a minute."""
    daemon = Path(os.environ["SLURM_CONF"]).parents[1] / "run" / "slurmctld.json"
    psutil.Process(json.loads(daemon.read_text(encoding="utf-8"))["pid"]).kill()
    time.sleep(30)
    _cluster("up")


KINDS: dict[str, Callable[[Run], None]] = {
    "preempted": preempt,
    "time limit": end_its_time,
    "simulator killed": kill_its_simulator,
    "preempted, with grace": preempt_with_grace,
    "node lost": lose_its_node,
    "controller restarted": restart_the_controller,
}


def disturb(run: Run, log: Path, every_minutes: float, most: int) -> None:
    """Go on where the log ends, up to `most` disturbances."""
    done = len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0
    kinds = list(KINDS)
    while done < most:
        begun = time.monotonic()
        _wait_for_steps(run)
        while time.monotonic() < begun + 60 * every_minutes:
            time.sleep(POLL_S)
        run.wait_for("RUNNING")
        kind = kinds[done % len(kinds)]
        told = {"kind": kind, "time": time.time(), "step": run.step}
        KINDS[kind](run)
        with log.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(told) + "\n")
        done += 1
        print(f"{done}: {kind} at step {told['step']:,}", flush=True)


def _wait_for_steps(run: Run) -> None:
    """Until the run is BETWEEN_STEPS further. Raises SystemExit where it has ended."""
    first = run.step
    while (now := run.status())["step"] < first + BETWEEN_STEPS:
        over = now["state"] == "failed" and run.job().get("JobState") in (None, *OVER)
        if over or now["state"] in ("GO", "NO-GO"):
            raise SystemExit(f"the run has ended: {now['state']}")
        time.sleep(POLL_S)


def _cluster(*arguments: str) -> None:
    _output(sys.executable, str(ROOT / "slurm" / "testcluster"), *arguments)


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


def main(arguments: Iterable[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, help="the run's directory")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--every-minutes", type=float, default=10.0)
    parser.add_argument("--most", type=int, default=36)
    given = parser.parse_args(None if arguments is None else list(arguments))
    try:
        disturb(Run(given.run), given.log, given.every_minutes, given.most)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
