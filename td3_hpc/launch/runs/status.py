"""Where runs and campaigns stand: their directories joined with what Slurm says of their jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from td3_hpc.campaign.admission import Admissions
from td3_hpc.campaign.directory import CampaignDirectory
from td3_hpc.campaign.progress import Progress, read_progress
from td3_hpc.config import CONFIG_FILE
from td3_hpc.errors import BadInput
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.jobs.foreground import is_held
from td3_hpc.launch.jobs.job_states import Job, Queue, ended_jobs, read_queue
from td3_hpc.launch.jobs.submission import submitted_profile
from td3_hpc.record import RECORD_FILE
from td3_hpc.submission_folder import SubmissionFolder


@dataclass(frozen=True)
class RunStatus:
    """One run and its newest job."""

    progress: Progress
    job: Job | None
    """None where it has none, or none that is known any more."""
    campaign: str | None
    waits: str
    """Of a run that a campaign has not started: why; empty otherwise."""

    def as_fields(self) -> dict[str, Any]:
        """For --json."""
        job = self.job.as_fields() if self.job else None
        return {"campaign": self.campaign, **self.progress.as_fields(), "job": job, "waits": self.waits}


@dataclass(frozen=True)
class Status:
    """Everything that was asked for."""

    runs: tuple[RunStatus, ...]
    campaigns: dict[str, str]
    """Each campaign's state, in words."""
    unknown: tuple[str, ...]
    """What could not be learnt, in words."""

    @property
    def over(self) -> bool:
        """Whether nothing of it goes on."""
        return not any(run.job.live if run.job is not None else run.progress.state == "started" for run in self.runs)


def read_status(paths: Sequence[Path]) -> Status:
    """The status of run and campaign directories. Raises BadInput for another path."""
    places = [_place(path) for path in paths]
    run_dirs = [run for _, runs in places for run in runs]
    folders = [folder for root, runs in places for folder in (root, *runs)]
    profiles = [profile for folder in folders if (profile := submitted_profile(folder))]
    for profile in profiles:
        slurm.use_configuration(profile.slurm_conf)
    on_slurm = any(profile.queued for profile in profiles)
    newest: dict[Path, Job | None] = dict.fromkeys(run_dirs)
    ended: dict[Path, Job | None] = {}
    unknown: dict[str, None] = {}
    where = {run: _cluster(run) for run in run_dirs}
    for cluster in dict.fromkeys(where.values()) if on_slurm else ():  # one question each, for all their runs
        queue = read_queue(cluster)
        newest |= {run: _live(run, queue) for run in run_dirs if where[run] == cluster}
        gone = {run: SubmissionFolder(run).jobs() for run in run_dirs if where[run] == cluster and newest[run] is None}
        gone = {run: ids for run, ids in gone.items() if ids}
        jobs, not_learnt = ended_jobs(list(gone.values()), cluster)
        ended |= dict(zip(gone, jobs))
        unknown |= dict.fromkeys((*queue.unknown, *not_learnt))
    campaigns: dict[str, str] = {}
    statuses: list[RunStatus] = []
    for root, runs in places:
        admissions = _admissions(root)
        if admissions is not None:
            campaigns[root.name] = _campaign_state(CampaignDirectory(root), admissions)
        for run in runs:
            job = newest[run] or ended.get(run)
            statuses.append(_run_status(root, run, job, admissions))
    return Status(tuple(statuses), campaigns, tuple(unknown))


def default_paths(root: Path = Path("checkpoints")) -> list[Path]:
    """The runs and campaigns in the default folder of run directories."""
    found = [
        path for path in sorted(root.glob("*")) if path.is_dir() and (_is_run(path) or CampaignDirectory(path).exists)
    ]
    if not found:
        raise BadInput(f"{root}: no runs here; give a run's or a campaign's directory")
    return found


def _place(path: Path) -> tuple[Path, list[Path]]:
    """A directory, and the runs in it: itself, or those of a campaign in the order of its stages."""
    path = path.absolute()
    directory = CampaignDirectory(path)
    if directory.exists:
        campaign = directory.campaign()
        return path, [directory.run(stage.name, seed) for stage in campaign.stages for seed in campaign.seeds]
    if not _is_run(path):
        raise BadInput(f"{path}: neither a run's nor a campaign's directory")
    return path, [path]


def _is_run(path: Path) -> bool:
    files = (path / CONFIG_FILE, path / RECORD_FILE, SubmissionFolder(path).stage)
    return any(file.is_file() for file in files)


def _cluster(run: Path) -> str | None:
    """The cluster that a run's jobs are on, if one was named."""
    profile = submitted_profile(run)
    return SubmissionFolder(run).notes().get("cluster") or (profile.clusters if profile else None)


def _live(run: Path, queue: Queue) -> Job | None:
    """The run's job in the queue; of several, the one that is furthest."""
    folder = SubmissionFolder(run)
    known = folder.jobs()
    task = int(run.name.partition("-")[2]) if run.name.startswith("seed-") and run.name[5:].isdigit() else None
    script = SubmissionFolder(run.parent.parent).script(run.parent.name)
    jobs = [job for job in queue.jobs if job.id in known]
    jobs += queue.of(folder.script()) + (queue.of(script, task) if task is not None else [])
    return min(jobs, key=lambda job: job.state == "PENDING", default=None)


def _admissions(root: Path) -> Admissions | None:
    directory = CampaignDirectory(root)
    return Admissions(directory, directory.campaign()) if directory.exists else None


def _campaign_state(directory: CampaignDirectory, admissions: Admissions) -> str:
    outcome = admissions.outcome()
    if outcome.decision == "go":
        return f"GO: {outcome.reason}"
    if outcome.final:
        return f"NO-GO: {outcome.reason}" if outcome.decision == "no-go" else f"stuck: {outcome.reason}"
    if directory.cancelled:
        return "cancelled; `td3-hpc campaign submit` continues it"
    here = " in a process on this machine" if is_held(directory.submission.local_lock) else ""
    return f"under way{here}: {outcome.reason}"


def _run_status(root: Path, run: Path, job: Job | None, admissions: Admissions | None) -> RunStatus:
    progress = read_progress(run)
    if admissions is None:
        return RunStatus(progress, job, None, "")
    campaign = CampaignDirectory(root).campaign()
    waits = ""
    if progress.state == "not started":
        admission = admissions.decide(campaign.index(run.parent.name), int(run.name.removeprefix("seed-")))
        waits = "" if admission.decision == "go" else admission.reason
    return RunStatus(progress, job, root.name, waits)
