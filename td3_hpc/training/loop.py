"""The training loop: act, update while the simulators tick, collect."""

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from td3_hpc.checkpoint import Checkpoint, CheckpointInfo, CheckpointStore, Superseded
from td3_hpc.config import StageConfig, dump_yaml
from td3_hpc.driving.worker_handle import EpisodeLog
from td3_hpc.errors import BadInput, ExitCode, UserError
from td3_hpc.record import CheckpointSaved, PictureDrive, ReferenceDrive, RunRecord, read_events
from td3_hpc.replay import ReplayBuffer
from td3_hpc.supervision.supervisor_handle import SimulatorFailed
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.descriptions import DESCRIPTIONS
from td3_hpc.training.env_slot import EnvSlot, side_by_side
from td3_hpc.training.evaluation.cycle import evaluate
from td3_hpc.training.evaluation.kept_episodes import Course
from td3_hpc.training.evaluation.picture import FOLDER, PictureTest
from td3_hpc.training.evaluation.policies import of_agent
from td3_hpc.training.evaluation.references import REFERENCES, drive_reference
from td3_hpc.training.evaluation.trace import trace_path
from td3_hpc.training.exploration import choose_actions
from td3_hpc.training.policy_motion import PolicyMotion
from td3_hpc.training.seeding import derived_seed
from td3_hpc.training.signals import StopFlag, StopRequested
from td3_hpc.training.simulation import EpisodeLost, Simulation
from td3_hpc.training.state import load_slot, slot_tree
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
class Components:
    """What the loop works with; each part is closed by whoever made it."""

    agent: TD3Agent
    replay: ReplayBuffer
    training: Sequence[Simulation]
    """One for each environment that is driven."""
    evaluation: Sequence[Simulation]
    store: CheckpointStore
    record: RunRecord
    tensorboard: TensorBoard
    telemetry: Telemetry
    stop: StopFlag
    picture: PictureTest | None
    """None: never tested."""
    on_step: Callable[[int], None]
    """Called with each completed step, for a progress bar."""


class TrainingLoop:
    """One run. Its whole state is `state()`; `run()` continues from wherever that stands."""

    def __init__(self, config: StageConfig, components: Components, provenance: dict[str, Any]) -> None:
        self._config = config
        self._components = components
        self._provenance = provenance
        self._config_text = dump_yaml(config)
        self.counters = Counters()
        self._slots = [EnvSlot(env_index, simulation) for env_index, simulation in enumerate(components.training)]
        self._motion = PolicyMotion()
        self._picture_tested = False
        self._last_checkpoint_step = 0
        self._last_checkpoint_time = time.monotonic()
        components.telemetry.watch(components.agent, components.replay)

    # ---- the run --------------------------------------------------------------------------------------------------
    def run(self) -> ExitCode:
        """Run to the last step: DONE when it is reached, PREEMPTED when a stop signal came first, NO_GO when the
        picture was found not to matter to the policy. Saves in every case, before SimulatorFailed, too."""
        total = self._config.training.total_steps
        try:
            while True:
                if not self._in_flight():  # an interrupted round is completed first
                    self._evaluate_when_due()
                    if self._is_blind():
                        self.save({})
                        return ExitCode.NO_GO
                    if self.counters.step >= total:
                        self._drive_references()
                        self.save({"stage_end": True})
                        return ExitCode.DONE
                    if self._components.stop:
                        raise StopRequested
                    self._checkpoint_when_due()
                self.play_round()
                for simulation in self._components.evaluation:  # not earlier, lest they keep the first step waiting
                    simulation.start()
        except StopRequested:
            self.save({"signal": self._components.stop.signal_name or ""})
            return ExitCode.PREEMPTED
        except SimulatorFailed:
            with contextlib.suppress(UserError):  # the simulator's failure is the one to tell
                self.save({})
            raise

    def play_round(self) -> None:
        """A decision in every environment, in fixed order: send the actions, make the updates due on what the buffer
        holds while the simulators tick, collect. The last round of a run is as short as `total_steps` demands.
        """
        slots = self._in_flight()
        if not slots:
            slots = self._next_round()
            choose_actions(self._components.agent, slots, self.counters.step, self._config.training)
        for slot in slots:
            assert slot.action is not None, "every environment of a round has decided"
            slot.simulation.send(slot.action)
        self._update_up_to(self.counters.step + len(slots))
        for slot in slots:
            self._collect(slot)

    def _in_flight(self) -> list[EnvSlot]:
        """The environments whose decision's outcome is not in yet."""
        return [slot for slot in self._slots if slot.action is not None]

    def _next_round(self) -> list[EnvSlot]:
        """The environments that are to decide next, each in an episode."""
        slots = self._slots[: self._config.training.total_steps - self.counters.step]
        self._begin_episodes([slot for slot in slots if slot.observation is None])
        return slots

    def _collect(self, slot: EnvSlot) -> None:
        """Take in what came of a decision; it is the run's next step."""
        components, number, action, random = self._components, self.counters.step + 1, slot.action, slot.is_random
        assert action is not None, "an action was sent"
        try:
            result = slot.simulation.receive()
        except EpisodeLost:
            self._drop_episode(slot, "simulator_lost")
            return
        components.telemetry.observation(result.observation)
        components.replay.add(
            action, result.reward, result.observation, result.terminated, result.truncated, env_index=slot.env_index
        )
        slot.action = None
        slot.observation, slot.standing = result.observation, result.info["standing"]
        self.counters.step = number
        components.telemetry.step(number, action, result.reward, result.info["reward_components"], random)
        components.on_step(number)
        if result.terminated or result.truncated:
            self._end_episode(slot, result.info["episode"])

    def _update_up_to(self, step: int) -> None:
        """The updates due by a step; none where a repeated step has had its own already."""
        while self._components.agent.updates < self._config.training.updates_due(step):
            self._update()

    def _update(self) -> None:
        components = self._components
        batch = components.replay.sample(self._config.agent.batch_size)
        components.telemetry.before_update(components.agent, batch)
        stats = components.agent.update(batch)
        number = components.agent.updates
        components.telemetry.update(stats, number, self._config.training.step_of_update(number))

    # ---- episodes -------------------------------------------------------------------------------------------------
    def _begin_episodes(self, slots: Sequence[EnvSlot]) -> None:
        """Start the next episodes of the run, the simulators' resets side by side."""
        begun = self.counters.episode + sum(slot.observation is not None for slot in self._slots)
        for index, slot in enumerate(slots, begun):
            slot.index, slot.seed = index, derived_seed(self._config.seed, "episode", index)
        resets = side_by_side([partial(slot.simulation.reset, slot.seed) for slot in slots])
        observations = [reset.result() for reset in resets]
        for slot, observation in zip(slots, observations, strict=True):
            self._components.telemetry.observation(observation)
            self._components.replay.begin(observation, env_index=slot.env_index)
            slot.observation = observation
            slot.first_step = self.counters.step + 1 + slot.env_index

    def _end_episode(self, slot: EnvSlot, summary: dict[str, Any]) -> None:
        self._components.telemetry.episode(slot.index, slot.first_step, self.counters.step, slot.seed, summary)
        slot.observation = slot.held = None
        slot.held_for = slot.standing = 0
        slot.simulation.episode = None
        self.counters.episode += 1

    def _drop_episode(self, slot: EnvSlot, reason: str) -> None:
        """Truncate the episode in progress at its last completed step; the action in flight is forgotten."""
        self._components.replay.truncate(slot.env_index)
        slot.action = None
        self._end_episode(slot, {"end_reason": reason})

    # ---- evaluation -----------------------------------------------------------------------------------------------
    def _evaluate_when_due(self) -> None:
        counters, config = self.counters, self._config.evaluation
        if self._config.evaluation_due(counters.step) == self._config.evaluation_due(counters.evaluated_at):
            return
        components = self._components
        result = evaluate(
            of_agent(components.agent),
            components.evaluation,
            cycle=counters.evaluations + 1,
            numbers=range(self._config.episodes_of_cycle(counters.step)),
            routes=self._config.environment.route.evaluation_routes,
            stop=components.stop,
            trace=trace_path(components.record.path.parent, counters.step),
        )
        counters.evaluations += 1
        counters.evaluated_at = counters.step
        motion = self._motion.measure(components.agent, components.replay, config.every_steps)
        components.telemetry.evaluation(result, motion, counters.step)
        if self._config.checkpoint.keep_best:
            alike = result.first(config.episodes)  # the last cycle may have more routes
            self.save_in_background({"evaluation_return": alike.means()["return"]})

    def _drive_references(self) -> None:
        """Let the reference drivers drive the last cycle's episodes, unless the record has them. Raises StopRequested;
        what was driven until then is kept."""
        components, step = self._components, self.counters.step
        record = components.record
        there = {drive.policy for drive in read_events(record.path, ReferenceDrive) if drive.step == step}
        numbers = range(self._config.episodes_of_cycle(step))
        for policy in REFERENCES:
            if policy not in there:
                course = Course(self._config, components.evaluation, numbers, components.stop)
                components.telemetry.reference(drive_reference(course, policy), step)

    def _is_blind(self) -> bool:
        """Make the test of the picture at the first cycle that it is due at; whether the run ends by it. Raises
        StopRequested."""
        components, step = self._components, self.counters.step
        test, record = components.picture, components.record
        if test is None or self._picture_tested or not test.from_step <= step == self.counters.evaluated_at:
            return False
        drives = list(read_events(record.path, PictureDrive))
        if not drives:
            for simulation in components.evaluation:  # the test's take their places until the next round
                simulation.close()
            agent = components.agent
            drives = [test.drive(self._config, of_agent(agent), agent.policy_digest(), record, components.stop)]
            components.telemetry.picture(drives[0], step)
            shutil.rmtree(record.path.parent / FOLDER, ignore_errors=True)
        self._picture_tested = True
        return test.is_missed(drives)

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
        info = self._components.store.save(
            self.counters.step, self.state(), self._components.replay, tags=tags, descriptions=DESCRIPTIONS
        )
        self._note_outcomes()
        self._components.record.append(_saved(info, **tags))
        self._last_checkpoint_step = self.counters.step

    def save_in_background(self, tags: dict[str, Any]) -> None:
        """Take a snapshot and let it be written while training goes on."""
        self._components.store.save_in_background(
            self.counters.step, self.state(), self._components.replay, tags=tags, descriptions=DESCRIPTIONS
        )
        self._last_checkpoint_step = self.counters.step
        self._last_checkpoint_time = time.monotonic()

    def _note_outcomes(self) -> None:
        """Book what the saves in the background came to. Raises Superseded, and whatever is no fault of the disk."""
        for outcome in self._components.store.poll():
            if outcome.info is not None:
                self._components.record.append(_saved(outcome.info))
            elif isinstance(outcome.error, UserError) and not isinstance(outcome.error, Superseded):
                self._components.telemetry.checkpoint_failed(outcome.step, outcome.error)
            elif outcome.error is not None:
                raise outcome.error

    def state(self) -> dict[str, Any]:
        """The run as a checkpoint's tree. Raises NonFinite where the agent holds a NaN or an infinity."""
        components, counters = self._components, self.counters
        agent = components.agent.state()
        components.telemetry.check_agent(agent, "the networks")
        return {
            "counters": {
                "step": counters.step,
                "updates": components.agent.updates,
                "actor_updates": components.agent.actor_updates,
                "episode": counters.episode,
                "evaluated_at": counters.evaluated_at,
                "evaluations": counters.evaluations,
            },
            "agent": agent,
            "replay": components.replay.state(),
            "rollouts": {str(slot.env_index): slot_tree(slot) for slot in self._slots},
            "telemetry": components.telemetry.state(),
            "policy_motion": self._motion.state(),
            "config": self._config_text,
            "provenance": {
                **self._provenance,
                "record_bytes": components.record.size(),
                "tensorboard_bytes": components.tensorboard.sizes(),
            },
        }

    def restore(self, checkpoint: Checkpoint, tree: dict[str, Any]) -> None:
        """Continue from a checkpoint. Episodes in progress are rebuilt in their simulators, or truncated."""
        components, saved = self._components, tree["counters"]
        components.telemetry.check_agent(tree["agent"], checkpoint.manifest.name)
        try:
            components.agent.load_state(tree["agent"])
            components.replay.restore(checkpoint.first_row, checkpoint.rows())
            components.replay.load_state(tree["replay"])
            components.telemetry.load_state(tree["telemetry"])
            if "policy_motion" in tree:  # older checkpoints have none
                self._motion.load_state(tree["policy_motion"])
        except (KeyError, ValueError) as error:
            raise BadInput(
                f"{checkpoint.run_dir}: {checkpoint.manifest.name} does not fit this version of td3-hpc ({error}); "
                "continue it with the version that wrote it, or give another --run-dir"
            ) from error
        self.counters = Counters(
            int(saved["step"]), int(saved["episode"]), int(saved["evaluated_at"]), int(saved["evaluations"])
        )
        components.record.step = self._last_checkpoint_step = self.counters.step
        logs = [load_slot(slot, tree["rollouts"][str(slot.env_index)]) for slot in self._slots]
        self._rebuild([(slot, log) for slot, log in zip(self._slots, logs, strict=True) if log is not None])

    def _rebuild(self, episodes: Sequence[tuple[EnvSlot, EpisodeLog]]) -> None:
        """Rebuild the episodes in progress side by side; one that is not reproduced ends, truncated."""
        results = side_by_side([partial(slot.simulation.restore, log) for slot, log in episodes])
        for (slot, _), result in zip(episodes, results, strict=True):
            try:
                slot.observation = result.result()
            except EpisodeLost:
                self._drop_episode(slot, "not_reproduced")


def _saved(info: CheckpointInfo, **tags: Any) -> CheckpointSaved:
    """The record's event of a checkpoint, with the tags that its manifest has."""
    again = {"written_again": list(info.written_again)} if info.written_again else {}
    seconds = round(info.seconds, 3)
    return CheckpointSaved(name=info.path.name, at_step=info.step, bytes=info.bytes, seconds=seconds, **again, **tags)
