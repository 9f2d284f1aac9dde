"""A stage as a job: everything it needs frozen into its run directory, then submitted by sbatch or by submitit."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from td3_hpc.code import PACKAGE
from td3_hpc.config import StageConfig, apply_overrides, load_stage, read_yaml, validate
from td3_hpc.config.changes import value_at
from td3_hpc.config.cluster import ClusterConfig, queues
from td3_hpc.errors import BadInput, UserError
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.jobs.foreground import run_script
from td3_hpc.launch.jobs.freeze import FrozenImage, freeze, freeze_image, identify
from td3_hpc.launch.jobs.job_states import not_known_to_have_ended, read_queue
from td3_hpc.launch.jobs.lock import queue_lock
from td3_hpc.launch.jobs.script import TRAINING, render
from td3_hpc.shipped import SITES, shipped
from td3_hpc.submission_folder import SubmissionFolder

Route = Literal["sbatch", "submitit", "hand"]
"""Who queues the script: we by either, or the user."""
PROFILES = Path("configs/clusters")
#: Keys that a variable gives where the profile does not.
FROM_ENVIRONMENT = {"account": "SBATCH_ACCOUNT", "clusters": "SLURM_CLUSTERS"}
#: What a bind mount (:,), Slurm's name of a log (%, backslash) or a line of #SBATCH (the rest) would take for something
#: else than a part of a path.
NOT_IN_PATHS = " :,%#\\\"'"


@dataclass(frozen=True)
class Submission:
    """A stage that was submitted, or that ran at once, without Slurm."""

    run_dir: Path
    script: Path
    jobs: list[str]
    """Ids of its jobs; empty where it ran at once."""
    status: int = 0
    """Exit status where it ran at once."""
    shortened: str = ""
    """Why its chain is shorter than the profile says; empty where it is not."""


def load_cluster(name: str, overrides: Sequence[str] = ()) -> ClusterConfig:
    """The profile of a name in configs/clusters, of a shipped one or a known site, or in a YAML file; raises BadInput
    listing every mistake.

    Where it names no account or cluster, the variables do that sites tell their users to set, or set by their modules.
    """
    path, values, personal = read_profile(name, overrides)
    if missing := not_given(values, personal):
        raise BadInput("\n".join(f"{path}: {key}: missing, {what}; give -c {key}=..." for key, what in missing.items()))
    return validate(ClusterConfig, values, str(path))


def not_given(values: Mapping[str, Any], personal: Mapping[str, str]) -> dict[str, str]:
    """What a known site's users have to give and have not, by key."""
    return {key: what for key, what in personal.items() if value_at(values, key) in (None, {})}


def read_profile(name: str, overrides: Sequence[str] = ()) -> tuple[Path, dict[str, Any], dict[str, str]]:
    """A profile's file, what stands in it once it is overridden, and, of a known site, what its users have to give."""
    path = profile_path(name)
    if not path.exists():
        ours = shipped(str(PROFILES))
        folders = [(str(PROFILES), PROFILES), ("shipped", ours), ("known sites", SITES)]
        if PROFILES.resolve() == ours.resolve():  # in the checkout
            del folders[1]
        known = [
            f"{what}: {', '.join(sorted(item.stem for item in folder.glob('*.yaml'))) or 'none'}"
            for what, folder in folders
        ]
        raise BadInput(f"{path}: no such cluster profile; in {'; '.join(known)}")
    values = read_yaml(path)
    personal = values.pop("personal", {})
    for key in ("sources", "unverified"):
        values.pop(key, None)
    values = apply_overrides(values, overrides)
    if queues(values.get("scheduler", "slurm")):
        for key, variable in FROM_ENVIRONMENT.items():
            if values.get(key) is None and os.environ.get(variable):
                values[key] = os.environ[variable]
    return path, values, personal


def profile_path(name: str) -> Path:
    """The file of a profile's name, or the file itself. The user's own profiles come before those that are shipped."""
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    places = [folder / f"{name}.yaml" for folder in (PROFILES, SITES, shipped(str(PROFILES)))]
    return next((path for path in places if path.exists()), places[0])


def frozen_profile(path: Path) -> ClusterConfig:
    """A profile as it was submitted."""
    return validate(ClusterConfig, read_yaml(path), str(path))


def submitted_profile(directory: Path) -> ClusterConfig | None:
    """The profile that a campaign or a run (or its campaign) was submitted with; None where it was not."""
    path = submitted_profile_file(directory)
    return frozen_profile(path) if path else None


def submitted_profile_file(directory: Path) -> Path | None:
    """Where that profile stands: in a campaign once for all of its runs."""
    paths = [SubmissionFolder(folder).profile for folder in (directory, directory.parent.parent)]
    return next((path for path in paths if path.is_file()), None)


def show(
    stage_path: Path,
    profile: ClusterConfig,
    run_dir: Path | None = None,
    overrides: Sequence[str] = (),
    route: Route = "sbatch",
) -> str:
    """The script that `submit` would write, nothing written and nothing queued; the image may be on another machine."""
    stage = load_stage(stage_path, overrides)
    profile = profile.for_simulators(stage.simulators)
    directory = run_directory(stage, profile, run_dir)
    image = None
    if profile.container:
        path = profile.container.image
        image = freeze_image(path) if path.exists() else FrozenImage(path, "", "")
    script = render(stage.name, profile, directory, image)
    if route == "submitit" and profile.queued:
        from td3_hpc.launch.jobs import submitit_job  # submitit is slow to import

        return submitit_job.show(stage.name, profile, directory) + script
    return script


def submit(
    stage_path: Path,
    profile: ClusterConfig,
    run_dir: Path | None = None,
    overrides: Sequence[str] = (),
    route: Route = "sbatch",
    package: Path = PACKAGE,
    passed_over: Sequence[str] = (),
) -> Submission:
    """Freeze a stage, a profile and a package into a run directory and queue the job (or run it, without Slurm).

    Raises BadInput, with nothing queued, where anything is wrong or the run has a job already.
    """
    stage = load_stage(stage_path, overrides)
    directory = run_directory(stage, profile, run_dir)
    return submit_stage(stage, profile, directory, route, package, passed_over=passed_over)


def submit_stage(
    stage: StageConfig,
    profile: ClusterConfig,
    directory: Path,
    route: Route = "sbatch",
    package: Path = PACKAGE,
    program: str = TRAINING,
    passed_over: Sequence[str] = (),
) -> Submission:
    """The same for a stage that is loaded already, and for another program than its training.

    passed_over: mistakes that preflight found and the user passed over, which are kept with the run.
    """
    profile = profile.for_simulators(stage.simulators)
    if profile.queued:
        slurm.use_configuration(profile.slurm_conf)
        if route != "hand":
            slurm.require()
    refuse_second_job(directory, route == "hand")
    frozen = identify(profile, package)  # reads the image, for some seconds
    folder = SubmissionFolder(directory)
    try:
        with queue_lock(folder):
            refuse_second_job(directory, route == "hand")  # another command may have queued one meanwhile
            folder.forget_jobs()
            scripts = {"stage": render(stage.name, profile, directory, frozen.image, program)}
            notes = {"past_preflight": list(passed_over), "jobs": [], "cluster": None}
            freeze(directory, frozen, scripts, {directory: stage}, package, **notes)
            if route != "hand" and profile.queued:
                return _queue_all(stage.name, profile, directory, route)
    except OSError as error:
        raise BadInput(
            f"{directory}: the run directory cannot be written ({error.strerror}); give another --run-dir"
        ) from None
    return Submission(directory, folder.script(), [], 0 if route == "hand" else run_script(folder.script()))


def _queue_all(stage: str, profile: ClusterConfig, directory: Path, route: Route) -> Submission:
    """Queue the job, or as many of a chain as the site takes: its user may have no more in the queue."""
    folder = SubmissionFolder(directory)
    script, jobs = folder.script(), list[str]()
    wanted = profile.chain_length if profile.requeue == "chain" else 1
    for _ in range(wanted):
        try:
            queued = _queue(stage, profile, directory, script, route)
        except UserError as error:  # refused, or not answered
            if not jobs:
                raise
            folder.owe(wanted - len(jobs))
            return Submission(directory, script, jobs, shortened=error.cause)
        jobs.append(queued.job)
        folder.write_notes({**folder.notes(), "jobs": jobs, "cluster": queued.cluster})
    return Submission(directory, script, jobs)


def _queue(stage: str, profile: ClusterConfig, run_dir: Path, script: Path, route: Route) -> slurm.Queued:
    if route == "sbatch":
        return slurm.sbatch(script, cluster=profile.clusters)
    from td3_hpc.launch.jobs.submitit_job import queue  # submitit is slow to import

    return slurm.Queued(queue(stage, profile, run_dir, script), profile.clusters)


def run_directory(stage: StageConfig, profile: ClusterConfig, run_dir: Path | None) -> Path:
    """Where a stage's run lives: as given, or named after the stage in the profile's runs. Raises BadInput."""
    directory = (run_dir or profile.runs / stage.name).absolute()
    refuse_path(directory, "give another --run-dir")
    return directory


def refuse_path(run_dir: Path, remedy: str) -> None:
    """Raise BadInput for a run directory whose path sbatch or Apptainer would take apart."""
    if set(str(run_dir)) & set(NOT_IN_PATHS) or not str(run_dir).isprintable():
        raise BadInput(
            f"{str(run_dir)!r}: a run directory's path must not hold spaces, line ends, tabs, or any of "
            f": , % # \\ \" '; {remedy}"
        )


def jobs_of(run_dir: Path, by_hand: bool = False) -> dict[str, str]:
    """The jobs of a run that are queued or run, with their states, and those of which nobody says that they ended.

    Raises UserError where Slurm does not answer; by_hand: only where the run is known to have had jobs.
    """
    folder, profile = SubmissionFolder(run_dir), submitted_profile(run_dir)
    notes = folder.notes()
    jobs, cluster = folder.jobs(), notes.get("cluster") or (profile.clusters if profile else None)
    states = slurm.job_states(jobs, cluster)
    found = {job: state for job, state in states.items() if state not in slurm.OVER}
    if not is_over(run_dir):
        missing = [job for job in jobs if job not in states]
        found |= dict.fromkeys(not_known_to_have_ended(missing, cluster), f"not known to cluster {cluster}")
    if profile and profile.queued and slurm.has("squeue"):  # its user may have queued one by hand
        queue = read_queue(cluster)
        if queue.unknown and not by_hand:
            raise UserError(f"{queue.unknown[0]}; try again")
        found |= {job.id: job.state for job in queue.of(folder.script())}
    return found


def is_over(run_dir: Path) -> bool:
    """Whether the run's job has noted its end, or its user has cancelled it."""
    folder = SubmissionFolder(run_dir)
    outcome = folder.outcome()
    return folder.cancelled or (outcome is not None and outcome.over)


def refuse_second_job(run_dir: Path, by_hand: bool = False) -> None:
    """Raise BadInput where a run has a job."""
    cluster = SubmissionFolder(run_dir).notes().get("cluster")
    for job, state in jobs_of(run_dir, by_hand).items():
        how = f"`td3-hpc cancel {run_dir}`" if cluster else f"`scancel {job}`"
        raise BadInput(f"{run_dir} has job {job} already ({state}); {how} first, or give another --run-dir")
