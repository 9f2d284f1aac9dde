"""Where runs and campaigns stand: their directories joined with what Slurm says of their jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from td3_hpc.campaign.admission import Admissions
from td3_hpc.campaign.directory import CampaignDirectory
from td3_hpc.campaign.plan import Campaign
from td3_hpc.campaign.progress import Progress, read_progress
from td3_hpc.config import CONFIG_FILE
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.jobs.foreground import is_held
from td3_hpc.launch.jobs.job_states import Job, Queue, ended_jobs, read_queue
from td3_hpc.launch.jobs.submission import frozen_profile, submitted_profile_file
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
    run_dirs = [run for place in places for run in place.runs]
    files = {folder: submitted_profile_file(folder) for place in places for folder in (place.root, *place.runs)}
    profiles = {file: frozen_profile(file) for file in dict.fromkeys(files.values()) if file}  # a campaign's once
    for profile in profiles.values():
        slurm.use_configuration(profile.slurm_conf)
    on_slurm = any(profile.queued for profile in profiles.values())
    newest: dict[Path, Job | None] = dict.fromkeys(run_dirs)
    ended: dict[Path, Job | None] = {}
    unknown: dict[str, None] = {}
    where = {run: _cluster(run, profiles[file] if (file := files[run]) else None) for run in run_dirs}
    for cluster in dict.fromkeys(where.values()) if on_slurm else ():  # one question each, for all their runs
        queue = read_queue(cluster)
        newest |= _live([run for run in run_dirs if where[run] == cluster], queue)
        gone = {run: SubmissionFolder(run).jobs() for run in run_dirs if where[run] == cluster and newest[run] is None}
        gone = {run: ids for run, ids in gone.items() if ids}
        jobs, not_learnt = ended_jobs(list(gone.values()), cluster)
        ended |= dict(zip(gone, jobs))
        unknown |= dict.fromkeys((*queue.unknown, *not_learnt))
    campaigns: dict[str, str] = {}
    statuses: list[RunStatus] = []
    for place in places:
        directory = CampaignDirectory(place.root)
        admissions = Admissions(directory, place.campaign) if place.campaign else None
        if admissions is not None:
            campaigns[place.root.name] = _campaign_state(directory, admissions)
        for run in place.runs:
            statuses.append(_run_status(place, run, newest[run] or ended.get(run), admissions))
    return Status(tuple(statuses), campaigns, tuple(unknown))


def default_paths(root: Path = Path("checkpoints")) -> list[Path]:
    """The runs and campaigns in the default folder of run directories."""
    found = [
        path for path in sorted(root.glob("*")) if path.is_dir() and (_is_run(path) or CampaignDirectory(path).exists)
    ]
    if not found:
        raise BadInput(f"{root}: no runs here; give a run's or a campaign's directory")
    return found


@dataclass(frozen=True)
class _Place:
    """A directory that was asked for."""

    root: Path
    runs: tuple[Path, ...]
    """Itself, or those of its campaign in the order of the stages."""
    campaign: Campaign | None


def _place(path: Path) -> _Place:
    path = path.absolute()
    directory = CampaignDirectory(path)
    if directory.exists:
        campaign = directory.campaign()
        runs = tuple(directory.run(stage.name, seed) for stage in campaign.stages for seed in campaign.seeds)
        return _Place(path, runs, campaign)
    if not _is_run(path):
        raise BadInput(f"{path}: neither a run's nor a campaign's directory")
    return _Place(path, (path,), None)


def _is_run(path: Path) -> bool:
    files = (path / CONFIG_FILE, path / RECORD_FILE, SubmissionFolder(path).stage)
    return any(file.is_file() for file in files)


def _cluster(run: Path, profile: ClusterConfig | None) -> str | None:
    """The cluster that a run's jobs are on, if one was named."""
    return SubmissionFolder(run).notes().get("cluster") or (profile.clusters if profile else None)


def _live(runs: Sequence[Path], queue: Queue) -> dict[Path, Job | None]:
    """Each run's job in the queue; of several, the one that is furthest."""
    by_id = {job.id: job for job in queue.jobs}
    by_script: dict[tuple[str, int | None], list[Job]] = {}
    for job in queue.jobs:
        by_script.setdefault((job.script, job.task), []).append(job)
    found: dict[Path, Job | None] = {}
    for run in runs:
        folder = SubmissionFolder(run)
        jobs = [by_id[job] for job in folder.jobs() if job in by_id]
        jobs += by_script.get((str(folder.script()), None), [])
        word, _, seed = run.name.partition("-")
        if word == "seed" and seed.isdigit():
            script = SubmissionFolder(run.parent.parent).script(run.parent.name)
            jobs += by_script.get((str(script), int(seed)), [])
        found[run] = min(jobs, key=lambda job: job.state == "PENDING", default=None)
    return found


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


def _run_status(place: _Place, run: Path, job: Job | None, admissions: Admissions | None) -> RunStatus:
    progress = read_progress(run)
    if place.campaign is None or admissions is None:
        return RunStatus(progress, job, None, "")
    waits = ""
    if progress.state == "not started":
        admission = admissions.decide(place.campaign.index(run.parent.name), int(run.name.removeprefix("seed-")))
        waits = "" if admission.decision == "go" else admission.reason
    return RunStatus(progress, job, place.root.name, waits)
