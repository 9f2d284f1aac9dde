"""The doctor's own side: queue the job, send it the signals that it waits for, keep what it measured."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from td3_hpc.code import PACKAGE
from td3_hpc.config import StageConfig
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput, ExitCode, UserError
from td3_hpc.launch.doctor.notes import read_notes, sent_file
from td3_hpc.launch.doctor.probe import SIGNALS
from td3_hpc.launch.doctor.result import DoctorResult, Restart, result_path, write_result
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.jobs.submission import Submission, jobs_of, refuse_path, submit_stage
from td3_hpc.submission_folder import SubmissionFolder

PROGRAM = "td3_hpc.launch.doctor.probe"
WALLTIME_MINUTES = 30
POLL_S = 0.2
LOOK_AT_QUEUE_S = 2.0
LOOK_WHILE_PENDING_S = 5.0
SILENCE_S = 600.0
"""So long Slurm may give no answer."""
#: A job may start this often: two attempts may be killed by a signal each, and one is started again on purpose.
STARTS = 4


class _Job(Protocol):
    """The doctor's job, wherever it runs."""

    def state(self) -> str:
        """In words; empty when it has ended for good."""

    def signal(self, name: str) -> None:
        """Send its step a signal of SIGNALS."""

    def facts(self) -> dict[str, Any]:
        """What the job itself cannot know."""

    def end(self) -> None:
        """Stop it."""


def examine_nodes(
    stage: StageConfig,
    profile: ClusterConfig,
    cluster: str,
    log: Callable[[str], None],
    package: Path = PACKAGE,
) -> DoctorResult:
    """Run the doctor's job on a profile's nodes and keep its result beside the profile's runs.

    `log` is told what happens meanwhile. Raises BadInput with nothing queued, UserError where the job came to nothing.
    """
    run_dir = result_path(profile, cluster).with_suffix("").absolute()
    refuse_path(run_dir, "set runs in the profile to another folder")
    if profile.queued:
        slurm.use_configuration(profile.slurm_conf)
    profile, stage = _short(profile), stage.model_copy(update={"simulators": 1})
    _clear(run_dir)
    job: _Job
    if profile.queued:
        job = _SlurmJob(submit_stage(stage, profile, run_dir, "sbatch", package, PROGRAM))
    else:
        job = _LocalJob(submit_stage(stage, profile, run_dir, "hand", package, PROGRAM))
    try:
        _accompany(job, run_dir, log)
    except BaseException:
        job.end()
        raise
    return _keep(job, stage, profile, cluster, run_dir)


def _short(profile: ClusterConfig) -> ClusterConfig:
    """One node, a small walltime, which a queue serves sooner, and a chain no longer than needed."""
    walltime = min(profile.walltime_minutes, WALLTIME_MINUTES)
    changes = {
        "nodes": 1,
        "walltime_minutes": walltime,
        "signal_lead_s": min(profile.signal_lead_s, walltime * 30),
        "chain_length": min(profile.chain_length, STARTS),
    }
    return profile.model_copy(update=changes)


def _clear(run_dir: Path) -> None:
    """Remove what the last doctor left. Raises BadInput where that one still has a job."""
    for job in jobs_of(run_dir):
        raise BadInput(f"{run_dir}: a doctor's job is there already ({job}); wait for it, or `scancel {job}`")
    if SubmissionFolder(run_dir).path.is_dir():
        shutil.rmtree(run_dir)


def _accompany(job: _Job, run_dir: Path, log: Callable[[str], None]) -> None:
    """Follow the job to its end, sending each signal when it says that it waits for it."""
    logged, sent, looked, answered, state = "", set(), 0.0, time.monotonic(), "queued"
    while state:
        notes = read_notes(run_dir) or {}
        waiting = notes.get("waiting_for")
        if waiting and waiting not in sent:
            sent.add(waiting)
            replace_file(sent_file(run_dir, waiting), str(time.time()).encode())
            job.signal(waiting)
        if time.monotonic() > looked + (LOOK_AT_QUEUE_S if notes else LOOK_WHILE_PENDING_S):
            looked = time.monotonic()
            try:
                state, answered = job.state(), looked
            except UserError:  # its controller may be starting anew, and the job waits all the same
                if looked > answered + SILENCE_S:
                    raise
        now = f"{state}{_activity(notes)}"
        if state and now != logged:
            logged = now
            log(now)
        time.sleep(POLL_S)


def _activity(notes: dict[str, Any]) -> str:
    if waiting := notes.get("waiting_for"):
        return f", {SIGNALS[waiting].name} sent"
    open_ones = [name for name in notes.get("begun", {}) if name not in notes and name not in notes["errors"]]
    return f", measuring {open_ones[-1].replace('_', ' ')}" if open_ones else ""


def _keep(job: _Job, stage: StageConfig, profile: ClusterConfig, cluster: str, run_dir: Path) -> DoctorResult:
    notes = read_notes(run_dir)
    if notes is None:
        raise UserError(f"the doctor's job never began to measure; {_last_lines(run_dir)}")
    if "restart" not in notes:
        notes["restart"] = Restart(restarted=False, reason=_last_lines(run_dir)).model_dump()
    for name in notes["begun"]:
        if name not in notes and name not in notes["errors"]:
            notes["errors"][name] = f"the job ended in the middle of it; {_last_lines(run_dir)}"
    container = profile.container
    facts = {
        "simulator": stage.simulator.kind,
        "town": stage.environment.town,
        "image": str(container.image) if container else None,
        "binds": container.binds if container else [],
        "cpus_asked": profile.cpus,
    }
    return write_result(profile, cluster, {**notes, **facts, **job.facts()})


def _last_lines(run_dir: Path) -> str:
    logs = sorted((run_dir / "logs").glob("slurm-*.out"), key=lambda path: path.stat().st_mtime)
    lines = logs[-1].read_text(errors="replace", encoding="utf-8").splitlines()[-3:] if logs else []
    return f"its log ({run_dir}/logs) ends: {' | '.join(lines) or 'empty'}"


class _SlurmJob:
    """The job in Slurm."""

    def __init__(self, submission: Submission) -> None:
        self._jobs, self._cluster = submission.jobs, SubmissionFolder(submission.run_dir).notes().get("cluster")
        self._node = ""

    def state(self) -> str:
        live = slurm.live_jobs(self._jobs, self._cluster)
        running = [job for job, state in live.items() if state in ("RUNNING", "COMPLETING")]
        if running and not self._node:
            self._node = slurm.node_of(running[0], self._cluster)
        return ", ".join(f"job {job} {state.lower()}" for job, state in list(live.items())[:1])

    def signal(self, name: str) -> None:
        for job, state in slurm.live_jobs(self._jobs, self._cluster).items():
            if state == "RUNNING":
                slurm.scancel([job], f"--signal={SIGNALS[name].name.removeprefix('SIG')}", cluster=self._cluster)

    def facts(self) -> dict[str, Any]:
        return {"node": self._node, "job": self._jobs[0]}

    def end(self) -> None:
        slurm.scancel(self._jobs, cluster=self._cluster)


class _LocalJob:
    """The job's script on this machine, in a session of its own, started again as Slurm would."""

    def __init__(self, submission: Submission) -> None:
        self._script = submission.script
        self._log = submission.run_dir / "logs" / "slurm-local.out"
        self._starts = 0
        self._start()

    def _start(self) -> None:
        self._starts += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["bash", str(self._script)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def state(self) -> str:
        status = self._process.poll()
        if status == ExitCode.PREEMPTED and self._starts < STARTS:
            self._start()
            status = None
        return "running here" if status is None else ""

    def signal(self, name: str) -> None:
        """As a terminal's keys do: to every process of the script's group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, SIGNALS[name])

    def facts(self) -> dict[str, Any]:
        return {}

    def end(self) -> None:
        self.signal("term")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
