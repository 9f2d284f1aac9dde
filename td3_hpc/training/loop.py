"""The training loop: act, update while the simulators tick, collect."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from td3_hpc.checkpoint import Checkpoint, CheckpointStore, Superseded
from td3_hpc.config import StageConfig, dump_yaml
from td3_hpc.driving.worker_handle import EpisodeLog
from td3_hpc.errors import BadInput, UserError
from td3_hpc.replay import ReplayBuffer
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.descriptions import DESCRIPTIONS
from td3_hpc.training.evaluation.cycle import evaluate
from td3_hpc.training.evaluation.trace import CycleTrace, trace_path
from td3_hpc.training.record import RunRecord
from td3_hpc.training.rollout import Rollout, side_by_side
from td3_hpc.training.seeding import derived_seed
from td3_hpc.training.signals import StopFlag, StopRequested
from td3_hpc.training.simulation import EpisodeLost, Observation, Simulation
from td3_hpc.training.state import load_rollout, rollout_tree
from td3_hpc.training.telemetry.telemetry import Telemetry
from td3_hpc.training.telemetry.tensorboard import TensorBoard


@dataclass
class Counters:
    """Where the run stands."""

    step: int = 0
    episode: int = 0
    """Episodes that have ended."""
    evaluated_at: int = 0
    evaluations: int = 0


@dataclass(frozen=True)
class Parts:
    """What the loop works with; each part is closed by whoever made it."""

    agent: TD3Agent
    replay: ReplayBuffer
    training: Sequence[Simulation]
    """One for each environment that is driven."""
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
        self._rollouts = [Rollout(lane, simulation) for lane, simulation in enumerate(parts.training)]
        self._last_checkpoint_step = 0
        self._last_checkpoint_time = time.monotonic()
        parts.telemetry.watch(parts.agent, parts.replay)

    # ---- the run --------------------------------------------------------------------------------------------------
    def run(self) -> bool:
        """Run to the last step; True when it is reached, False when a stop signal came first. Saves in both cases."""
        total = self._config.training.total_steps
        try:
            while True:
                if not self._in_flight():  # an interrupted round is completed first
                    self._evaluate_when_due()
                    if self.counters.step >= total:
                        self.save({"stage_end": True})
                        return True
                    if self._parts.stop:
                        raise StopRequested
                    self._checkpoint_when_due()
                self.play_round()
        except StopRequested:
            self.save({"signal": self._parts.stop.signal_name or ""})
            return False

    def play_round(self) -> None:
        """A decision in every environment, in fixed order: send the actions, make the updates due on what the buffer
        holds while the simulators tick, collect. The last round of a run is as short as `total_steps` demands.
        """
        rollouts = self._in_flight() or self._next_round()
        for number, rollout in enumerate(rollouts, self.counters.step + 1):
            if rollout.action is None:
                rollout.action = self._choose_action(_newest(rollout), number)
            rollout.simulation.send(rollout.action)
        self._update_up_to(self.counters.step + len(rollouts))
        for rollout in rollouts:
            self._collect(rollout)

    def _in_flight(self) -> list[Rollout]:
        """The environments whose decision's outcome is not in yet."""
        return [rollout for rollout in self._rollouts if rollout.action is not None]

    def _next_round(self) -> list[Rollout]:
        """The environments that are to decide next, each in an episode."""
        rollouts = self._rollouts[: self._config.training.total_steps - self.counters.step]
        self._begin_episodes([rollout for rollout in rollouts if rollout.observation is None])
        return rollouts

    def _collect(self, rollout: Rollout) -> None:
        """Take in what came of a decision; it is the run's next step."""
        parts, number, action = self._parts, self.counters.step + 1, rollout.action
        assert action is not None, "an action was sent"
        try:
            result = rollout.simulation.receive()
        except EpisodeLost:
            self._drop_episode(rollout, "simulator_lost")
            return
        parts.telemetry.observation(result.observation)
        parts.replay.add(
            action, result.reward, result.observation, result.terminated, result.truncated, lane=rollout.lane
        )
        rollout.action = None
        rollout.observation = result.observation
        self.counters.step = number
        parts.telemetry.step(
            number, action, result.reward, result.info["reward_components"], number <= self._learning_starts
        )
        parts.on_step(number)
        if result.terminated or result.truncated:
            self._end_episode(rollout, result.info["episode"])

    @property
    def _learning_starts(self) -> int:
        return self._config.training.learning_starts

    def _choose_action(self, observation: Observation, number: int) -> np.ndarray:
        if number <= self._learning_starts:
            return self._parts.agent.random_action()
        return self._parts.agent.explore(observation)

    def _update_up_to(self, step: int) -> None:
        """One update per step after `learning_starts`; none where a repeated step has had its own already."""
        while self._parts.agent.updates < step - self._learning_starts:
            self._update()

    def _update(self) -> None:
        parts = self._parts
        batch = parts.replay.sample(self._config.agent.batch_size)
        parts.telemetry.before_update(parts.agent, batch)
        stats = parts.agent.update(batch)
        parts.telemetry.update(stats, parts.agent.updates, parts.agent.updates + self._learning_starts)

    # ---- episodes -------------------------------------------------------------------------------------------------
    def _begin_episodes(self, rollouts: Sequence[Rollout]) -> None:
        """Start the next episodes of the run, the simulators' resets side by side."""
        begun = self.counters.episode + sum(rollout.observation is not None for rollout in self._rollouts)
        for index, rollout in enumerate(rollouts, begun):
            rollout.index, rollout.seed = index, derived_seed(self._config.seed, "episode", index)
        resets = side_by_side([partial(rollout.simulation.reset, rollout.seed) for rollout in rollouts])
        observations = [reset.result() for reset in resets]
        for rollout, observation in zip(rollouts, observations, strict=True):
            self._parts.telemetry.observation(observation)
            self._parts.replay.begin(observation, lane=rollout.lane)
            rollout.observation = observation
            rollout.first_step = self.counters.step + 1 + rollout.lane

    def _end_episode(self, rollout: Rollout, summary: dict[str, Any]) -> None:
        self._parts.telemetry.episode(rollout.index, rollout.first_step, self.counters.step, rollout.seed, summary)
        rollout.observation = None
        rollout.simulation.episode = None
        self.counters.episode += 1

    def _drop_episode(self, rollout: Rollout, reason: str) -> None:
        """Truncate the episode in progress at its last completed step; the action in flight is forgotten."""
        self._parts.replay.truncate(rollout.lane)
        rollout.action = None
        self._end_episode(rollout, {"end_reason": reason})

    # ---- evaluation -----------------------------------------------------------------------------------------------
    def _evaluate_when_due(self) -> None:
        counters, config = self.counters, self._config.evaluation
        if counters.step // config.every_steps == counters.evaluated_at // config.every_steps:
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
        step, last = self.counters.step, self._last_checkpoint_step
        minutes = (time.monotonic() - self._last_checkpoint_time) / 60
        if step // config.every_steps > last // config.every_steps or (step > last and minutes >= config.every_minutes):
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
        """Book what the saves in the background came to. Raises Superseded, and whatever is no fault of the disk."""
        for outcome in self._parts.store.poll():
            if outcome.info is not None:
                self._parts.record.append("checkpoint", **outcome.info.as_fields())
            elif isinstance(outcome.error, UserError) and not isinstance(outcome.error, Superseded):
                self._parts.telemetry.checkpoint_failed(outcome.step, str(outcome.error))
            elif outcome.error is not None:
                raise outcome.error

    def state(self) -> dict[str, Any]:
        """The run as a checkpoint's tree. Raises NonFinite where the agent holds a NaN or an infinity."""
        parts, counters = self._parts, self.counters
        agent = parts.agent.state()
        parts.telemetry.check_agent(agent, "the networks")
        return {
            "counters": {
                "step": counters.step,
                "updates": parts.agent.updates,
                "actor_updates": parts.agent.actor_updates,
                "episode": counters.episode,
                "evaluated_at": counters.evaluated_at,
                "evaluations": counters.evaluations,
            },
            "agent": agent,
            "replay": parts.replay.state(),
            "rollouts": {str(rollout.lane): rollout_tree(rollout) for rollout in self._rollouts},
            "telemetry": parts.telemetry.state(),
            "config": self._config_text,
            "provenance": {
                **self._provenance,
                "record_bytes": parts.record.size(),
                "tensorboard_bytes": parts.tensorboard.sizes(),
            },
        }

    def restore(self, checkpoint: Checkpoint, tree: dict[str, Any]) -> None:
        """Continue from a checkpoint. Episodes in progress are rebuilt in their simulators, or truncated."""
        parts, saved = self._parts, tree["counters"]
        parts.telemetry.check_agent(tree["agent"], checkpoint.manifest.name)
        try:
            parts.agent.load_state(tree["agent"])
            parts.replay.restore(checkpoint.first_row, checkpoint.rows())
            parts.replay.load_state(tree["replay"])
            parts.telemetry.load_state(tree["telemetry"])
        except (KeyError, ValueError) as error:
            raise BadInput(
                f"{checkpoint.run_dir}: {checkpoint.manifest.name} does not fit this version of td3-hpc ({error}); "
                "continue it with the version that wrote it, or give another --run-dir"
            ) from error
        self.counters = Counters(
            int(saved["step"]), int(saved["episode"]), int(saved["evaluated_at"]), int(saved["evaluations"])
        )
        parts.record.step = self._last_checkpoint_step = self.counters.step
        logs = [load_rollout(rollout, tree["rollouts"][str(rollout.lane)]) for rollout in self._rollouts]
        self._rebuild([(rollout, log) for rollout, log in zip(self._rollouts, logs, strict=True) if log is not None])

    def _rebuild(self, episodes: Sequence[tuple[Rollout, EpisodeLog]]) -> None:
        """Rebuild the episodes in progress side by side; one that is not reproduced ends, truncated."""
        results = side_by_side([partial(rollout.simulation.restore, log) for rollout, log in episodes])
        for (rollout, _), result in zip(episodes, results, strict=True):
            try:
                rollout.observation = result.result()
            except EpisodeLost:
                self._drop_episode(rollout, "not_reproduced")


def _newest(rollout: Rollout) -> Observation:
    assert rollout.observation is not None, "an episode is in progress"
    return rollout.observation
