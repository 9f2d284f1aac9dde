"""The same job by submitit: its Python on the node runs the frozen script, which runs the container in a step.

submitit's own checkpoint protocol is left aside: it works inside a signal handler, counts every signal within ten
minutes of a short time limit as a time-out and gives up at the third, and is not told of plain preemption at all.
"""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import submitit

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.jobs.script import job_name, sbatch_options


def run_script(script: str) -> int:
    """Run the job's script; ends this process with its exit status unless that is 0."""
    status = subprocess.call(["bash", script])
    if status:
        sys.exit(status)
    return status


def queue(stage: str, profile: ClusterConfig, run_dir: Path, script: Path) -> str:
    """Submit the script by submitit; returns the job's id. Raises BadInput where Slurm refuses."""
    try:
        # submitit repeats sbatch's messages on standard error
        with slurm.clean_environment(), contextlib.redirect_stderr(io.StringIO()):
            return str(_executor(stage, profile, run_dir).submit(run_script, str(script)).job_id)
    except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError, RuntimeError) as error:
        lines = [line for line in str(error).splitlines() if "error:" in line] or [" ".join(str(error).split())]
        raise BadInput(f"Slurm refused the job: {lines[0].split('error: ')[-1]}; correct the profile") from None


def show(stage: str, profile: ClusterConfig, run_dir: Path) -> str:
    """The script that submitit would queue, whose Python runs ours. Raises BadInput where this machine has no Slurm."""
    try:
        executor = _executor(stage, profile, run_dir)
    except RuntimeError as error:
        raise BadInput(f"submitit: {error}; show the script without --by submitit") from None
    folder = run_dir / "submission" / "submitit"
    command = f"{sys.executable} -u -m submitit.core._submit {folder}"
    text: str = executor._make_submission_file_text(command, "ID")
    return f"{text}\n# ---- The command above runs {run_dir}/submission/stage.sbatch:\n"


def _executor(stage: str, profile: ClusterConfig, run_dir: Path) -> submitit.SlurmExecutor:
    options = dict(sbatch_options(profile))
    executor = submitit.SlurmExecutor(folder=run_dir / "submission" / "submitit")
    executor.update_parameters(
        job_name=job_name(stage, run_dir, profile),
        time=profile.walltime_minutes,
        signal_delay_s=profile.signal_lead_s,
        stderr_to_stdout=True,
        wckey=None,  # else jobs are booked under, and need, one that is called submitit
        use_srun=False,  # the script makes the step; submitit's Python in a step would nest two
        setup=["trap : TERM USR1 USR2"],
        additional_parameters={
            **{name: True if value is None else value for name, value in options.items() if name != "time"},
            "nodes": profile.nodes,
            "ntasks": profile.nodes,
            "requeue" if profile.requeue == "slurm" else "no-requeue": True,
            "output": str(run_dir / "logs" / "slurm-%j.out"),
        },
    )
    return executor
