"""What is measured, at which rate, and where it goes: the record, TensorBoard and the console."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from td3_hpc.config import StageConfig
from td3_hpc.td3 import UpdateStats
from td3_hpc.training.accumulator import Accumulator
from td3_hpc.training.console import RunConsole
from td3_hpc.training.evaluation import EvaluationResult
from td3_hpc.training.monitors import Alerts, limits
from td3_hpc.training.record import RunRecord
from td3_hpc.training.tensorboard import TensorBoard

IMAGE_SHAPE, VECTOR_SHAPE = (4, 84, 84), (53,)


def non_finite(stats: UpdateStats) -> list[str]:
    """Names of the update's numbers that are NaN or infinite."""
    numbers = {name: value for name, value in vars(stats).items() if isinstance(value, float)}
    numbers |= {f"gradient norm of {group}": norm for group, norm in stats.grad_norms_before.items()}
    return [name for name, value in numbers.items() if not math.isfinite(value)]


class Telemetry:
    """Collects every step and update, and writes their summary at the configured rates."""

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
        self.alerts = Alerts(limits(config))

    # ---- one step -------------------------------------------------------------------------------------------------
    def observation(self, observation: Mapping[str, Any]) -> None:
        """Check an observation's shape, type and range."""
        image, vector = observation["image"], observation["vector"]
        interval = self._interval
        as_announced = (
            image.shape == IMAGE_SHAPE
            and image.dtype == np.uint8
            and vector.shape == VECTOR_SHAPE
            and vector.dtype == np.float32
        )
        interval.count("dimension_errors", int(not as_announced))
        interval.count("non_finite", int(not np.isfinite(vector).all()))
        newest = image[-1]
        interval.low("image", float(newest.min()) / 127.5 - 1.0)
        interval.high("image", float(newest.max()) / 127.5 - 1.0)
        interval.low("vector", float(vector.min()))
        interval.high("vector", float(vector.max()))

    def step(self, step: int, action: np.ndarray, reward: float, components: Mapping[str, float], random: bool) -> None:
        """Take in one completed decision, and write the interval's summary where one ends."""
        self._record.step = step
        interval = self._interval
        interval.count("non_finite", int(not math.isfinite(reward)))
        interval.count("random_actions" if random else "policy_actions")
        interval.mean("reward", reward)
        for name, value in components.items():
            interval.mean(f"reward/{name}", value)
            interval.mean(f"reward_magnitude/{name}", abs(value))
        interval.mean("action_saturation", float((np.abs(action) > 0.99).mean()))
        self._steps_in_interval_here += 1
        if step % self._config.logging.interval_steps == 0 or step == self._config.training.total_steps:
            self._write_interval(step)

    def update(self, stats: UpdateStats, updates: int, step: int) -> None:
        """Take in one TD3 update; every `gradient_interval_updates` the gradient norms are written."""
        interval = self._interval
        interval.count("updates")
        interval.mean("critic_loss", stats.critic_loss)
        interval.mean("q_mean", stats.q_mean)
        interval.mean("twin_disagreement", stats.twin_disagreement)
        interval.mean("td_error", stats.td_error)
        interval.high("q_abs", stats.q_abs_max)
        interval.count("non_finite", int(bool(non_finite(stats))))
        if stats.actor_loss is not None:
            interval.count("actor_updates")
            interval.mean("actor_loss", stats.actor_loss)
        for group, norm in stats.grad_norms_before.items():
            interval.high(f"gradient/{group}", norm)
        if updates % self._config.logging.gradient_interval_updates == 0:
            self._write_gradients(stats, updates, step)

    # ---- rarer events ---------------------------------------------------------------------------------------------
    def episode(self, index: int, first_step: int, step: int, seed: int, summary: Mapping[str, Any]) -> None:
        """An episode has ended; `summary` is the environment's `info["episode"]`."""
        self._record.append("episode", index=index, first_step=first_step, last_step=step, seed=seed, **summary)
        for name, value in summary.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                self._tensorboard.scalar(f"episode/{name}", value, step)

    def evaluation(self, result: EvaluationResult, step: int) -> None:
        """An evaluation cycle is complete."""
        self._record.append("evaluation", **result.as_fields())
        for name, value in result.means().items():
            self._tensorboard.scalar(f"evaluation/{name}", value, step)
        means = result.means()
        self._console.line(
            f"step {step}: evaluation {result.cycle}, {len(result.episodes)} episodes, return {means['return']:.2f}, "
            f"route completion {means['route_completion']:.0%}, {result.seconds:.0f} s"
        )

    # ---- checkpoint -----------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """For a checkpoint; holds no wall-clock time, so that an interrupted run's equals an uninterrupted one's."""
        return {
            "interval": self._interval.state(),
            "interval_first_step": self._interval_first_step,
            "alerts": self.alerts.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """From a checkpoint."""
        self._interval.load_state(state["interval"])
        self._interval_first_step = int(state["interval_first_step"])
        self.alerts.load_state(state["alerts"])

    # ---- writing --------------------------------------------------------------------------------------------------
    def _write_interval(self, step: int) -> None:
        now = self._clock()
        seconds = max(now - self._interval_started, 1e-9)
        summary = self._interval.flush()
        summary["steps_per_second"] = self._steps_in_interval_here / seconds
        self._record.append("interval", first_step=self._interval_first_step, last_step=step, **summary)
        for name, value in summary.items():
            self._tensorboard.scalar(name if "/" in name else f"train/{name}", value, step)
        self._check_limits({**summary, "q_abs_max": summary.get("q_abs_max", 0.0)}, step)
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
        norms, clipped = stats.grad_norms_before, stats.grad_norms_after
        self._record.append("gradients", update=updates, before_clipping=norms, after_clipping=clipped)
        for group, norm in norms.items():
            self._tensorboard.scalar(f"gradients/{group}", norm, step)
        for group, norm in clipped.items():
            self._tensorboard.scalar(f"gradients_clipped/{group}", norm, step)
        self._check_limits({f"gradients/{group}": norm for group, norm in norms.items()}, step)
        listed = ", ".join(f"{group} {norm:.3g}" for group, norm in norms.items())
        self._console.line(f"step {step}: gradient norms at update {updates}: {listed}")

    def _check_limits(self, metrics: Mapping[str, float], step: int) -> None:
        for limit, value, crossed in self.alerts.check(metrics):
            self._record.append(
                "alert", name=limit.name, active=crossed, value=value, limit=limit.highest, meaning=limit.meaning
            )
            self._tensorboard.scalar(f"alerts/{limit.name}", float(crossed), step)
            state = "ALERT" if crossed else "alert over"
            self._tensorboard.text("alerts", f"{state} {limit.name}: {value:g} (limit {limit.highest:g})", step)
            self._console.line(
                f"step {step}: {state} {limit.name}: {value:g}, limit {limit.highest:g}: {limit.meaning}"
            )
