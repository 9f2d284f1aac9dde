"""What is measured, at which rate, and where it goes: the record, TensorBoard and the console."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from td3_hpc.config import StageConfig
from td3_hpc.driving.reward import COMPONENTS
from td3_hpc.errors import UserError
from td3_hpc.record import (
    AlertChanged,
    CheckpointFailed,
    EffectReading,
    EpisodeEnded,
    FeatureReading,
    GradientReading,
    Interval,
    MechanismSample,
    NotificationFailed,
    PictureDrive,
    ReferenceDrive,
    RunRecord,
)
from td3_hpc.replay import Batch, ReplayBuffer
from td3_hpc.spaces import ACTION_COMPONENTS, IMAGE, OBSERVATION, VECTOR, Entry, Observation
from td3_hpc.td3 import FeatureCheck, FeatureProbe, MechanismCheck, TD3Agent, UpdateStats
from td3_hpc.training.evaluation.cycle import EvaluationResult
from td3_hpc.training.evaluation.measures import mean_completion
from td3_hpc.training.monitors.action_effects import action_effects
from td3_hpc.training.monitors.alerts import AlertChange, Alerts
from td3_hpc.training.monitors.finite import NonFinite, non_finite, non_finite_entries
from td3_hpc.training.monitors.growth import GrowthMonitor
from td3_hpc.training.monitors.limits import gradient_limits, limits, value_reach
from td3_hpc.training.monitors.mechanism_sampling import MechanismMonitor
from td3_hpc.training.monitors.notify import Notifier
from td3_hpc.training.telemetry.accumulator import Accumulator
from td3_hpc.training.telemetry.console import RunConsole
from td3_hpc.training.telemetry.replay_contents import replay_contents
from td3_hpc.training.telemetry.tensorboard import TensorBoard


class Telemetry:
    """Collects every step and update, and writes their summary at the configured rates. NaN and infinity end the run.

    What a checkpoint holds of it is a function of the run's numbers alone, never of the clock.
    """

    def __init__(
        self,
        config: StageConfig,
        record: RunRecord,
        tensorboard: TensorBoard,
        console: RunConsole,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._record = record
        self._tensorboard = tensorboard
        self._console = console
        self._clock = clock
        self._interval = Accumulator()
        self._interval_first_step = 1
        self._interval_started = clock()
        self._steps_in_interval_here = 0
        self._growth = GrowthMonitor(config.monitors.growth, dict(gradient_limits(config)))
        self._mechanisms = MechanismMonitor(config.monitors.mechanisms_every_updates)
        self._features: FeatureProbe | None = None
        self._notifier = Notifier(config.monitors.alerts, config.name)
        self._agent: TD3Agent | None = None
        self._replay: ReplayBuffer | None = None
        self.alerts = Alerts(limits(config))

    def watch(self, agent: TD3Agent, replay: ReplayBuffer) -> None:
        """Put the networks' norms and the buffer's contents into every interval's summary."""
        self._agent, self._replay = agent, replay

    def close(self) -> None:
        """Let notifications out that still wait, for a bounded time."""
        self._notifier.close()
        self._note_failed_notifications()

    # ---- one step -------------------------------------------------------------------------------------------------
    def observation(self, observation: Observation) -> None:
        """Check the shape, type and range of an observation's entries. Raises NonFinite."""
        interval = self._interval
        as_announced = all(entry.fits(observation[entry.name]) for entry in OBSERVATION)
        interval.count("dimension_errors", int(not as_announced))
        newest = {entry: entry.newest(observation[entry.name]) for entry in OBSERVATION}
        broken = [
            f"{entry.name}[{index}]" for entry, array in newest.items() for index in np.flatnonzero(~np.isfinite(array))
        ]
        if broken:
            raise self._non_finite("an observation", broken)
        interval.count("non_finite", 0)
        for entry, array in newest.items():
            interval.low(_range_name(entry), entry.normalised(float(array.min())))
            interval.high(_range_name(entry), entry.normalised(float(array.max())))

    def step(self, step: int, action: np.ndarray, reward: float, components: Mapping[str, float], random: bool) -> None:
        """Take in one completed decision, and write the interval's summary where one ends. Raises NonFinite."""
        self._record.step = step
        if not math.isfinite(reward):
            raise self._non_finite("a reward", [name for name, part in components.items() if not math.isfinite(part)])
        interval = self._interval
        interval.count("random_actions" if random else "policy_actions")
        interval.mean("reward", reward)
        for name, value in components.items():
            interval.mean(f"reward/{name}", value)
            interval.mean(f"reward_magnitude/{name}", abs(value))
        interval.mean("action_saturation", float((np.abs(action) > 0.99).mean()))
        self._steps_in_interval_here += 1
        if step % self._config.logging.interval_steps == 0 or step == self._config.training.total_steps:
            self._write_interval(step)

    def before_update(self, agent: TD3Agent, batch: Batch) -> None:
        """Look at what the update that comes next will use, where it is one that is checked."""
        self._mechanisms.before(agent, batch)
        update = agent.updates + 1
        due = update % self._config.logging.gradient_interval_updates == 0
        self._features = FeatureProbe(agent, batch) if due else None
        if due and (effects := action_effects(batch)):
            self._record.append(EffectReading(update=update, **effects))
            for name, correlation in effects.items():
                self._tensorboard.scalar(f"effects/{name}", correlation, self._record.step)

    def update(self, stats: UpdateStats, updates: int, step: int) -> None:
        """Take in one update; every `gradient_interval_updates` the gradient norms are written. Raises NonFinite."""
        broken = non_finite(stats)
        if broken:
            raise self._non_finite(f"update {updates}", broken)
        interval = self._interval
        interval.count("updates")
        interval.mean("critic_loss", stats.critic_loss)
        interval.mean("q_mean", stats.q_mean)
        interval.mean("twin_disagreement", stats.twin_disagreement)
        interval.mean("td_error", stats.td_error)
        interval.high("q_abs", stats.q_abs_max)
        interval.high("q", stats.q_max)
        interval.low("q", stats.q_min)
        if stats.actor_loss is not None:
            interval.count("actor_updates")
            interval.mean("actor_loss", stats.actor_loss)
        for name in ACTION_COMPONENTS:
            share: float | None = getattr(stats, f"saturation_{name}")
            if share is not None:
                interval.mean(f"policy_saturation_{name}", share)
        for group, norm in stats.grad_norms_before.items():
            interval.high(f"gradient/{group}", norm)
        self._watch_update(stats, updates, step)
        if updates % self._config.logging.gradient_interval_updates == 0:
            self._write_gradients(stats, updates, step)
        check = self._mechanisms.after(stats)
        if check is not None:
            self._note_mechanisms(check, step)
        if self._features is not None:
            self._note_features(self._features.check(), step)
            self._features = None

    def _watch_update(self, stats: UpdateStats, updates: int, step: int) -> None:
        """What is judged at every update, not only at an interval's end."""
        alerts, growth_config = self.alerts, self._config.monitors.growth
        reach = value_reach(self._config, stats.q_min, stats.q_max)
        self._report_alert(alerts.observe("q_magnitude", reach), step)
        for group, trend in self._growth.add(updates, stats.grad_norms_before).items():
            if group in self._growth.limits:
                called = trend.called(growth_config)
                self._report_alert(
                    alerts.observe(f"{group}_growth", trend.factor, called, not called), step, vars(trend)
                )
        for group, norm in stats.grad_norms_before.items():
            if group in self._growth.limits:
                self._report_alert(alerts.observe(f"{group}_gradient", norm), step)

    # ---- rarer events ---------------------------------------------------------------------------------------------
    def episode(self, index: int, first_step: int, step: int, seed: int, summary: Mapping[str, Any]) -> None:
        """An episode has ended; `summary` is the environment's `info["episode"]`."""
        fields = {"index": index, "first_step": first_step, "last_step": step, "seed": seed, **summary}
        self._record.append(EpisodeEnded.model_validate(fields))
        for name, value in summary.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                self._tensorboard.scalar(f"episode/{name}", value, step)

    def evaluation(self, result: EvaluationResult, policy_motion: float | None, step: int) -> None:
        """An evaluation cycle is complete; `policy_motion`: see `EvaluationCycle`."""
        event = result.as_event(policy_motion)
        means = event.means
        self._record.append(event)
        numbers = {name: getattr(event, name) for name in ("policy_motion", "q_estimate", "discounted_return")}
        for name, value in (means | numbers).items():
            if value is not None:
                self._tensorboard.scalar(f"evaluation/{name}", value, step)
        self._console.line(
            f"step {step}: evaluation {result.cycle}, {len(result.episodes)} episodes, return {means['return']:.2f}, "
            f"route completion {means['route_completion']:.0%}, {result.seconds:.0f} s"
        )

    def reference(self, drive: ReferenceDrive, step: int) -> None:
        """A reference driver has driven the last cycle's episodes."""
        self._record.append(drive)
        completion = mean_completion(drive.episodes)
        self._tensorboard.scalar(f"reference/{drive.policy}", completion, step)
        throttle = f" (throttle {drive.throttle:g})" if drive.throttle is not None else ""
        self._console.line(
            f"step {step}: reference {drive.policy}{throttle}, {len(drive.episodes)} episodes, route completion "
            f"{completion:.0%}, {drive.seconds or 0:.0f} s"
        )

    def picture(self, drive: PictureDrive, step: int) -> None:
        """The policy has driven with its picture and without."""
        self._record.append(drive)
        seeing, blind = drive.successes
        self._tensorboard.scalar("picture/success_with", seeing, step)
        self._tensorboard.scalar("picture/success_without", blind, step)
        self._console.line(
            f"step {step}: {drive.suite}, {len(drive.with_picture)} situations: success {seeing:.0f} % seeing, "
            f"{blind:.0f} % blind, {drive.seconds or 0:.0f} s"
        )

    def check_agent(self, tree: Mapping[str, Any], where: str) -> None:
        """Refuse to save, or to continue from, networks and optimizers that hold a NaN or an infinity: NonFinite."""
        broken = list(non_finite_entries(tree))
        if broken:
            raise self._non_finite(where, broken)

    def checkpoint_failed(self, step: int, error: UserError) -> None:
        """A checkpoint in the background could not be written; the run goes on."""
        self._record.append(CheckpointFailed(at_step=step, code=error.code, error=str(error)))
        self._console.line(f"step {step}: {error}")

    # ---- checkpoint -----------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: no wall-clock time, so that an interrupted run's equals another's."""
        return {
            "interval": self._interval.state(),
            "interval_first_step": self._interval_first_step,
            "growth": self._growth.state(),
            "alerts": self.alerts.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore from `state()`."""
        self._interval.load_state(state["interval"])
        self._interval_first_step = int(state["interval_first_step"])
        self._growth.load_state(state["growth"])
        self.alerts.load_state(state["alerts"])

    # ---- writing --------------------------------------------------------------------------------------------------
    def _write_interval(self, step: int) -> None:
        now = self._clock()
        seconds = max(now - self._interval_started, 1e-9)
        summary = self._interval.flush()
        summary |= _reward_shares(summary) | _worst_saturation(summary)
        if self._agent is not None and self._replay is not None:
            summary |= {f"parameters/{name}": norm for name, norm in self._agent.parameter_norms().items()}
            summary |= replay_contents(self._replay)
        summary["steps_per_second"] = self._steps_in_interval_here / seconds
        steps = {"first_step": self._interval_first_step, "last_step": step}
        alerts = {"alerts": on} if (on := self.alerts.active()) else {}
        self._record.append(Interval.model_validate({**steps, **summary, **alerts}))
        for name, value in summary.items():
            self._tensorboard.scalar(name if "/" in name else f"train/{name}", value, step)
        for change in self.alerts.observe_interval(summary):
            self._report_alert(change, step)
        for name, level in self.alerts.levels().items():
            self._tensorboard.scalar(f"alerts/{name}", level, step)
        self._note_failed_notifications()
        self._console.line(self._interval_line(step, summary))
        self._interval_first_step = step + 1
        self._interval_started, self._steps_in_interval_here = now, 0

    def _interval_line(self, step: int, summary: Mapping[str, float]) -> str:
        total = self._config.training.total_steps
        phase = "learning" if summary.get("updates") else "exploring"
        text = (
            f"step {step}/{total}: {phase}, {summary['steps_per_second']:.1f} steps/s, reward {summary['reward']:.3f}"
        )
        if "critic_loss" in summary:
            text += f", critic loss {summary['critic_loss']:.3g}, |Q| <= {summary['q_abs_max']:.3g}"
        return text

    def _write_gradients(self, stats: UpdateStats, updates: int, step: int) -> None:
        norms, clipped, trends = stats.grad_norms_before, stats.grad_norms_after, self._growth.trends
        limited = {group: trend for group, trend in trends.items() if group in self._growth.limits}
        self._record.append(
            GradientReading(
                update=updates,
                before_clipping=norms,
                after_clipping=clipped,
                growth={group: trend.factor for group, trend in trends.items()},
                updates_to_limit={group: trend.updates_to_limit for group, trend in limited.items()},
            )
        )
        for group, norm in norms.items():
            self._tensorboard.scalar(f"gradients/{group}", norm, step)
        for group, norm in clipped.items():
            self._tensorboard.scalar(f"gradients_clipped/{group}", norm, step)
        for group, trend in trends.items():
            self._tensorboard.scalar(f"gradient_growth/{group}", trend.factor, step)
        listed = ", ".join(f"{group} {norm:.3g}" for group, norm in norms.items())
        self._console.line(f"step {step}: gradient norms at update {updates}: {listed}")

    def _note_features(self, check: FeatureCheck, step: int) -> None:
        self._record.append(FeatureReading(**vars(check)))
        for network, spread in check.feature_spread.items():
            self._tensorboard.scalar(f"features/{network}_spread", spread, step)
        self._tensorboard.scalar("features/picture_spread", check.picture_spread, step)
        self._tensorboard.scalar("features/vector_spread", check.vector_spread, step)
        for network, drift in check.feature_drift.items():
            self._tensorboard.scalar(f"features/{network}_drift", drift, step)

    def _note_mechanisms(self, check: MechanismCheck, step: int) -> None:
        faults = check.faults()
        self._record.append(MechanismSample(**vars(check), faults=faults))
        self._tensorboard.scalar("mechanisms/target_max_error", check.target_max_error, step)
        self._interval.count("mechanism_checks")
        self._interval.count("mechanism_faults", len(faults))
        if faults:
            self._report_alert(self.alerts.observe("mechanisms", len(faults)), step, {"faults": faults})

    def _non_finite(self, where: str, names: list[str]) -> NonFinite:
        """The error that ends the run, after its alert."""
        step = self._record.step
        self._report_alert(self.alerts.observe("non_finite", len(names)), step, {"where": where, "names": names})
        return NonFinite(where, names, step)

    def _report_alert(self, change: AlertChange | None, step: int, details: Mapping[str, Any] | None = None) -> None:
        """Write an alert that is raised or over to the record, TensorBoard and the log, and tell who wants to know."""
        if change is None:
            return
        event = AlertChanged.model_validate({**change.as_fields(), **(details or {})})
        self._record.append(event)
        self._tensorboard.scalar(f"alerts/{change.limit.name}", float(change.active), step)
        self._tensorboard.text("alerts", str(change), step)
        self._console.line(f"step {step}: {change}")
        self._notifier.report(event, str(change), step)

    def _note_failed_notifications(self) -> None:
        for failure in self._notifier.failures():
            self._record.append(NotificationFailed(reason=failure))
            self._console.line(f"step {self._record.step}: an alert could not be told: {failure}")


def _range_name(entry: Entry) -> str:
    """What the extremes of an entry are called in an interval: the first two entries have short names."""
    return entry.name if entry in (IMAGE, VECTOR) else f"observation/{entry.name}"


def _worst_saturation(summary: Mapping[str, float]) -> dict[str, float]:
    """The larger share of the action's components: one that is saturated is not made up for by the other."""
    shares = [summary[name] for part in ACTION_COMPONENTS if (name := f"policy_saturation_{part}") in summary]
    return {"policy_saturation_worst": max(shares)} if shares else {}


def _reward_shares(summary: Mapping[str, float]) -> dict[str, float]:
    """The share of each component in the magnitude of all."""
    magnitudes = {name: summary.get(f"reward_magnitude/{name}", 0.0) for name in COMPONENTS}
    total = sum(magnitudes.values())
    return {f"reward_share/{name}": magnitude / total for name, magnitude in magnitudes.items()} if total else {}
