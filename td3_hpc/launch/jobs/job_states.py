"""What Slurm knows of jobs: those in the queue from squeue, ended ones from sacct where accounting is on."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from td3_hpc.launch.jobs import slurm

TIMEOUT_S = 20


@dataclass(frozen=True)
class Job:
    """One job, or one task of a job array."""

    id: str
    """`123`, or `123_2` for the task 2 of an array."""
    state: str
    """Slurm's word: PENDING, RUNNING, COMPLETED, TIMEOUT, ..."""
    reason: str = ""
    """Why it waits, or how it ended."""
    node: str = ""
    elapsed: str = ""
    script: str = ""
    """Path of its script; empty where Slurm does not tell."""
    task: int | None = None
    """Number in its job array."""

    @property
    def live(self) -> bool:
        """Whether it is still in the queue or runs."""
        return self.state not in slurm.OVER

    def as_fields(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


@dataclass(frozen=True)
class Queue:
    """The user's jobs that are queued or running."""

    jobs: tuple[Job, ...] = ()
    unknown: tuple[str, ...] = field(default=())
    """What could not be learnt, in words."""

    def of(self, script: Path, task: int | None = None) -> list[Job]:
        """The jobs of a script, of one task of its arrays where that is given."""
        return [job for job in self.jobs if job.script == str(script) and task in (None, job.task)]


def read_queue(cluster: str | None = None) -> Queue:
    """The user's queue, as far as Slurm answers; on the cluster of a name, or this machine's own."""
    if not slurm.has("squeue"):
        return Queue(unknown=("no Slurm on this machine: jobs are not looked up",))
    columns = "%F|%K|%A|%T|%r|%N|%M|%o"
    # Without a list of states, in which a held or stopped job would have no place.
    rows, error = _ask_rows(*_own_jobs(), "-o", columns, columns=8, cluster=cluster)
    if error:
        return Queue(unknown=(f"squeue: {error}",))
    return Queue(tuple(_queued(row) for row in rows))


def _own_jobs() -> tuple[str, ...]:
    """The question for jobs of this process's user, whoever $USER says that is, hidden partitions' with them."""
    return ("squeue", "--all", "-h", "-r", "-u", str(os.getuid()))


def _queued(row: Sequence[str]) -> Job:
    array, task, number, state, reason, node, elapsed, script = row
    in_array = task.isdigit()
    return Job(
        f"{array}_{task}" if in_array else number,
        state,
        "" if reason == "None" else reason,
        node,
        elapsed,
        script,
        int(task) if in_array else None,
    )


def ended_jobs(rows: Sequence[Sequence[str]], cluster: str | None = None) -> tuple[list[Job | None], list[str]]:
    """How runs' jobs ended, and what could not be learnt. Accounting that is off leaves the controller's memory.

    A row holds the ids of one run's jobs, the oldest first. Of each row comes the latest that ran, since one that only
    waited behind it tells nothing; the latest of all where none did; None where none is known.
    """
    if not rows or not slurm.has("sacct"):
        return [None] * len(rows), []
    columns = "JobID,State,ExitCode,NodeList,Elapsed"
    numbers = ",".join(job for row in rows for job in row)
    found, error = _ask_rows("sacct", "-n", "-X", "-P", "-o", columns, "-j", numbers, columns=5, cluster=cluster)
    known = _remembered(cluster) if error else {job.id: job for job in map(_accounted, found)}
    ended = [_latest(row, known.get) for row in rows]
    return ended, [f"sacct: {error}; how jobs ended is known for some minutes only"] if error and None in ended else []


def _accounted(row: Sequence[str]) -> Job:
    job, state, code, node, took = row
    return Job(job, state.split()[0], f"exit {code}", "" if node == "None assigned" else node, took)


def _latest(row: Sequence[str], look_up: Callable[[str], Job | None]) -> Job | None:
    latest = None
    for number in reversed(row):
        job = look_up(number)
        if job is not None and job.node:
            return job
        latest = latest or job
    return latest


def not_known_to_have_ended(jobs: Sequence[str], cluster: str | None) -> list[str]:
    """Jobs of a cluster that its controller does not list, and of which its accounting does not say that they are over.

    Without a cluster's name there are none: this machine's own controller forgets no job that may still run.
    """
    if cluster is None or not jobs:
        return []
    lines, _ = _ask("sacct", "-n", "-X", "-P", "-o", "JobID,State", "-j", ",".join(jobs), cluster=cluster)
    accounted = dict(line.split("|")[:2] for line in lines if "|" in line)
    return [job for job in jobs if (accounted.get(job, "").split() or [""])[0] not in slurm.OVER]


def _remembered(cluster: str | None) -> dict[str, Job]:
    """The user's jobs that the controller still remembers, by id: one question for all of them."""
    columns = ",".join(f"{name}:|" for name in ("ArrayJobID", "ArrayTaskID", "JobID", "State", "NodeList", "TimeUsed"))
    shown = (*_own_jobs(), "-t", "all", "-O", f"{columns},exit_code:|")
    rows, _ = _ask_rows(*shown, columns=8, cluster=cluster)  # nothing stands behind the last |
    return {job.id: job for job in map(_remembered_job, rows)}


def _remembered_job(row: Sequence[str]) -> Job:
    array, task, number, state, node, elapsed, code, _ = row
    if code.isdigit():  # Slurm 22.05 shows what wait(2) said
        code = f"{int(code) >> 8}:{int(code) & 0x7F}"
    return Job(f"{array}_{task}" if task.isdigit() else number, state, f"exit {code}", node, elapsed)


def _ask_rows(*command: str, columns: int, cluster: str | None) -> tuple[list[list[str]], str]:
    """The fields of each line of an answer, and why there is none in words; an answer of another form is none."""
    lines, error = _ask(*command, cluster=cluster)
    rows = [line.split("|", columns - 1) for line in lines]
    for line, row in zip(lines, rows):
        if len(row) != columns:
            return [], f"answered {line[:200]!r}, which is no line about a job"
    return rows, error


def _ask(*command: str, cluster: str | None) -> tuple[list[str], str]:
    return slurm.ask(*command, cluster=cluster, timeout_s=TIMEOUT_S)
