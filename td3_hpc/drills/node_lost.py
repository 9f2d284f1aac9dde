"""The drill that needs Slurm: the node of a running job is lost, on the test cluster."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from td3_hpc.drills.drill import Caught, NotCaught, NotHere, drill
from td3_hpc.drills.training_run import PATIENCE_S, TrainingRun, expect_same_bytes, training_run
from td3_hpc.errors import BadInput
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.jobs.submission import load_cluster, submit
from td3_hpc.record import AttemptStarted, RunFinished
from td3_hpc.shipped import shipped

_LONG = (
    "training.total_steps=800",
    "training.learning_starts=160",
    "evaluation.every_steps=400",
    "evaluation.episodes=12",
    "checkpoint.every_steps=40",
)
"""Slurm takes a while to give a node up; the run must last longer."""


@drill(
    "node-lost", "the node is lost", "SIGKILL to the Slurm daemon of the job's node, while the job's processes live on"
)
def node_lost(workspace: Path) -> Caught:
    """As after a lost network: Slurm starts the job elsewhere while the old learner still writes."""
    with training_run(workspace) as run, _job(run) as job:
        _wait(lambda: run.step() >= 50, "the job's first steps", job)
        node = slurm.node_of(job)
        with _without(node):
            lost = time.monotonic()
            _wait(lambda: len(run.events(AttemptStarted)) > 1, "a second attempt", job)
            after = time.monotonic() - lost
            _wait(lambda: bool(run.events(RunFinished)), "the last step", job)
        resumed = run.events(AttemptStarted)[1].resumed_from
        attempts = len(run.events(AttemptStarted))
        # In a container with the same libraries, on the same processor: the same bytes as outside.
        expect_same_bytes(run, workspace, *_LONG, name="long")
    return Caught(
        f"Slurm requeues the job; attempt {attempts} takes the run over by its epoch, goes on from step {resumed} and "
        "ends with the bytes of an undisturbed run, whatever the old learner still wrote",
        f"{after:.0f} s (Slurm's own time-out included)",
    )


@contextmanager
def _job(run: TrainingRun) -> Iterator[str]:
    """The run as a job on the test cluster, cancelled in the end. Raises NotHere where there is no test cluster."""
    try:
        profile = load_cluster("testcluster")
        slurm.use_configuration(profile.slurm_conf)
        slurm.require()
        submission = submit(run.config, profile, run.directory, _LONG)
    except BadInput as error:
        raise NotHere(f"needs the test cluster (`make cluster-up`): {error}") from None
    job = submission.jobs[0]
    try:
        yield job
    finally:
        slurm.scancel([job])


@contextmanager
def _without(node: str) -> Iterator[None]:
    """Lose a node of the test cluster; it comes back in the end."""
    number = number_of(node)
    _manage("kill-node", number)
    try:
        yield
    finally:
        _manage("start-node", number)


def number_of(node: str) -> str:
    """The number of the test cluster's node: 2 of `n2`, and of `n18400-2` on other ports than the default's."""
    return node.removeprefix("n").rpartition("-")[2]


def _manage(command: str, number: str) -> None:
    done = subprocess.run(
        [sys.executable, str(shipped("slurm/testcluster")), command, number], capture_output=True, text=True
    )
    if done.returncode:
        raise NotCaught(f"testcluster {command} {number}: {done.stderr.strip()}")


def _wait(condition: Callable[[], bool], what: str, job: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            state = slurm.live_jobs([job]).get(job, "")
            raise NotCaught(f"not within {PATIENCE_S:.0f} s: {what}; the job is {state or 'gone'}")
        time.sleep(0.1)
