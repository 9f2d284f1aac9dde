"""The metrics: counts that must agree, and numbers that have a limit."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from td3_hpc.config.gates import Gate, LimitGate
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
from td3_hpc.gates.history import Event, Evidence, RunHistory, evidence
from td3_hpc.gates.registry import gate
from td3_hpc.training.monitors.growth import fit

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
    found = evidence("interval", "first_step, last_step", history.of("interval"))
    return _count(history, covered == due and not repeated, number(due), achieved, cause, found)


@gate("TD3 updates", "metric")
def critic_updates(history: RunHistory, settings: Gate) -> Finding:
    """One per step after `learning_starts`."""
    training = history.config.training
    return _total(history, "updates", training.total_steps - training.learning_starts, "updates")


@gate("Actor updates", "metric")
def actor_updates(history: RunHistory, settings: Gate) -> Finding:
    """Critic updates / `policy_freq`."""
    training = history.config.training
    due = (training.total_steps - training.learning_starts) // history.config.agent.policy_freq
    return _total(history, "actor_updates", due, "actor updates")


@gate("Evaluation cycles", "metric")
def evaluations(history: RunHistory, settings: Gate) -> Finding:
    """Cycles with all their episodes."""
    every, episodes = history.config.evaluation.every_steps, history.config.evaluation.episodes
    due, cycles = set(history.evaluations_due()), history.of("evaluation")
    whole = {event["step"] // every * every for event in cycles if len(event["episodes"]) >= episodes} & due
    cause = f"{len(whole):,} of {len(due):,} cycles have all their {plural(episodes, 'episode')}"
    found = evidence("evaluation", "episodes", cycles)
    return _count(history, whole == due, number(len(due)), number(len(whole)), cause, found)


def _total(history: RunHistory, name: str, due: int, what: str) -> Finding:
    done = history.total(name)
    cause = f"{done:,} {what} in the record where {due:,} were due"
    return _count(
        history,
        done == due,
        number(due),
        number(done),
        cause,
        evidence("interval", name, history.of("interval")),
    )


def _count(history: RunHistory, met: bool, target: str, achieved: str, cause: str, found: Evidence) -> Finding:
    finding = Finding(met, target, achieved, coverage(history), (found,))
    return finding if met else replace(finding, cause=cause, pending=True)


# ---- limits
@gate("NaN or infinity", "metric")
def finite(history: RunHistory, settings: Gate) -> Finding:
    """Looked for in every observation, reward, loss and gradient norm; a run ends at the first in an update."""
    bad = history.total("non_finite")
    ends = [event for event in history.of("failed") if "NaN" in event.get("reason", "")]
    found: tuple[Evidence, ...] = (evidence("interval", "non_finite", history.having("interval", "non_finite")),)
    if not bad and not ends:
        covered, _ = history.steps_covered()
        return Finding(True, "0", "0", zero_failures(covered, "steps", history), found)
    cause = f"{bad:,} steps or updates held NaN or infinity"
    if ends:
        found += (evidence("failed", "reason", ends),)
        cause = ends[-1]["reason"].split(". The run stops")[0]
    change: dict[str, Any] = {}
    for group in ("critic", "critic_cnn", "actor", ACTOR_CNN):
        change |= remedies.stabilise(history.config, group)
    achieved = number(bad) if bad else f"the run ended by it at step {ends[-1]['step']:,}"
    return Finding(False, "0", achieved, certain(cause), found, cause, change=change)


@gate("Actor CNN gradient norm", "metric")
def actor_cnn_gradient(history: RunHistory, settings: LimitGate) -> Finding:
    """The largest of all updates, before clipping: clipping hides an explosion, it does not end it."""
    name = f"gradient/{ACTOR_CNN}_max"
    intervals = history.having("interval", name)
    found = evidence("interval", name, intervals)
    highest = worst(intervals, name)
    target = f"≤ {number(settings.limit)}"
    if highest is None:
        return not_judged(target, "no actor update is in the record", found)
    value, event = highest
    if value <= settings.limit:
        updates = history.total("actor_updates")
        return Finding(True, target, number(value), zero_failures(updates, "actor updates above it", history), (found,))
    over = [other for other in intervals if not other[name] <= settings.limit]
    where = f"steps {event['first_step']:,}–{event['last_step']:,}"
    return Finding(
        False,
        target,
        number(value),
        certain(f"above the limit in {len(over):,} of {len(intervals):,} intervals"),
        (found,),
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
    readings = [event for event in history.of("gradients") if event["before_clipping"].get(ACTOR_CNN, 0) > 0]
    readings = readings[-MOST_READINGS:]
    found = evidence("gradients", f"update, before_clipping.{ACTOR_CNN}", readings)
    if len(readings) < FEWEST_READINGS:
        return not_judged(target, f"{plural(len(readings), 'reading')}; a trend takes {FEWEST_READINGS}", found)
    updates = np.array([event["update"] for event in readings], np.float64)
    norms = np.log([event["before_clipping"][ACTOR_CNN] for event in readings])
    trend = fit(updates, norms, history.config.monitors.gradient_limits.actor_cnn)
    horizon = history.config.training.total_steps - history.config.training.learning_starts
    ahead = trend.updates_to_limit
    grows = trend.factor > settings.limit and trend.significance >= SIGNIFICANT
    achieved = f"{trend.factor:.3g}× over {len(readings)} readings"
    if not grows or ahead is None or ahead > horizon:
        return Finding(True, target, achieved, _pairs(updates, norms, settings.limit, below=True), (found,))
    when = f"reaches the limit in about {ahead:,.0f} updates" if ahead else "is beyond the limit"
    return Finding(
        False,
        target,
        f"{achieved}, {when}",
        _pairs(updates, norms, settings.limit, below=False),
        (found,),
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
    q = worst(history.of("interval"), "q_abs_max")
    scale = history.config.environment.reward.scale
    rate = history.config.agent.learning_rates.actor_cnn
    return f"largest |Q| {number(q[0]) if q else 'unknown'}, reward scale {scale:g}, learning rate {rate:g}"


@gate("Q magnitude", "metric")
def q_magnitude(history: RunHistory, settings: LimitGate) -> Finding:
    """No policy can earn more than r_max / (1 - γ); the limit leaves room for an untrained critic's overestimation."""
    config = history.config
    most = config.environment.reward.bound / (1 - config.agent.discount)
    limit = settings.limit * most
    intervals = history.having("interval", "q_abs_max")
    found = evidence("interval", "q_abs_max", intervals)
    highest = worst(intervals, "q_abs_max")
    target = f"≤ {number(limit)} ({settings.limit:g} · r_max / (1 - γ))"
    if highest is None:
        return not_judged(target, "no update is in the record", found)
    value, event = highest
    if value <= limit:
        return Finding(
            True, target, number(value), zero_failures(history.total("updates"), "updates above it", history), (found,)
        )
    return Finding(
        False,
        target,
        number(value),
        certain(f"|Q| = {number(value)} by step {event['last_step']:,}"),
        (found,),
        cause=f"|Q| reached {number(value)}, {number(value / most)} times what the reward allows: the critic "
        "diverges, it does not estimate",
        change=remedies.stabilise(config, "critic") | remedies.stabilise(config, "critic_cnn"),
    )


@gate("Checkpoints saved", "metric")
def checkpoints_saved(history: RunHistory, settings: Gate) -> Finding:
    """Checkpoints written, and those that could not be."""
    written, failed = history.of("checkpoint"), history.of("checkpoint_failed")
    found = (evidence("checkpoint", "name, bytes", written), evidence("checkpoint_failed", "error", failed))
    target = "every one that was due"
    achieved = f"{len(written):,} written, {len(failed):,} failed"
    if written and not failed:
        return Finding(True, target, achieved, zero_failures(len(written), "checkpoints that failed", history), found)
    cause = f"{len(failed):,} could not be written: {failed[-1].get('error')}" if failed else "none was written"
    full = "No space" in cause or "quota" in cause.lower()
    remedy = "free disk space, or set a budget" if full else "see `td3-hpc checkpoint verify`"
    change = {"checkpoint.compression": "blosc-lz4"} if full else {}
    return Finding(False, target, achieved, certain(achieved), found, cause, remedy, change)


@gate("Progress dominance", "metric")
def progress_dominance(history: RunHistory, settings: LimitGate) -> Finding:
    """The share of the progress reward in the magnitude of all five; large early on, and watched."""
    intervals = history.having("interval", "reward_magnitude/progress")
    found = evidence("interval", "reward_magnitude/*", intervals)
    target = f"≤ {settings.limit:.0%} of the reward's magnitude"
    shares = [_share([event], "progress") for event in intervals]
    if not shares:
        return not_judged(target, "no interval is complete", found)
    share = _share(intervals, "progress")
    met = share <= settings.limit
    same = sum((other <= settings.limit) == met for other in shares)
    finding = Finding(met, target, f"{share:.0%}", agreement(same, len(shares), "intervals"), (found,))
    if met:
        return finding
    weight = history.config.environment.reward.progress
    cause = f"progress makes up {share:.0%} of the reward's magnitude: the policy may learn to rush, and nothing else"
    change = {"environment.reward.progress": float(f"{weight / 2:.3g}")}
    remedy = "expected early; change it only where it is still so after 100,000 steps"
    return Finding(met, target, finding.achieved, finding.confidence, finding.evidence, cause, remedy, change)


def _share(intervals: Sequence[Event], component: str) -> float:
    """A component's part of the magnitude of all, over every step of these intervals."""
    total = part = 0.0
    for event in intervals:
        steps = event["last_step"] - event["first_step"] + 1
        total += steps * sum(event.get(f"reward_magnitude/{name}", 0.0) for name in COMPONENTS)
        part += steps * event[f"reward_magnitude/{component}"]
    return part / total if total else 0.0


@gate("Action saturation", "metric")
def action_saturation(history: RunHistory, settings: LimitGate) -> Finding:
    """Share of actions at the end of their range: tanh's gradient vanishes there, and the policy stops learning."""
    learning = history.having("interval", "policy_saturation")
    last = learning[-max(1, len(learning) // 4) :]
    found = evidence("interval", "policy_saturation", last)
    target = f"≤ {settings.limit:.0%} of the policy's actions"
    if not last:
        return not_judged(target, "the policy has not been updated yet", found)
    values = [event["policy_saturation"] for event in last]
    mean = sum(values) / len(values)
    met = mean <= settings.limit
    same = sum((value <= settings.limit) == met for value in values)
    confidence = agreement(same, len(values), "of the last intervals")
    if met:
        return Finding(met, target, f"{mean:.0%}", confidence, (found,))
    cause = f"{mean:.0%} of the policy's actions are at the end of their range: its gradient vanishes there"
    change = remedies.unsaturated(history.config)
    return Finding(met, target, f"{mean:.0%}", confidence, (found,), cause, change=change)


@gate("Speed of training", "metric")
def steps_per_second(history: RunHistory, settings: LimitGate) -> Finding:
    """Median over the intervals in which the policy learnt."""
    learning = [event for event in history.having("interval", "steps_per_second") if event.get("updates")]
    found = evidence("interval", "steps_per_second", learning)
    target = f"≥ {settings.limit:g} steps/s"
    if not learning:
        return not_judged(target, "no interval with updates is complete", found)
    values = [event["steps_per_second"] for event in learning]
    middle = median(values)
    met = middle >= settings.limit
    same = sum((value >= settings.limit) == met for value in values)
    finding = Finding(met, target, f"{middle:.3g} steps/s", agreement(same, len(values), "intervals"), (found,))
    if met:
        return finding
    steps = history.config.training.total_steps
    cause = f"{middle:.3g} steps/s: {steps:,} steps would take {steps / max(middle, 1e-9) / 3600:.1f} hours"
    change = {} if history.config.agent.precision == "bfloat16" else {"agent.precision": "bfloat16"}
    remedy = "a GPU, or more threads"
    return Finding(met, target, finding.achieved, finding.confidence, (found,), cause, remedy, change)
