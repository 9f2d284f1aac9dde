"""A training loop with everything around it but the simulators, which the benchmark brings along."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from td3_hpc.checkpoint import CheckpointStore
from td3_hpc.config import StageConfig
from td3_hpc.record import RunRecord
from td3_hpc.replay import ReplayBuffer
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.loop import Components, TrainingLoop
from td3_hpc.training.signals import StopFlag
from td3_hpc.training.telemetry.console import RunConsole
from td3_hpc.training.telemetry.telemetry import Telemetry
from td3_hpc.training.telemetry.tensorboard import TensorBoard

NEVER = 10**6


def endless_stage(learning_starts: int, **sections: Any) -> StageConfig:
    """A stage that is never evaluated, saved or summed up."""
    return StageConfig.model_validate(
        {
            "name": "benchmark",
            "training": {"total_steps": NEVER, "learning_starts": learning_starts, **sections.pop("training", {})},
            "evaluation": {"every_steps": NEVER},
            "checkpoint": {"every_steps": NEVER, "every_minutes": NEVER},
            "replay": {"capacity": 2 * NEVER},
            "logging": {"interval_steps": NEVER, "gradient_interval_updates": NEVER},
            **sections,
        }
    )


def make_loop(
    config: StageConfig, record: RunRecord, simulations: Sequence[Any], stack: contextlib.ExitStack
) -> tuple[TrainingLoop, Components]:
    """A loop that has just begun to learn, in the record's directory."""
    directory = record.path.parent
    tensorboard = TensorBoard(directory / "tensorboard", enabled=False)
    console = stack.enter_context(RunConsole(config.name, NEVER, 0))
    components = Components(
        agent=TD3Agent(config.agent, "cpu", seed=1),
        replay=ReplayBuffer(config.replay.capacity, np.random.default_rng(1)),
        training=simulations,
        evaluation=[],
        store=CheckpointStore(directory, config.checkpoint),
        record=record,
        tensorboard=tensorboard,
        telemetry=Telemetry(config, record, tensorboard, console),
        stop=StopFlag(),
        picture=None,
        on_step=lambda step: None,
    )
    loop = TrainingLoop(config, components, {})
    while loop.counters.step < config.training.learning_starts + 4:
        loop.play_round()
    return loop, components


def open_record(directory: Path, stack: contextlib.ExitStack) -> RunRecord:
    """A record in a directory of its own."""
    directory.mkdir()
    record = RunRecord(directory)
    record.open()
    stack.callback(record.close)
    return record
