"""The training loop: how long, how often, on what."""

import math
from typing import Literal

from pydantic import Field

from td3_hpc.config.base import ConfigSection


class TrainingConfig(ConfigSection):
    """The loop."""

    total_steps: int = Field(ge=1)
    """Decisions of the whole run."""
    learning_starts: int = Field(ge=1)
    """Random actions, each held for 3 to 12 decisions, and no update, until this many steps are done."""
    explore_after_standing: int | None = Field(10, ge=1)
    """Where the ego has stood for so many decisions, such a random action takes the place of the policy's, which would
    stand for ever where its values are wrong. Waiting at a light or behind a car does not count. `null`: never."""
    updates_per_step: float = Field(1.0, ge=0.125, le=4, multiple_of=0.125)
    """TD3 updates per step after `learning_starts`, in eighths: below 1 where an update costs more than a step."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes CUDA where there is one."""
    threads: int = Field(2, ge=1)
    """CPU threads of PyTorch and OpenCV. Fixed, since results differ in the last bits between thread counts."""
    kernels: Literal["auto", "plain", "convolution", "rows"] = "auto"
    """How the CNN is computed; the ways differ in speed and in the last bits. `auto`: what a run began with, for a new
    one the fastest by the table in `td3_hpc/td3/kernels.py`."""

    def updates_due(self, step: int) -> int:
        """Updates that are to be made by the time that a step is done. Exact: eighths have no rounding."""
        return math.floor(max(0, step - self.learning_starts) * self.updates_per_step)

    def step_of_update(self, number: int) -> int:
        """The step at which an update, counted from 1, is due."""
        return self.learning_starts + math.ceil(number / self.updates_per_step)


class EvaluationConfig(ConfigSection):
    """Evaluation cycles: the deterministic policy on held-out routes, on servers of its own."""

    every_steps: int = Field(500, ge=1)
    """Steps between two cycles. The run's last step has one in any case."""
    episodes: int = Field(3, ge=1)
    """Whole episodes per cycle, the held-out routes in turn."""
    final_episodes: int | None = Field(None, ge=1)
    """The same for the last cycle, by which the stage is judged: gates on driving need 20, and as many held-out routes
    (`environment.route.evaluation_routes`). `null`: as `episodes`."""
    simulators: int = Field(1, ge=1, le=64)
    """Simulators that drive different episodes side by side; the figures are the same for any number."""


class CheckpointConfig(ConfigSection):
    """When a checkpoint is written and which are kept."""

    every_steps: int = Field(1000, ge=1)
    """Steps between two checkpoints."""
    every_minutes: float = Field(10.0, gt=0)
    """Minutes between two checkpoints, whichever comes first."""
    keep_last: int = Field(3, ge=2)
    """Newest checkpoints kept; at least two, since the newest may turn out damaged."""
    keep_every_steps: int | None = Field(None, ge=1)
    """Additionally kept for ever: the first checkpoint at or after each multiple of this."""
    keep_best: bool = True
    """Additionally kept: the checkpoint with the best evaluation return."""
    compression: Literal["none", "blosc-lz4"] = "none"
    """Compression of replay segments. blosc-lz4 needs the hdf5plugin filter to read them elsewhere."""
    disk_budget_gib: float | None = Field(None, gt=0)
    """Most that the checkpoints of a run may take; older kept ones go first, the newest two never."""


class LoggingConfig(ConfigSection):
    """What is written, how often. Bounded rates: a 1K run writes a few hundred lines."""

    interval_steps: int = Field(100, ge=1)
    """Steps between two progress entries in the record, the log and TensorBoard."""
    gradient_interval_updates: int = Field(100, ge=1)
    """Updates between two gradient-norm entries."""
    tensorboard: bool = True
    """Write TensorBoard event files."""
