"""Slurm's own commands."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from td3_hpc.errors import BadInput, UserError

TIMEOUT_S = 60
#: States of jobs that are over; squeue shows them for some minutes when asked by id.
OVER = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
        "REVOKED", "TIMEOUT")  # fmt: skip

#: Beginnings of the variables by which the environment changes what Slurm's commands do, and those of them that only
#: say where Slurm is and who asks. SBATCH_EXPORT is a site's rule for every job; the script copes with it.
STEERING = ("SALLOC_", "SACCT", "SBATCH_", "SCANCEL_", "SCONTROL_", "SINFO_", "SLURM_", "SQUEUE_", "SRUN_")
HARMLESS = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SBATCH_EXPORT", "SBATCH_GET_USER_ENV")


@dataclass(frozen=True)
class Queued:
    """A job that sbatch has taken."""

    job: str
    cluster: str | None
    """Where it went, if sbatch says so: it does where it was told a cluster (-M)."""


def use_configuration(slurm_conf: Path | None) -> None:
    """Make this process's Slurm commands talk to the cluster of a slurm.conf, unless the environment names one."""
    if slurm_conf is not None:
        os.environ.setdefault("SLURM_CONF", str(slurm_conf))


def usable() -> bool:
    """Whether this machine has Slurm's commands, and the slurm.conf that they are to use."""
    try:
        require()
    except BadInput:
        return False
    return True


def require() -> None:
    """Raise BadInput where this machine has no Slurm commands, or not the slurm.conf that they are to use."""
    if not has("sbatch"):
        raise BadInput("no sbatch on this machine: submit from a login node, or use a profile with scheduler: local")
    configuration = os.environ.get("SLURM_CONF")
    if configuration and not Path(configuration).is_file():  # Slurm's commands would look for it for a minute each
        raise BadInput(
            f"{configuration}: no such file; bring that cluster up (the test cluster: make cluster-up), or correct "
            "slurm_conf in the profile or SLURM_CONF in the environment"
        )


def sbatch(script: Path, *options: str, cluster: str | None = None) -> Queued:
    """Submit a script. Raises BadInput with Slurm's reason where it refuses, UserError where its answer is none."""
    result = _run("sbatch", "--parsable", *options, str(script), cluster=cluster)
    if result.returncode != 0:
        refused = f"Slurm refused the job: {reason(result.stderr)}"
        raise BadInput(f"{refused}; correct the profile. Nothing was queued", cause=refused)
    for line in reversed(result.stdout.splitlines()):  # some sites' sbatch greets first
        if match := re.fullmatch(r"(\d+)(?:;(\S+))?", line.strip()):
            return Queued(match[1], match[2] or cluster)
    raise UserError(
        f"sbatch took {script} and answered {' '.join(result.stdout.split())[-200:]!r}, in which no line is a job's "
        "number; look for the job with squeue before you submit again"
    )


def would_take(script: Path, cluster: str | None = None) -> tuple[bool, str]:
    """Whether Slurm would take a script, and what it says. Queues nothing."""
    result = _run("sbatch", "--test-only", str(script), cluster=cluster)
    return result.returncode == 0, reason(result.stderr).removeprefix("sbatch: ")


def ping(cluster: str | None = None) -> str:
    """What the controller, or the command in its place, says of whether it is up."""
    result = _run("scontrol", "ping", cluster=cluster)  # exits 1 where it is down, and says so on standard output
    return result.stdout.strip() or reason(result.stderr)


def job_states(jobs: Sequence[str], cluster: str | None = None) -> dict[str, str]:
    """The state of each job that the controller still knows; raises UserError where Slurm does not answer."""
    if not jobs or not has("squeue"):
        return {}
    result = _run("squeue", "-h", "-o", "%i %T", "--jobs", ",".join(jobs), cluster=cluster)
    if result.returncode != 0 and "Invalid job id" not in result.stderr:  # that one it has forgotten
        raise UserError(f"squeue: {reason(result.stderr)}; try again")
    rows = [line.split() for line in _rows(result.stdout)]
    for row in rows:
        if len(row) != 2 or not row[0][0].isdigit() or not row[1].isupper():
            raise UserError(f"squeue: answered {' '.join(row)[:200]!r}, which is no job's state; try again")
    return {row[0]: row[1] for row in rows}


def live_jobs(jobs: Sequence[str], cluster: str | None = None) -> dict[str, str]:
    """Which of the jobs are queued or running, with their states; raises UserError where Slurm does not answer."""
    return {job: state for job, state in job_states(jobs, cluster).items() if state not in OVER}


def node_of(job: str, cluster: str | None = None) -> str:
    """Where a job runs; empty where it does not, or Slurm does not say."""
    lines, _ = ask("squeue", "-h", "-o", "%N", "--jobs", job, cluster=cluster)
    return "".join(lines).strip()


def scancel(jobs: Sequence[str], *options: str, cluster: str | None = None) -> None:
    """Cancel jobs, or send them a signal; those that are gone already are no error."""
    if jobs:
        _run("scancel", *options, *jobs, cluster=cluster)


def has(command: str) -> bool:
    """Whether this machine has one of Slurm's commands."""
    return shutil.which(command) is not None


def ask(*command: str, cluster: str | None = None, timeout_s: float = TIMEOUT_S) -> tuple[list[str], str]:
    """The lines that a command printed, and why it failed in words (empty: it did not)."""
    try:
        result = _run(*command, cluster=cluster, timeout_s=timeout_s)
    except (OSError, UserError):
        return [], f"no answer within {timeout_s:g} s"
    if result.returncode != 0:
        return [], reason(result.stderr) if result.stderr.strip() else f"exit status {result.returncode}"
    return _rows(result.stdout), ""


def _run(*command: str, cluster: str | None = None, timeout_s: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Run one of Slurm's commands, for another cluster than this machine's own where one is named.

    Raises UserError where it does not answer.
    """
    if cluster:  # scontrol's subcommand comes first, sbatch's script last
        where = ["-M", cluster]
        command = (*command, *where) if command[0] == "scontrol" else (command[0], *where, *command[1:])
    try:
        return subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            env=environment(),
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{command[0]} did not answer within {timeout_s:g} s; is Slurm's controller up? Try again"
        ) from None


def environment() -> dict[str, str]:
    """This process's environment without what would change a command's meaning: the profile wins over SBATCH_TIMELIMIT,
    and over what a job that this runs in has left."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in HARMLESS or not name.startswith(STEERING)
    }  # fmt: skip


@contextmanager
def clean_environment() -> Iterator[None]:
    """The same for this process, for as long as a library calls Slurm by itself."""
    before, wanted = dict(os.environ), environment()
    for name in before.keys() - wanted.keys():
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)


def _rows(output: str) -> list[str]:
    """Lines of a command's output, without those that name the cluster that was asked (-M)."""
    return [line for line in output.splitlines() if line.strip() and not line.startswith("CLUSTER: ")]


def reason(stderr: str) -> str:
    """The line that says most: Slurm puts the particular error first and the general one last."""
    lines = [line.split("error: ", 1)[-1].strip() for line in stderr.splitlines() if "error:" in line]
    return lines[0] if lines else " ".join(stderr.split()) or "without a reason"
