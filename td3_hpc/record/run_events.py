"""The schema of the record, first part: what happened to a run. `measured_events.py` has the second.

A frozen class per kind of event, a docstring under each field. The kinds' names in the file never change.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from td3_hpc.record.base import Event

Purpose = Literal["training", "evaluation"]


# ---- the attempt and its end
class Environment(BaseModel):
    """Where and with what an attempt computes: versions, processor, digests (see `training/state.py`)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    host: str = "–"
    job: str = ""
    code_sha256: str = ""
    bfloat16: str = ""
    """`computed` by the hardware, or `imitated`; empty where an older version wrote it."""


class AttemptStarted(Event, kind="attempt", history=True):
    """A process began to work on the run."""

    format: int = 1
    """Number of the record's schema from here on; records without it are of format 1."""
    epoch: int
    """Number of the attempt's claim of the run directory, from 1 in each stage."""
    resumed_from: int | None = None
    """Step of the checkpoint that it continues (steps); null for none."""
    continues_stage: bool | None = None
    """Whether that checkpoint is an earlier stage's, from which this one begins; records of earlier versions do not
    tell."""
    not_exact: list[str] = []
    """Since when the run is not exact and why, one text for each time; empty: exact throughout."""
    messages: list[str] = []
    """What the checkpoint store had to say on opening the directory."""
    pid: int | None = None
    """Process number of the learner on its host."""
    environment: Environment = Environment()
    """Where and with what it computes."""


class RunStopped(Event, kind="stopped", history=True):
    """A signal stopped the attempt; a checkpoint is saved."""

    signal: str = "a signal"
    """Name of the signal."""
    memory_peak_mib: int | None = None
    """Largest resident size of the learner in this attempt (MiB)."""


class RunFailed(Event, kind="failed", history=True):
    """An error ended the attempt."""

    code: str = "error"
    """Kind of the failure, for programs (`FailureCode` in `errors.py`)."""
    reason: str = ""
    """The whole message: what happened, where, what to do."""
    cause: str = ""
    """What happened, without the advice."""
    simulator: int | None = None
    """Number of the training simulator at fault, from 0, where there are several."""


class RunFinished(Event, kind="finished"):
    """All steps are done."""

    updates: int = 0
    """TD3 updates of the run (updates)."""
    actor_updates: int = 0
    """Actor updates of the run (updates)."""
    episodes: int = 0
    """Training episodes that have ended (episodes)."""
    evaluations: int = 0
    """Completed evaluation cycles (cycles)."""
    replay_rows: int = 0
    """Rows that the replay buffer holds (rows)."""
    memory_peak_mib: int | None = None
    """Largest resident size of the learner in this attempt (MiB)."""


# ---- simulators and workers
class SimulatorChanged(Event, kind="simulator", history=True):
    """A simulator changed its state, as its supervisor saw it."""

    purpose: Purpose
    """What it is for."""
    simulator: int | None = None
    """Which of several simulators of its purpose, from 0; null for the first for evaluation."""
    state: str
    """`started`, `ready`, `died`, `hung`, `lost`, `outgrown`, `recycled`, `failed` or `supervisor_lost`."""
    generation: int = 0
    """Which start of the server it concerns, from 1."""
    detail: str = ""
    """The exit code or signal, the reason, the versions, for people."""
    code: str | None = None
    """For `failed`: the kind of failure (`FailureCode` in `errors.py`)."""
    seconds: float | None = None
    """For `ready` the time since the start, for the end of a generation the time that it lived (seconds)."""
    lines: list[str] = []
    """Last lines of the server's log, where it ended unasked."""
    host: str | None = None
    """Address where it listens."""
    port: int | None = None
    """First of its ports."""
    pid: int | None = None
    """Process number of the server on its host."""
    bad_input: bool = False
    """For `failed`: the configuration is at fault, so that a restart cannot help."""


class WorkerReplaced(Event, kind="worker", history=True):
    """An environment's worker process was lost; another takes its place."""

    purpose: Purpose
    """Which environment it drove."""
    simulator: int | None = None
    """Which of several simulators of its purpose, from 0; null for the first for evaluation."""
    state: Literal["lost"] = "lost"
    """What happened to it."""
    reason: str = ""
    """How it was lost, for people."""
    decision: int = 0
    """Completed decisions of its episode (decisions)."""
    attempt: int = 1
    """Which attempt at the same step failed, from 1."""


class EpisodeNotReproduced(Event, kind="episode_not_reproduced"):
    """An episode in progress could not be rebuilt on a new simulator; it ends, truncated."""

    purpose: Purpose
    """Which environment it was in."""
    simulator: int | None = None
    """Which of several simulators of its purpose, from 0; null for the first for evaluation."""
    seed: int = 0
    """Seed of the episode."""
    exact_decisions: int = 0
    """Decisions from its start that were reproduced (decisions)."""


# ---- checkpoints
class CheckpointSaved(Event, kind="checkpoint", history=True):
    """A checkpoint is durable."""

    name: str = ""
    """Name of its manifest."""
    at_step: int = 0
    """Its step (steps)."""
    bytes: int = 0
    """Written for it; what earlier ones wrote is not counted (bytes)."""
    seconds: float | None = None
    """From the snapshot until it was durable (seconds)."""
    written_again: list[str] = []
    """Segments whose file was gone or cut off; their rows are in this checkpoint's own files."""
    signal: str | None = None
    """The stop signal that asked for it."""
    stage_end: bool = False
    """Whether it is the stage's last."""


class CheckpointFailed(Event, kind="checkpoint_failed", history=True):
    """A checkpoint could not be written; the run goes on."""

    at_step: int = 0
    """Its step (steps)."""
    code: str = "error"
    """Kind of the failure, for programs (`FailureCode` in `errors.py`)."""
    error: str = ""
    """The whole message, for people."""
