"""The configuration of one stage: everything that `td3-hpc train` needs."""

from pydantic import Field, model_validator

from td3_hpc.config.agent import AgentConfig, ReplayConfig
from td3_hpc.config.base import ConfigSection
from td3_hpc.config.environment import EnvironmentConfig
from td3_hpc.config.monitors import MonitorsConfig
from td3_hpc.config.simulator import SimulatorConfig
from td3_hpc.config.training import CheckpointConfig, EvaluationConfig, LoggingConfig, TrainingConfig


class StageConfig(ConfigSection):
    """One stage, for example the 1K validation run."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Short name; also the default run directory's."""
    seed: int = Field(1, ge=0, lt=2**63)
    """Every random number of the run follows from it."""
    training: TrainingConfig
    simulators: int = Field(1, ge=1, le=256)
    """Training simulators, each with an environment of its own. All decide in turn, in rounds; evaluation has its own.
    Which steps belong together, and so every result, depends on this number."""
    simulator: SimulatorConfig = SimulatorConfig()
    environment: EnvironmentConfig = EnvironmentConfig()
    agent: AgentConfig = AgentConfig()
    replay: ReplayConfig = ReplayConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    logging: LoggingConfig = LoggingConfig()
    monitors: MonitorsConfig = MonitorsConfig()

    def evaluation_due(self, step: int) -> int:
        """The step at or before a step at which the newest evaluation cycle is due, 0 for none: each multiple of
        `evaluation.every_steps`, and the last step of the run. Several simulators may overshoot it by a few."""
        every, total = self.evaluation.every_steps, self.training.total_steps
        return total if step >= total else step // every * every

    def evaluations_after(self, step: int) -> list[int]:
        """The steps after a step at which evaluation cycles are due."""
        every, total = self.evaluation.every_steps, self.training.total_steps
        return [*range((step // every + 1) * every, total, every), *([total] if step < total else [])]

    def episodes_of_cycle(self, step: int) -> int:
        """Whole episodes of the evaluation cycle at a step: more in the run's last one."""
        evaluation, last = self.evaluation, step >= self.training.total_steps
        return evaluation.final_episodes or evaluation.episodes if last else evaluation.episodes

    @model_validator(mode="after")
    def _nothing_that_wastes_the_run(self) -> "StageConfig":
        training, problems = self.training, []
        if training.learning_starts >= training.total_steps:
            problems.append(
                f"training.learning_starts ({training.learning_starts}) is not below training.total_steps "
                f"({training.total_steps}): learning would never start; lower learning_starts"
            )
        elif not training.updates_due(training.total_steps):
            problems.append(
                f"training.updates_per_step ({training.updates_per_step:g}) makes no update in the "
                f"{training.total_steps - training.learning_starts} steps after learning_starts: raise it"
            )
        if self.evaluation.every_steps > training.total_steps:
            problems.append(
                f"evaluation.every_steps ({self.evaluation.every_steps}) is above training.total_steps "
                f"({training.total_steps}): no evaluation would run; lower every_steps"
            )
        if (self.evaluation.final_episodes or self.evaluation.episodes) < self.evaluation.episodes:
            problems.append(
                f"evaluation.final_episodes ({self.evaluation.final_episodes}) is below evaluation.episodes "
                f"({self.evaluation.episodes}): the last cycle must show more, not less; raise final_episodes"
            )
        routes, final = self.environment.route.evaluation_routes, self.evaluation.final_episodes
        if final is not None and final > routes:
            problems.append(
                f"evaluation.final_episodes ({final}) is above environment.route.evaluation_routes ({routes}): the "
                "last cycle would drive routes twice; raise evaluation_routes, or lower final_episodes"
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
        problems += self._too_many_simulators()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _too_many_simulators(self) -> list[str]:
        """What `simulators` does not go together with, in words."""
        count, problems = self.simulators, []
        if count > self.training.learning_starts:
            problems.append(
                f"simulators ({count}) is above training.learning_starts ({self.training.learning_starts}): learning "
                "would start with an empty buffer; raise learning_starts"
            )
        if count * 4 > self.replay.capacity:
            problems.append(f"replay.capacity ({self.replay.capacity}) is too small for {count} simulators: raise it")
        evaluating = self.evaluation.simulators
        blocks = (
            ("simulator", 3, self.simulator.port, self.simulator.evaluation_port),
            ("environment.traffic", 1, self.environment.traffic.port, self.environment.traffic.evaluation_port),
        )
        for section, size, port, evaluation_port in blocks:
            if port and port - size * evaluating < evaluation_port < port + size * count:
                problems.append(
                    f"{section}.evaluation_port ({evaluation_port}) is among the ports of {count} "
                    f"training simulators, {size} each from {section}.port ({port}) on: move it"
                )
            if port + size * count > 65536:
                problems.append(f"{section}.port ({port}) leaves no room for {count} simulators: lower it")
            if evaluation_port + size * evaluating > 65536:
                problems.append(
                    f"{section}.evaluation_port ({evaluation_port}) leaves no room for {evaluating} of them: lower it"
                )
        return problems
