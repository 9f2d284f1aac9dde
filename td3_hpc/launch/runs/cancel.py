"""Ending jobs so that what they did is kept."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from td3_hpc.campaign.directory import CampaignDirectory, place_of
from td3_hpc.checkpoint.ownership import Ownership
from td3_hpc.checkpoint_names import STATE_DIR
from td3_hpc.errors import BadInput, UserError
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.jobs.foreground import is_held
from td3_hpc.launch.jobs.job_states import Job, read_queue
from td3_hpc.launch.jobs.submission import submitted_profile
from td3_hpc.submission_folder import SubmissionFolder

POLL_S = 1.0


def cancel(path: Path, wait_s: float, log: Callable[[str], None]) -> None:
    """Cancel the jobs of a run or a campaign; running ones are first told to save.

    Raises BadInput or UserError, nothing changed: no such run, one that a process works on without Slurm, or Slurm
    does not answer.
    """
    if not path.is_dir():
        raise BadInput(f"{path}: no such run or campaign")
    path = path.absolute()
    if place_of(path) is not None:
        raise BadInput(f"{path}: the campaign would start it again; cancel the campaign, {path.parent.parent}")
    directory = CampaignDirectory(path)
    if directory.exists:
        if is_held(directory.submission.local_lock):
            raise BadInput(f"{path}: runs in the foreground on this machine; stop it there with Ctrl-C")
        stages = [stage.name for stage in directory.campaign().stages]
        scripts = [directory.script(stage) for stage in reversed(stages)]
        runs = [run for stage in stages for run in sorted((directory.root / stage).glob("seed-*"))]
    else:
        scripts, runs = [SubmissionFolder(path).script()], [path]
    profile = submitted_profile(path)
    if profile is None or not profile.queued:
        for state in (run / STATE_DIR for run in runs):
            if state.is_dir():
                Ownership(state).refuse_live_holder()  # says which process, and to stop it
        log("nothing to cancel: it was not submitted to Slurm, and no process works on it")
        return
    slurm.use_configuration(profile.slurm_conf)
    cluster = profile.clusters or SubmissionFolder(path).notes().get("cluster")
    _live(scripts, runs, cluster)  # where Slurm does not answer, nothing is changed
    try:
        if directory.exists:
            directory.note("cancelled")
        for run in runs:
            if SubmissionFolder(run).path.is_dir():
                SubmissionFolder(run).cancel()  # the job's script does not requeue itself then
        ask_to_save = True
    except OSError as error:  # a full disk is no reason to go on
        log(f"{path}: cannot be written ({error.strerror}): jobs are cancelled without asking them to save first")
        ask_to_save = False
    if cluster:  # another cluster's controller may know a job that it does not list
        listed = {job.id for job in _live(scripts, runs, cluster)}
        noted = [job for run in runs for job in SubmissionFolder(run).jobs()]
        slurm.scancel([job for job in noted if job not in listed], cluster=cluster)
    _end(lambda: _live(scripts, runs, cluster), cluster, wait_s if ask_to_save else 0.0, log)


def _live(scripts: Sequence[Path], runs: Sequence[Path], cluster: str | None) -> list[Job]:
    """The jobs in the queue, those of later stages first."""
    queue = read_queue(cluster)
    if queue.unknown:
        raise UserError(f"{queue.unknown[0]}; nothing was cancelled")
    known = {job for run in runs for job in SubmissionFolder(run).jobs()}
    by_script = [job for script in scripts for job in queue.of(script)]
    return by_script + [job for job in queue.jobs if job.id in known and job not in by_script]


def _end(live: Callable[[], list[Job]], cluster: str | None, wait_s: float, log: Callable[[str], None]) -> None:
    """Cancel what waits, tell what runs to save, and cancel what is still there after `wait_s` seconds."""
    if not live():
        log("no jobs in the queue")
        return
    deadline, told = time.monotonic() + wait_s, set[str]()
    while jobs := live():
        waiting = [job.id for job in jobs if job.state == "PENDING"]
        slurm.scancel(waiting, cluster=cluster)
        for job in waiting:
            log(f"job {job} cancelled")
        running = [job.id for job in jobs if job.state == "RUNNING" and job.id not in told and wait_s > 0]
        for job in running:
            log(f"job {job} told to save and stop")
            slurm.scancel([job], "--signal=USR1", cluster=cluster)
        told.update(running)
        if time.monotonic() > deadline:
            late = [job.id for job in jobs]
            slurm.scancel(late, cluster=cluster)
            log(f"not gone after {wait_s:.0f} s, cancelled: {', '.join(late)}; the last checkpoint is what they leave")
            return
        if not waiting:
            time.sleep(POLL_S)
    log("all jobs are gone; submitting again continues from the last checkpoint")
