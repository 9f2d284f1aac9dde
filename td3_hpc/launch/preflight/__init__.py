"""Before anything is queued: every mistake at once.

checks.py         the registry: every check by name
finding.py        what a check finds, the table of all, the error that lists the mistakes
plan.py           the stage, the profile and the run directory that checks look at
memory.py, device.py, walltime.py, disk.py, container.py, cluster.py, simulator.py, placement.py, run_directory.py,
secrets.py        the checks, by concern
nodes.py          what `td3-hpc doctor` measured on the nodes, judged
"""

from collections.abc import Sequence
from pathlib import Path

from td3_hpc.config import StageConfig, load_stage
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput
from td3_hpc.launch.doctor.result import DoctorResult
from td3_hpc.launch.jobs import slurm, submission
from td3_hpc.launch.preflight.checks import MEASURED, checks_for
from td3_hpc.launch.preflight.finding import CheckResult, as_lines, as_table, mistakes, refusal, run_checks
from td3_hpc.launch.preflight.plan import Plan

__all__ = [
    "MEASURED",
    "CheckResult",
    "Plan",
    "as_lines",
    "as_table",
    "check",
    "examine",
    "judge",
    "mistakes",
    "refusal",
    "require_ready",
    "run_checks",
]


def check(
    config: Path,
    cluster: str,
    run_dir: Path | None = None,
    overrides: Sequence[str] = (),
    cluster_overrides: Sequence[str] = (),
    stated_steps_per_s: float | None = None,
) -> list[CheckResult]:
    """Everything that can be told before a stage is queued. Mistakes in a file are findings, too, one a line."""
    findings: list[CheckResult] = []
    stage, profile = None, None
    try:
        stage = load_stage(config, overrides)
        findings.append(CheckResult("configuration", "ok", str(config)))
    except BadInput as error:
        findings += [CheckResult("configuration", "mistake", line) for line in str(error).splitlines()]
    try:
        profile = submission.load_cluster(cluster, cluster_overrides)
        directory = _directory(stage, profile, run_dir)
        findings.append(CheckResult("profile", "ok", cluster))
    except BadInput as error:
        findings += [CheckResult("profile", "mistake", line) for line in str(error).splitlines()]
        return findings
    return findings + examine(Plan(cluster, profile, directory, stage, stated_steps_per_s))


def examine(plan: Plan) -> list[CheckResult]:
    """The finding of every check that concerns a plan."""
    slurm.use_configuration(plan.profile.slurm_conf)
    return run_checks(checks_for(plan), plan)


def require_ready(
    stage: StageConfig, profile: ClusterConfig, run_dir: Path, cluster: str, anew: bool = False
) -> list[CheckResult]:
    """Raise BadInput that lists every mistake of a stage that is about to be queued; returns the other findings.

    `cluster` is the profile's name or file; `anew`: the run that is in the directory will be set aside.
    """
    findings = examine(Plan(cluster, profile, run_dir.absolute(), stage, anew=anew))
    if mistakes(findings):
        raise refusal(mistakes(findings))
    return findings


def judge(stage: StageConfig, profile: ClusterConfig, cluster: str, result: DoctorResult) -> list[CheckResult]:
    """What the doctor has just measured on a profile's nodes, judged for a stage."""
    plan = Plan(cluster, profile, _directory(stage, profile, None), stage, given_result=result)
    return run_checks(MEASURED, plan)


def _directory(stage: StageConfig | None, profile: ClusterConfig, run_dir: Path | None) -> Path:
    """Where the run would live; next to its like where the stage has no valid name."""
    if stage is None:
        return (run_dir or profile.runs / "run").absolute()
    return submission.run_directory(stage, profile, run_dir)
