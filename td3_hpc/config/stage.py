"""The configuration of one stage: everything that `td3-hpc train` needs."""

from pydantic import Field, model_validator

from td3_hpc.config.agent import AgentConfig, ReplayConfig
from td3_hpc.config.base import Section
from td3_hpc.config.environment import EnvironmentConfig
from td3_hpc.config.monitors import MonitorsConfig
from td3_hpc.config.simulator import SimulatorConfig
from td3_hpc.config.training import CheckpointConfig, EvaluationConfig, LoggingConfig, TrainingConfig


class StageConfig(Section):
    """One stage, for example the 1K validation run."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Short name; also the default run directory's."""
    seed: int = Field(1, ge=0, lt=2**63)
    """Every random number of the run follows from it."""
    training: TrainingConfig
    simulator: SimulatorConfig = SimulatorConfig()
    environment: EnvironmentConfig = EnvironmentConfig()
    agent: AgentConfig = AgentConfig()
    replay: ReplayConfig = ReplayConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    logging: LoggingConfig = LoggingConfig()
    monitors: MonitorsConfig = MonitorsConfig()

    @model_validator(mode="after")
    def _nothing_that_wastes_the_run(self) -> "StageConfig":
        training, problems = self.training, []
        if training.learning_starts >= training.total_steps:
            problems.append(
                f"training.learning_starts ({training.learning_starts}) is not below training.total_steps "
                f"({training.total_steps}): learning would never start; lower learning_starts"
            )
        if self.evaluation.every_steps > training.total_steps:
            problems.append(
                f"evaluation.every_steps ({self.evaluation.every_steps}) is above training.total_steps "
                f"({training.total_steps}): no evaluation would run; lower every_steps"
            )
        if self.replay.capacity < self.agent.batch_size + 8:
            problems.append(
                f"replay.capacity ({self.replay.capacity}) cannot hold one batch of {self.agent.batch_size}: "
                "raise capacity"
            )
        if self.checkpoint.every_steps * 2 > self.replay.capacity:
            problems.append(
                f"checkpoint.every_steps ({self.checkpoint.every_steps}) is above half of replay.capacity "
                f"({self.replay.capacity}): unsaved transitions would be overwritten; lower every_steps"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self
