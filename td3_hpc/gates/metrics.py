"""The metrics: counts that must agree, and numbers that have a limit."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from td3_hpc.config.gates import Gate, LimitGate
from td3_hpc.config.monitors import ACTOR_CNN_GRADIENT_LIMIT
from td3_hpc.driving.reward import COMPONENTS
from td3_hpc.formatting import number, plural
from td3_hpc.gates import remedies
from td3_hpc.gates.findings import (
    Confidence,
    Finding,
    agreement,
    certain,
    coverage,
    not_judged,
    worst,
    zero_failures,
)
from td3_hpc.gates.history import Evidence, RunHistory, evidence
from td3_hpc.gates.registry import gate
from td3_hpc.record import (
    CheckpointFailed,
    CheckpointSaved,
    EvaluationCycle,
    GradientReading,
    Interval,
    RunFailed,
)
from td3_hpc.training.monitors.growth import fit
from td3_hpc.training.monitors.limits import value_bounds, value_reach

ACTOR_CNN = "actor_cnn"
FEWEST_READINGS, MOST_READINGS = 5, 20
"""Gradient readings that a trend is fitted to."""
SIGNIFICANT = 2.3
"""Standard deviations of the Mann-Kendall statistic: chance makes such a trend once in 100 runs."""
FloatArray: TypeAlias = npt.NDArray[np.float64]


# ---- counts
@gate("Total steps", "metric")
def total_steps(history: RunHistory, settings: Gate) -> Finding:
    """Every step once: no gap, no repetition."""
    covered, repeated = history.steps_covered()
    due = history.config.training.total_steps
    achieved = number(covered) + (f", {repeated:,} of them twice" if repeated else "")
    cause = f"the record covers {covered:,} of {due:,} steps" + (f"; {repeated:,} stand twice" if repeated else "")
    found = evidence(Interval, "first_step, last_step", history.intervals)
    met = covered == due and not repeated
    return _count(history, met, number(due), (covered, achieved, "steps"), cause, found)


@gate("TD3 updates", "metric")
def critic_updates(history: RunHistory, settings: Gate) -> Finding:
    """`updates_per_step` per step after `learning_starts`."""
    training = history.config.training
    done = history.total(lambda interval: interval.updates)
    return _total(history, done, training.updates_due(training.total_steps), "updates")


@gate("Actor updates", "metric")
def actor_updates(history: RunHistory, settings: Gate) -> Finding:
    """Critic updates / `policy_freq`."""
    training = history.config.training
    due = training.updates_due(training.total_steps) // history.config.agent.policy_freq
    return _total(history, history.total(lambda interval: interval.actor_updates), due, "actor updates")


@gate("Evaluation cycles", "metric")
def evaluations(history: RunHistory, settings: Gate) -> Finding:
    """Cycles with all their episodes."""
    config = history.config
    due, cycles = set(history.evaluations_due()), history.of(EvaluationCycle)
    complete = [cycle for cycle in cycles if len(cycle.episodes) >= config.episodes_of_cycle(cycle.step)]
    whole = history.evaluations_done(complete)
    cause = f"{len(whole):,} of {len(due):,} cycles have all their {plural(config.evaluation.episodes, 'episode')}"
    found = evidence(EvaluationCycle, "episodes", cycles)
    achieved = (len(whole), number(len(whole)), "cycles")
    return _count(history, whole == due, number(len(due)), achieved, cause, found)


def _total(history: RunHistory, done: int, due: int, what: str) -> Finding:
    cause = f"{done:,} {what} in the record where {due:,} were due"
    found = evidence(Interval, what.replace(" ", "_"), history.intervals)
    return _count(history, done == due, number(due), (done, number(done), what), cause, found)


def _count(
    history: RunHistory, met: bool, target: str, achieved: tuple[int, str, str], cause: str, found: Evidence
) -> Finding:
    """`achieved`: the count, its text and its unit."""
    value, text, unit = achieved
    finding = Finding(met, target, text, coverage(history), (found,), value=value, unit=unit)
    return finding if met else replace(finding, cause=cause, pending=True)


# ---- limits
@gate("NaN or infinity", "metric")
def finite(history: RunHistory, settings: Gate) -> Finding:
    """Looked for in every observation, reward, loss and gradient norm; a run ends at the first in an update. A later
    attempt goes on from a checkpoint before it, so that one which did not meet it again is none of the run's."""
    bad = history.total(lambda interval: interval.non_finite)
    met = [failure for failure in history.of(RunFailed) if failure.code == "non_finite"]
    ends = [failure for failure in met if failure is history.last_word]
    counted = [interval for interval in history.intervals if interval.non_finite is not None]
    found: tuple[Evidence, ...] = (evidence(Interval, "non_finite", counted),)
    if not bad and not ends:
        covered, _ = history.steps_covered()
        achieved = "0" + (f"; {plural(len(met), 'earlier attempt')} ended by it" if met else "")
        return Finding(True, "0", achieved, zero_failures(covered, "steps", history), found, value=0, unit="steps")
    cause = f"{bad:,} steps or updates held NaN or infinity"
    if ends:
        found += (evidence(RunFailed, "reason", ends),)
        cause = ends[-1].cause
    change: dict[str, Any] = {}
    for group in ("critic", "critic_cnn", "actor", ACTOR_CNN):
        change |= remedies.stabilise(history.config, group)
    achieved = number(bad) if bad else f"the run ended by it at step {ends[-1].step:,}"
    return Finding(False, "0", achieved, certain(cause), found, cause, change=change, value=bad, unit="steps")


@gate("Actor CNN gradient norm", "metric")
def actor_cnn_gradient(history: RunHistory, settings: LimitGate) -> Finding:
    """The largest of all updates, before clipping: clipping hides an explosion, it does not end it."""
    intervals = [interval for interval in history.intervals if ACTOR_CNN in interval.gradient_maxima]
    found = evidence(Interval, f"gradient/{ACTOR_CNN}_max", intervals)
    highest = worst(intervals, lambda interval: interval.gradient_maxima[ACTOR_CNN])
    target = f"≤ {number(settings.limit)}"
    if highest is None:
        return not_judged(target, "no actor update is in the record", found)
    value, event = highest
    updates = history.total(lambda interval: interval.actor_updates)
    confidence = zero_failures(updates, "actor updates above it", history)
    finding = Finding(True, target, number(value), confidence, (found,), value=value, unit="L2 norm")
    if value <= settings.limit:
        return finding
    over = [other for other in intervals if not other.gradient_maxima[ACTOR_CNN] <= settings.limit]
    where = f"steps {event.first_step:,}–{event.last_step:,}"
    return replace(
        finding,
        met=False,
        confidence=certain(f"above the limit in {len(over):,} of {len(intervals):,} intervals"),
        cause=f"the actor CNN's gradient reached {number(value)} in {where}, {number(value / settings.limit)} "
        f"times the limit: the policy's loss is -Q, so that large Q values drive it ({_loudest(history)})",
        change=remedies.stabilise(history.config, ACTOR_CNN),
    )


@gate("Actor CNN gradient growth", "metric")
def actor_cnn_growth(history: RunHistory, settings: LimitGate) -> Finding:
    """The trend of the newest readings: how fast, whether beyond chance, and whether towards the norm's limit.

    The monitor calls growth within a few dozen updates, while it may still be an untrained network's first movement;
    the gate asks whether it lasts.
    """
    target = f"≤ {number(settings.limit)}× per 100 updates"
    readings = [reading for reading in history.of(GradientReading) if reading.before_clipping.get(ACTOR_CNN, 0) > 0]
    readings = readings[-MOST_READINGS:]
    found = evidence(GradientReading, f"update, before_clipping.{ACTOR_CNN}", readings)
    if len(readings) < FEWEST_READINGS:
        return not_judged(target, f"{plural(len(readings), 'reading')}; a trend takes {FEWEST_READINGS}", found)
    updates = np.array([reading.update for reading in readings], np.float64)
    norms = np.log([reading.before_clipping[ACTOR_CNN] for reading in readings])
    limit = history.config.monitors.gradient_limits.actor_cnn or ACTOR_CNN_GRADIENT_LIMIT  # it is judged in any case
    trend = fit(updates, norms, limit)
    horizon = history.config.training.updates_due(history.config.training.total_steps)
    ahead = trend.updates_to_limit
    grows = trend.factor > settings.limit and trend.significance >= SIGNIFICANT
    achieved = f"{trend.factor:.3g}× over {len(readings)} readings"
    quiet = _pairs(updates, norms, settings.limit, below=True)
    finding = Finding(True, target, achieved, quiet, (found,), value=trend.factor, unit="factor per 100 updates")
    if not grows or ahead is None or ahead > horizon:
        return finding
    when = f"reaches the limit in about {ahead:,.0f} updates" if ahead else "is beyond the limit"
    return replace(
        finding,
        met=False,
        achieved=f"{achieved}, {when}",
        confidence=_pairs(updates, norms, settings.limit, below=False),
        cause=f"the actor CNN's gradient norm grows {trend.factor:.3g} times per 100 updates: exponential growth, "
        f"which {when} ({_loudest(history)})",
        change=remedies.stabilise(history.config, ACTOR_CNN),
    )


def _pairs(updates: FloatArray, norms: FloatArray, limit: float, below: bool) -> Confidence:
    """The share of all pairs of readings between which the norm grows as the judgement says."""
    first, second = np.triu_indices(len(updates), 1)
    slow = (norms[second] - norms[first]) / (updates[second] - updates[first]) <= math.log(limit) / 100
    return agreement(int(np.count_nonzero(slow == below)), len(first), "pairs of readings")


def _loudest(history: RunHistory) -> str:
    q = worst(history.intervals, lambda interval: interval.q_abs_max)
    scale = history.config.environment.reward.scale
    rate = history.config.agent.learning_rates.actor_cnn
    return f"largest |Q| {number(q[0]) if q else 'unknown'}, reward scale {scale:g}, learning rate {rate:g}"


@gate("Q magnitude", "metric")
def q_magnitude(history: RunHistory, settings: LimitGate) -> Finding:
    """No policy earns more than r_max / (1 - γ), or less than r_min / (1 - γ); the limit leaves room for an untrained
    critic's overestimation."""
    config = history.config
    low, high = (settings.limit * bound for bound in value_bounds(config))
    intervals = [interval for interval in history.intervals if interval.q_abs_max is not None]
    found = evidence(Interval, "q_min, q_max", intervals)
    farthest = worst(intervals, lambda interval: _reach(history, interval))
    target = f"{number(low)} to {number(high)} ({settings.limit:g} times what the reward allows)"
    if farthest is None:
        return not_judged(target, "no update is in the record", found)
    value, event = farthest
    updates = history.total(lambda interval: interval.updates)
    confidence = zero_failures(updates, "updates outside", history)
    unit = "times what the reward allows"
    finding = Finding(True, target, _range_of_q(intervals), confidence, (found,), value=value, unit=unit)
    if value <= settings.limit:
        return finding
    reached = _range_of_q([event])
    return replace(
        finding,
        met=False,
        confidence=certain(f"Q = {reached} by step {event.last_step:,}"),
        cause=f"Q reached {reached}, {number(value)} times what the reward allows: the critic diverges, it does "
        "not estimate",
        change=remedies.stabilise(config, "critic") | remedies.stabilise(config, "critic_cnn"),
    )


def _reach(history: RunHistory, interval: Interval) -> float:
    """How far an interval's Q reaches into what the reward allows; of records without its sign, at least."""
    if interval.q_min is None or interval.q_max is None:
        low, high = value_bounds(history.config)
        return (interval.q_abs_max or 0.0) / max(high, -low)
    return value_reach(history.config, interval.q_min, interval.q_max)


def _range_of_q(intervals: Sequence[Interval]) -> str:
    """The smallest and the largest Q of intervals; of records without its sign, the largest of either."""
    lows = [interval.q_min for interval in intervals if interval.q_min is not None]
    highs = [interval.q_max for interval in intervals if interval.q_max is not None]
    if not lows or not highs:
        return f"±{number(max(interval.q_abs_max or 0.0 for interval in intervals))}"
    return f"{number(min(lows))} to {number(max(highs))}"


@gate("Checkpoints saved", "metric")
def checkpoints_saved(history: RunHistory, settings: Gate) -> Finding:
    """Checkpoints written, and those that could not be."""
    written, failed = history.of(CheckpointSaved), history.of(CheckpointFailed)
    found = (evidence(CheckpointSaved, "name, bytes", written), evidence(CheckpointFailed, "error", failed))
    target = "every one that was due"
    achieved = f"{len(written):,} written, {len(failed):,} failed"
    confidence = zero_failures(len(written), "checkpoints that failed", history)
    finding = Finding(True, target, achieved, confidence, found, value=len(failed), unit="failed checkpoints")
    if written and not failed:
        return finding
    cause = f"{len(failed):,} could not be written: {failed[-1].error}" if failed else "none was written"
    full = bool(failed) and failed[-1].code == "disk_full"
    remedy = "free disk space, or set a budget" if full else "see `td3-hpc checkpoint verify`"
    change = {"checkpoint.compression": "blosc-lz4"} if full else {}
    return replace(finding, met=False, confidence=certain(achieved), cause=cause, remedy=remedy, change=change)


@gate("Progress dominance", "metric")
def progress_dominance(history: RunHistory, settings: LimitGate) -> Finding:
    """The share of the progress reward in the magnitude of all five; large early on, and watched."""
    intervals = [interval for interval in history.intervals if "progress" in interval.reward_magnitudes]
    found = evidence(Interval, "reward_magnitude/*", intervals)
    target = f"≤ {settings.limit:.0%} of the reward's magnitude"
    shares = [_share([interval], "progress") for interval in intervals]
    if not shares:
        return not_judged(target, "no interval is complete", found)
    share = _share(intervals, "progress")
    met = share <= settings.limit
    same = sum((other <= settings.limit) == met for other in shares)
    confidence = agreement(same, len(shares), "intervals")
    finding = Finding(met, target, f"{share:.0%}", confidence, (found,), value=share, unit="share")
    if met:
        return finding
    cause = f"progress makes up {share:.0%} of the reward's magnitude: the policy may learn to rush, and nothing else"
    return replace(finding, cause=cause, remedy="expected early; look again after 100,000 steps")


def _share(intervals: Sequence[Interval], component: str) -> float:
    """A component's part of the magnitude of all, over every step of these intervals."""
    total = part = 0.0
    for interval in intervals:
        total += interval.steps * sum(interval.reward_magnitudes.get(name, 0.0) for name in COMPONENTS)
        part += interval.steps * interval.reward_magnitudes[component]
    return part / total if total else 0.0


@gate("Speed of training", "metric")
def steps_per_second(history: RunHistory, settings: LimitGate) -> Finding:
    """Median over the intervals in which the policy learnt."""
    speeds = history.learning_speeds
    found = evidence(Interval, "steps_per_second", history.learning)
    target = f"≥ {settings.limit:g} steps/s"
    if not speeds:
        return not_judged(target, "no interval with updates is complete", found)
    middle = median(speeds)
    met = middle >= settings.limit
    same = sum((speed >= settings.limit) == met for speed in speeds)
    confidence = agreement(same, len(speeds), "intervals")
    finding = Finding(met, target, f"{middle:.3g} steps/s", confidence, (found,), value=middle, unit="steps/s")
    if met:
        return finding
    steps = history.config.training.total_steps
    cause = f"{middle:.3g} steps/s: {steps:,} steps would take {steps / max(middle, 1e-9) / 3600:.1f} hours"
    change = remedies.faster(history.config, history.computes_bfloat16)
    return replace(finding, cause=cause, remedy="a GPU, or more threads", change=change)
