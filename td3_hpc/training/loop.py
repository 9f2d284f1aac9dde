"""The training loop: act, update while the simulator ticks, collect."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from td3_hpc.checkpoint import Checkpoint, CheckpointStore, Superseded
from td3_hpc.config import StageConfig, dump_yaml
from td3_hpc.errors import UserError
from td3_hpc.replay import ReplayBuffer
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.evaluation import evaluate
from td3_hpc.training.record import RunRecord
from td3_hpc.training.seeding import derived_seed
from td3_hpc.training.signals import StopFlag, StopRequested
from td3_hpc.training.simulation import EpisodeLost, Observation, Simulation
from td3_hpc.training.state import DESCRIPTIONS, episode_from_tree, episode_tree
from td3_hpc.training.telemetry import Telemetry, non_finite
from td3_hpc.training.tensorboard import TensorBoard
from td3_hpc.training.trace import CycleTrace, trace_path


@dataclass
class Counters:
    """Where the run stands."""

    step: int = 0
    episode: int = 0
    evaluated_at: int = 0
    evaluations: int = 0


@dataclass(frozen=True)
class Parts:
    """What the loop works with; each part is closed by whoever made it."""

    agent: TD3Agent
    replay: ReplayBuffer
    training: Simulation
    evaluation: Simulation
    store: CheckpointStore
    record: RunRecord
    tensorboard: TensorBoard
    telemetry: Telemetry
    stop: StopFlag
    on_step: Callable[[int], None]
    """Called with each completed step, for a progress bar."""


class TrainingLoop:
    """One run. Its whole state is `state()`; `run()` continues from wherever that stands."""

    def __init__(self, config: StageConfig, parts: Parts, provenance: dict[str, Any]) -> None:
        self._config = config
        self._parts = parts
        self._provenance = provenance
        self._config_text = dump_yaml(config)
        self.counters = Counters()
        self._observation: Observation | None = None
        self._episode_first_step = 1
        self._action_in_flight: np.ndarray | None = None
        self._last_checkpoint_step = 0
        self._last_checkpoint_time = time.monotonic()

    # ---- the run --------------------------------------------------------------------------------------------------
    def run(self) -> bool:
        """Run to the last step; True when it is reached, False when a stop signal came first. Saves in both cases."""
        total = self._config.training.total_steps
        try:
            while True:
                self._evaluate_when_due()
                if self.counters.step >= total:
                    self.save({"stage_end": True})
                    return True
                if self._parts.stop:
                    raise StopRequested
                self._checkpoint_when_due()
                self.step()
        except StopRequested:
            self.save({"signal": self._parts.stop.signal_name or ""})
            return False

    def step(self) -> None:
        """One decision: send the action, update on what the buffer holds while the simulator ticks, collect."""
        parts, number = self._parts, self.counters.step + 1
        observation = self._observation if self._observation is not None else self._begin_episode()
        if self._action_in_flight is None:
            self._action_in_flight = self._choose_action(observation, number)
        action = self._action_in_flight
        parts.training.send(action)
        self._update_when_due(number)
        try:
            result = parts.training.receive()
        except EpisodeLost:
            self._drop_episode("simulator_lost")
            return
        parts.telemetry.observation(result.observation)
        parts.replay.add(action, result.reward, result.observation, result.terminated, result.truncated)
        self._action_in_flight = None
        self._observation = result.observation
        self.counters.step = number
        parts.telemetry.step(
            number, action, result.reward, result.info["reward_components"], number <= self._learning_starts
        )
        parts.on_step(number)
        if result.terminated or result.truncated:
            self._end_episode(result.info["episode"])

    @property
    def _learning_starts(self) -> int:
        return self._config.training.learning_starts

    def _choose_action(self, observation: Observation, number: int) -> np.ndarray:
        if number <= self._learning_starts:
            return self._parts.agent.random_action()
        return self._parts.agent.explore(observation)

    def _update_when_due(self, number: int) -> None:
        """One update per step after `learning_starts`; none where a repeated step has had its own already."""
        parts = self._parts
        if parts.agent.updates >= number - self._learning_starts:
            return
        stats = parts.agent.update(parts.replay.sample(self._config.agent.batch_size))
        parts.telemetry.update(stats, parts.agent.updates, number)
        broken = non_finite(stats)
        if broken:
            raise UserError(
                f"NaN or infinity in update {parts.agent.updates} at step {number}: {', '.join(broken)}; the "
                f"run stops here and keeps its checkpoint of step {self._last_checkpoint_step}. Lower the learning "
                "rates or look at the gradient norms in the report"
            )

    # ---- episodes -------------------------------------------------------------------------------------------------
    def _begin_episode(self) -> Observation:
        observation = self._parts.training.reset(self._episode_seed())
        self._parts.telemetry.observation(observation)
        self._parts.replay.begin(observation)
        self._observation = observation
        self._episode_first_step = self.counters.step + 1
        return observation

    def _episode_seed(self) -> int:
        return derived_seed(self._config.seed, "episode", self.counters.episode)

    def _end_episode(self, summary: dict[str, Any]) -> None:
        self._parts.telemetry.episode(
            self.counters.episode, self._episode_first_step, self.counters.step, self._episode_seed(), summary
        )
        self._observation = None
        self._parts.training.episode = None
        self.counters.episode += 1

    def _drop_episode(self, reason: str) -> None:
        """Truncate the episode in progress at its last completed step; the action in flight is forgotten."""
        self._parts.replay.truncate()
        self._action_in_flight = None
        self._end_episode({"end_reason": reason})

    # ---- evaluation -----------------------------------------------------------------------------------------------
    def _evaluate_when_due(self) -> None:
        counters, config = self.counters, self._config.evaluation
        if counters.step == counters.evaluated_at or counters.step % config.every_steps:
            return
        parts = self._parts
        result = evaluate(
            parts.agent.act,
            parts.evaluation,
            cycle=counters.evaluations + 1,
            episodes=config.episodes,
            routes=self._config.environment.route.evaluation_routes,
            stop=parts.stop,
            trace=CycleTrace(trace_path(parts.record.path.parent, counters.step)),
        )
        counters.evaluations += 1
        counters.evaluated_at = counters.step
        parts.telemetry.evaluation(result, counters.step)
        if self._config.checkpoint.keep_best:
            self.save_in_background({"evaluation_return": result.means()["return"]})

    # ---- checkpoints ----------------------------------------------------------------------------------------------
    def _checkpoint_when_due(self) -> None:
        config = self._config.checkpoint
        since = self.counters.step - self._last_checkpoint_step
        minutes = (time.monotonic() - self._last_checkpoint_time) / 60
        if since and (self.counters.step % config.every_steps == 0 or minutes >= config.every_minutes):
            self.save_in_background({})
        self._note_outcomes()

    def save(self, tags: dict[str, Any]) -> None:
        """Write a checkpoint and wait until it is durable. Raises UserError where that fails."""
        info = self._parts.store.save(
            self.counters.step, self.state(), self._parts.replay, tags=tags, descriptions=DESCRIPTIONS
        )
        self._note_outcomes()
        self._parts.record.append("checkpoint", **info.as_fields(), **tags)
        self._last_checkpoint_step = self.counters.step

    def save_in_background(self, tags: dict[str, Any]) -> None:
        """Take a snapshot and let it be written while training goes on."""
        self._parts.store.save_in_background(
            self.counters.step, self.state(), self._parts.replay, tags=tags, descriptions=DESCRIPTIONS
        )
        self._last_checkpoint_step = self.counters.step
        self._last_checkpoint_time = time.monotonic()

    def _note_outcomes(self) -> None:
        for outcome in self._parts.store.poll():
            if isinstance(outcome.error, Superseded):
                raise outcome.error
            if outcome.info is None:
                self._parts.record.append("checkpoint_failed", at_step=outcome.step, error=str(outcome.error))
            else:
                self._parts.record.append("checkpoint", **outcome.info.as_fields())

    def state(self) -> dict[str, Any]:
        """The run as a checkpoint's tree."""
        parts, counters = self._parts, self.counters
        return {
            "counters": {
                "step": counters.step,
                "updates": parts.agent.updates,
                "actor_updates": parts.agent.actor_updates,
                "episode": counters.episode,
                "evaluated_at": counters.evaluated_at,
                "evaluations": counters.evaluations,
            },
            "agent": parts.agent.state(),
            "replay": parts.replay.state(),
            "episode": episode_tree(
                parts.training.episode if self._observation is not None else None, self._episode_first_step
            ),
            "action_in_flight": self._action_in_flight,
            "telemetry": parts.telemetry.state(),
            "config": self._config_text,
            "provenance": {
                **self._provenance,
                "record_bytes": parts.record.size(),
                "tensorboard_bytes": parts.tensorboard.sizes(),
            },
        }

    def restore(self, checkpoint: Checkpoint, tree: dict[str, Any]) -> None:
        """Continue from a checkpoint. The episode in progress is rebuilt in the simulator, or truncated."""
        parts, saved = self._parts, tree["counters"]
        parts.agent.load_state(tree["agent"])
        parts.replay.restore(checkpoint.first_row, checkpoint.rows())
        parts.replay.load_state(tree["replay"])
        parts.telemetry.load_state(tree["telemetry"])
        self.counters = Counters(
            int(saved["step"]), int(saved["episode"]), int(saved["evaluated_at"]), int(saved["evaluations"])
        )
        parts.record.step = self._last_checkpoint_step = self.counters.step
        self._action_in_flight = tree["action_in_flight"]
        if tree["episode"] is None:
            return
        episode, self._episode_first_step = episode_from_tree(tree["episode"])
        try:
            self._observation = parts.training.restore(episode)
        except EpisodeLost:
            self._drop_episode("not_reproduced")
