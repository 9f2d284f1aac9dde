"""A campaign as a chain of jobs: all stages are queued at once, in order, and each decides itself whether it starts.

Slurm only orders the jobs, by afterany: whatever becomes of one, the next one starts, reads the verdicts and runs,
ends, or puts itself behind a new job of an unfinished stage. So no process has to watch the chain.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from td3_hpc.campaign.admission import Admissions
from td3_hpc.campaign.directory import CampaignDirectory
from td3_hpc.campaign.plan import Campaign, Stage, load_campaign
from td3_hpc.checkpoint_names import furthest_step
from td3_hpc.code import PACKAGE
from td3_hpc.config import read_yaml
from td3_hpc.config.changes import changes
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput, ExitCode
from td3_hpc.gates.verdict import read_verdict
from td3_hpc.launch.doctor.result import read_result
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.jobs.campaign_files import check_whole, freeze_campaign
from td3_hpc.launch.jobs.foreground import exclusive_lock, is_held, run_script
from td3_hpc.launch.jobs.freeze import Frozen, identify
from td3_hpc.launch.jobs.job_states import Job, not_known_to_have_ended, read_queue
from td3_hpc.launch.jobs.lock import queue_lock
from td3_hpc.launch.jobs.submission import frozen_profile, is_over, load_cluster, run_directory
from td3_hpc.launch.policy.chain import StageJobs, plan_chain
from td3_hpc.submission_folder import SubmissionFolder

Log = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """A campaign, where it lives and what runs it."""

    campaign: Campaign
    directory: CampaignDirectory
    profile: ClusterConfig
    cluster: str
    """The profile's name or file."""


def place(path: Path, cluster: str, overrides: list[str]) -> Place:
    """The campaign of a file on a cluster; raises BadInput that lists every mistake."""
    profile = load_cluster(cluster, overrides)
    campaign = load_campaign(path)
    root = run_directory(campaign.stages[0].config, profile, profile.runs / campaign.name)
    if profile.queued:
        slurm.use_configuration(profile.slurm_conf)
    return Place(campaign, CampaignDirectory(root), profile, cluster)


def submit(here: Place, log: Log, package: Path = PACKAGE, past_preflight: bool = False) -> ExitCode:
    """Start a campaign, or continue one that stopped; does nothing where it runs or is over. Raises BadInput.

    past_preflight: start it in spite of what preflight finds, which the ledger records.
    """
    directory = here.directory
    require_slurm(here)
    if not directory.exists:
        passed_over = _passed_over(here, past_preflight, log)
        frozen = identify(here.profile, package)
        freeze_campaign(directory, here.campaign, frozen, without_verdict(here), package)
        note_origin(here, "submitted", frozen, **passed_over)
        return start(here, log)
    _refuse_changes(here)
    live = live_jobs(here)
    if live and directory.cancelled:
        raise BadInput(
            f"{directory.root}: was cancelled, and still has jobs ({', '.join(job.id for job in live)}); submit it "
            "again when they are gone"
        )
    if live:
        log(f"{directory.root}: submitted already; its jobs: {', '.join(f'{job.id} {job.state}' for job in live)}")
        if here.profile.queued:
            for stage, jobs in _queue(here, log):
                log(f"stage {stage} had none for some seed: {', '.join(jobs)}")
        return ExitCode.DONE
    outcome = Admissions(directory, here.campaign).outcome()
    if outcome.decision == "go":
        log(f"{directory.root}: finished already, {outcome.reason}; nothing to do")
        return ExitCode.DONE
    if outcome.decision == "no-go":
        log(
            f"{directory.root}: {outcome.reason.rstrip('.')}. `td3-hpc campaign fix` applies the remedy; after a "
            "correction of your own give `td3-hpc campaign resume`"
        )
        return ExitCode.NO_GO
    check_whole(directory, unfinished(here))
    directory.note("submitted", resume_tested=resume_tested(here))
    return start(here, log)


def note_origin(here: Place, event: str, frozen: Frozen, **more: Any) -> None:
    """Put into the ledger what the jobs run from now on, whether the doctor saw one start again, and `more`."""
    origin = {"code_sha256": frozen.code_sha256, "image_sha256": frozen.image_sha256}
    here.directory.note(event, **origin, resume_tested=resume_tested(here), **more)


def resume_tested(here: Place) -> bool:
    """Whether the doctor saw a job start again on this cluster."""
    result = read_result(here.profile, here.cluster)
    return result is not None and result.restart is not None and result.restart.restarted


def start(here: Place, log: Log) -> ExitCode:
    """Queue what is unfinished (or run it, without Slurm)."""
    if not here.profile.queued:
        return _run_here(here, log)
    for stage, jobs in _queue(here, log):
        log(f"stage {stage}: {', '.join(jobs)}")
    log(f"{here.directory.root}: queued; see `td3-hpc status {_shown(here.directory.root)}`")
    return ExitCode.DONE


def unfinished(here: Place) -> list[tuple[str, int]]:
    """Stage and seed of the runs that have no verdict yet and may still get one."""
    admissions, found = Admissions(here.directory, here.campaign), []
    for index, stage in enumerate(here.campaign.stages):
        for seed in here.campaign.seeds:
            if admissions.decide(index, seed).decision == "no-go":
                continue
            if read_verdict(here.directory.run(stage.name, seed)) is None:
                found.append((stage.name, seed))
    return found


def without_verdict(here: Place) -> list[tuple[str, int]]:
    """Stage and seed of all runs that have no verdict."""
    runs = [(stage.name, seed) for stage in here.campaign.stages for seed in here.campaign.seeds]
    return [run for run in runs if read_verdict(here.directory.run(*run)) is None]


def live_jobs(here: Place) -> list[Job]:
    """The campaign's jobs in the queue, as Slurm tells by the scripts that they run; without Slurm, the process that
    runs the chain. Raises BadInput where Slurm does not answer."""
    if not here.profile.queued:
        return [Job("a process on this machine", "RUNNING")] if is_held(here.directory.submission.local_lock) else []
    queue = read_queue(here.profile.clusters)
    if queue.unknown:
        raise BadInput(f"{queue.unknown[0]}; nothing was queued, try again")
    frozen = here.directory.campaign().stages if here.directory.exists else ()  # before a correction
    names = dict.fromkeys(stage.name for stage in (*here.campaign.stages, *frozen))
    return [job for name in names for job in queue.of(here.directory.script(name))]


def require_slurm(here: Place) -> None:
    """Raise BadInput where the profile needs Slurm and this machine has none."""
    if here.profile.queued:
        slurm.require()


def require_ready(here: Place, anew: Collection[tuple[str, int]] = ()) -> None:
    """Raise BadInput with every mistake of every stage that can be found before anything is queued.

    anew: stage and seed of the runs that will be set aside, to begin again.
    """
    from td3_hpc.launch.preflight import require_ready as check  # asks the cluster

    require_slurm(here)
    found: dict[str, None] = {}
    for stage in here.campaign.stages:
        try:
            run = stage.name, here.campaign.seeds[0]
            check(stage.config, here.profile, here.directory.run(*run), here.cluster, anew=run in anew)
        except BadInput as error:
            found |= {f"stage {stage.name}: {line}": None for line in str(error).splitlines()}
        for key in shared_ports(here, stage):
            what = "two seeds may run on one node and cannot share a port; set it to 0 to have a free one found, or "
            found[f"stage {stage.name}: {key}: {what}container.network to loopback in the profile"] = None
    if found:
        raise BadInput("\n".join(found))


def _passed_over(here: Place, past_preflight: bool, log: Log) -> dict[str, list[str]]:
    """What preflight finds wrong and the user passes over, for the ledger. Raises BadInput where it is not."""
    try:
        require_ready(here)
    except BadInput as error:
        if not past_preflight:
            raise
        lines = str(error).splitlines()
        for line in lines:
            log(f"passed over: {line}")
        return {"past_preflight": lines}
    return {}


def shared_ports(here: Place, stage: Stage) -> list[str]:
    """The keys of fixed ports that several seeds' jobs, on one node and without networks of their own, would share."""
    container = here.profile.container
    alone = container is not None and container.network == "loopback"
    if not here.profile.queued or len(here.campaign.seeds) == 1 or alone:
        return []
    traffic, simulator = stage.config.environment.traffic, stage.config.simulator
    ports = {
        "environment.traffic.port": traffic.port if traffic.vehicles else 0,
        "environment.traffic.evaluation_port": traffic.evaluation_port if traffic.vehicles else 0,
        "simulator.port": simulator.port,
        "simulator.evaluation_port": simulator.evaluation_port,
    }
    return [key for key, port in ports.items() if port]


def _queue(here: Place, log: Log) -> list[tuple[str, list[str]]]:
    """Queue the unfinished runs that have no job; returns each stage's new ones. Raises BadInput, with none left."""
    directory = here.directory
    queued: list[tuple[str, list[str]]] = []
    with queue_lock(directory.submission):
        names = [stage.name for stage in here.campaign.stages]
        live = live_jobs(here)
        there = {name: [job for job in live if job.script == str(directory.script(name))] for name in names}
        seeds = {name: {job.task for job in jobs if job.task is not None} for name, jobs in there.items()}
        ids = {name: [job.id for job in jobs] for name, jobs in there.items()}
        length = here.profile.chain_length if here.profile.requeue == "chain" else None
        for wanted in plan_chain(names, unfinished(here), seeds, length):
            _refuse_unknown(here, wanted.stage, wanted.seeds)
            jobs: list[str] = []
            queued.append((wanted.stage, jobs))
            try:
                _queue_stage(here, wanted, ids[wanted.behind] if wanted.behind else [], jobs, log)
            except BadInput:
                slurm.scancel([job for _, jobs in queued for job in jobs], cluster=here.profile.clusters)
                raise
            ids[wanted.stage] += jobs
    return queued


def _queue_stage(here: Place, wanted: StageJobs, behind: list[str], jobs: list[str], log: Log) -> None:
    """Queue a stage behind some jobs; adds the ids of its job arrays to `jobs`: one for all seeds, and where a job is
    to have others behind it, some for each seed."""
    stage, seeds, links = wanted.stage, wanted.seeds, wanted.links
    script = here.directory.script(stage)
    for seed in seeds:
        SubmissionFolder(here.directory.run(stage, seed)).forget_jobs()
    after = [f"--dependency=afterany:{':'.join(behind)}"] if behind else []
    jobs.append(_sbatch(here, script, f"--array={','.join(map(str, seeds))}", *after))
    alone: dict[int, str] = {}
    for seed in seeds:
        row = [f"{jobs[0]}_{seed}"]
        for _ in range(links - 1):
            try:
                jobs.append(_sbatch(here, script, f"--array={seed}", f"--dependency=afterany:{row[-1]}"))
            except BadInput as error:  # its user may have no more jobs in the queue
                if here.profile.requeue == "chain":
                    log(f"stage {stage}, seed {seed}: a chain of {len(row)} jobs, not {links}: {error.cause}")
                else:
                    alone[seed] = error.cause
                break  # the jobs themselves try again when they start
            row.append(f"{jobs[-1]}_{seed}")
        run = here.directory.run(stage, seed)
        SubmissionFolder(run).note_queued(furthest_step(run), row)
    if alone:
        named = f"seed{'s' * (len(alone) > 1)} {', '.join(map(str, alone))}"
        why = next(iter(alone.values()))
        log(f"stage {stage}, {named}: no job waits behind; should one be lost before it starts, submit again ({why})")


def _sbatch(here: Place, script: Path, *options: str) -> str:
    queued, wanted = slurm.sbatch(script, *options, cluster=here.profile.clusters), here.profile.clusters
    if queued.cluster != wanted:
        slurm.scancel([queued.job], cluster=queued.cluster)
        raise BadInput(
            f"sbatch took the job to cluster {queued.cluster}; set clusters: {queued.cluster} in the profile, so that "
            "its jobs are looked for there. It was cancelled"
        )
    return queued.job


def _refuse_unknown(here: Place, stage: str, seeds: Iterable[int]) -> None:
    """Raise BadInput where a run has a job on another cluster of which nobody says that it ended."""
    for seed in seeds:
        run = here.directory.run(stage, seed)
        jobs = [] if is_over(run) else SubmissionFolder(run).jobs()
        for job in not_known_to_have_ended(jobs, here.profile.clusters):
            raise BadInput(
                f"{run}: job {job} is not known to cluster {here.profile.clusters}, and nothing says that it ended; "
                "cancel the campaign first"
            )


def _run_here(here: Place, log: Log) -> ExitCode:
    """The same chain through the same scripts, one after another, until one is unfinished."""
    directory = here.directory
    with exclusive_lock(directory.submission.local_lock, f"{directory.root}: runs already, in another process") as lock:
        for name, seed in unfinished(here):
            run = directory.run(name, seed)
            SubmissionFolder(run).forget_jobs()
            log(f"== stage {name}, seed {seed}: {_shown(run)}")
            status = run_script(directory.script(name), {"SLURM_ARRAY_TASK_ID": str(seed)}, keep_open=[lock])
            if status not in (ExitCode.DONE, ExitCode.NO_GO):
                return ExitCode(status) if status in set(ExitCode) else ExitCode.FAILED
    outcome = Admissions(directory, here.campaign).outcome()
    log(f"{_shown(directory.root)}: {outcome.reason}")
    return ExitCode.DONE if outcome.decision == "go" else ExitCode.NO_GO


def _refuse_changes(here: Place) -> None:
    """Raise BadInput where the campaign or the profile is not what was submitted: `resume` takes changes over."""
    old, root = here.directory.campaign(), here.directory.root
    found = differences(old, here.campaign)
    if _frozen_profile(here) != here.profile:
        found.append("another cluster profile")
    if found:
        raise BadInput(
            f"{root}: was submitted otherwise: {'; '.join(found)}. Undo it; or give `td3-hpc campaign resume`; or have "
            "another directory by -c runs=FOLDER"
        )


def _frozen_profile(here: Place) -> ClusterConfig:
    """The profile that was submitted. One of before the keys for a site's memory says 16 GiB where the site's own file
    says nothing, which was the default then."""
    path = here.directory.submission.profile
    frozen = frozen_profile(path)
    before = "mem_per_cpu" not in read_yaml(path)
    if before and frozen.account is None:  # whose SBATCH_ACCOUNT was not read, but left to sbatch
        frozen = frozen.model_copy(update={"account": here.profile.account})
    if before and frozen.memory_gib == 16 and here.profile.memory_of_a_node_gib is None:
        return frozen.model_copy(update={"memory_gib": None})
    return frozen


def differences(old: Campaign, new: Campaign) -> list[str]:
    """What differs between two campaigns, in words."""
    found = [
        f"{key} ({getattr(old, key)} -> {getattr(new, key)})"
        for key in ("seeds", "seeds_required")
        if getattr(old, key) != getattr(new, key)
    ]
    names = [stage.name for stage in old.stages], [stage.name for stage in new.stages]
    if names[0] != names[1]:
        return [*found, f"stages ({', '.join(names[0])} -> {', '.join(names[1])})"]
    for before, after in zip(old.stages, new.stages):
        found += [f"stage {after.name}: {what}" for what in stage_differences(before, after)]
    return found


def stage_differences(old: Stage, new: Stage) -> list[str]:
    """What differs between a stage's old and new form, in words."""
    found = changes(old.config, new.config)
    if old.continues != new.continues:
        found.append("start")
    if old.gates != new.gates:
        found.append("gates")
    return found


def _shown(path: Path) -> Path:
    """A path as the user would write it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
