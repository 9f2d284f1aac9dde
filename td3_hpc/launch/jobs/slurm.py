"""Slurm's own commands."""

import os
import shutil
import subprocess
from pathlib import Path

from td3_hpc.errors import BadInput, UserError

TIMEOUT_S = 60


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
    if shutil.which("sbatch") is None:
        raise BadInput("no sbatch on this machine: submit from a login node, or use a profile with scheduler: local")
    configuration = os.environ.get("SLURM_CONF")
    if configuration and not Path(configuration).is_file():  # Slurm's commands would look for it for a minute each
        raise BadInput(
            f"{configuration}: no such file; bring that cluster up (the test cluster: make cluster-up), or correct "
            "slurm_conf in the profile or SLURM_CONF in the environment"
        )


def sbatch(script: Path, *options: str) -> str:
    """Submit a script; returns the job's id. Raises BadInput with Slurm's reason where it refuses."""
    result = run("sbatch", "--parsable", *options, str(script))
    if result.returncode != 0:
        raise BadInput(f"Slurm refused the job: {reason(result.stderr)}; correct the profile. Nothing was queued")
    return result.stdout.strip().split(";")[0]


def live_jobs(jobs: list[str]) -> dict[str, str]:
    """Which of the jobs are queued or running, with their states; raises UserError where Slurm does not answer."""
    if not jobs or shutil.which("squeue") is None:
        return {}
    result = run("squeue", "-h", "-o", "%i %T", "--jobs", ",".join(jobs))
    if result.returncode != 0 and "Invalid job id" not in result.stderr:  # that one it has forgotten
        raise UserError(f"squeue: {reason(result.stderr)}; try again")
    lines = [line.split() for line in result.stdout.splitlines()]
    return {job: state for job, state in lines if state not in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT")}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of Slurm's commands; raises UserError where it does not answer."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{command[0]} did not answer within {TIMEOUT_S} s; is Slurm's controller up? Try again"
        ) from None


def reason(stderr: str) -> str:
    """The line that says most: Slurm puts the particular error first and the general one last."""
    lines = [line.split("error: ", 1)[-1].strip() for line in stderr.splitlines() if "error:" in line]
    return lines[0] if lines else " ".join(stderr.split()) or "without a reason"
