"""Whether the policy can learn at all: its actions do something and have a gradient, and the picture reaches its
heads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean

from td3_hpc.config.gates import LimitGate
from td3_hpc.gates import remedies
from td3_hpc.gates.findings import Finding, agreement, not_judged
from td3_hpc.gates.history import EventType, RunHistory, evidence
from td3_hpc.gates.registry import gate
from td3_hpc.record import EffectReading, FeatureReading, Interval
from td3_hpc.training.monitors.action_effects import FEWEST

MOST_DRIFT = 1.0
"""Multiples of their own spread by which features may change in 100 updates."""


@gate("Action saturation", "metric")
def action_saturation(history: RunHistory, settings: LimitGate) -> Finding:
    """Share of actions with a component at the end of its range: tanh's gradient vanishes there, and the policy stops
    learning. The mean over components would hide one that is always there, a throttle that is always full."""
    learning = [interval for interval in history.intervals if interval.policy_saturation_worst is not None]
    last = _last_quarter(learning)
    found = evidence(Interval, "policy_saturation_steering, policy_saturation_pedal", last)
    target = f"≤ {settings.limit:.0%} of the policy's actions, steering and pedal each"
    if not last:
        before = any(interval.policy_saturation is not None for interval in history.intervals)
        why = "an earlier version's record, of both components together" if before else "no update of the policy yet"
        return not_judged(target, why, found)
    shares = {
        "steering": mean(interval.policy_saturation_steering or 0.0 for interval in last),
        "pedal": mean(interval.policy_saturation_pedal or 0.0 for interval in last),
    }
    component, share = max(shares.items(), key=lambda pair: pair[1])
    met = share <= settings.limit
    same = sum(((interval.policy_saturation_worst or 0.0) <= settings.limit) == met for interval in last)
    confidence = agreement(same, len(last), "of the last intervals")
    achieved = ", ".join(f"{name} {value:.0%}" for name, value in shares.items())
    finding = Finding(met, target, achieved, confidence, (found,), value=share, unit="share")
    if met:
        return finding
    cause = f"the {component} is at the end of its range in {share:.0%} of the policy's actions: its gradient vanishes"
    return replace(finding, cause=cause, change=remedies.unsaturated(history.config))


EFFECTS = {
    "speed": "the pedal and the change of speed",
    "heading": "steering and the change of heading error",
    "waypoints": "steering and the way of the waypoints",
}


@gate("Actions take effect", "metric")
def actions_take_effect(history: RunHistory, settings: LimitGate) -> Finding:
    """Transitions whose action is not the one that led from their observation to the next one teach nothing. Judged
    while random actions are most of the buffer: later, a policy's own habits go with anything."""
    training = history.config.training
    half_random = training.learning_starts * training.updates_per_step  # updates until the policy has as many decisions
    early = [reading for reading in history.of(EffectReading) if reading.update <= half_random]
    first = [reading for reading in early if reading.update <= half_random / 2] or early[:1]
    found = evidence(EffectReading, ", ".join(EFFECTS), first)
    target = f"rank correlations ≥ {settings.limit:g} with the changes that an action makes"
    if not first:
        why = f"no batch that was read while random actions were most had {FEWEST} transitions of a moving car"
        return not_judged(target, why, found)
    means = {name: mean(getattr(reading, name) for reading in first) for name in EFFECTS}
    worst = min(means.values())
    met = worst >= settings.limit
    same = sum((min(getattr(reading, name) for name in EFFECTS) >= settings.limit) == met for reading in first)
    achieved = ", ".join(f"{name} {value:.2f}" for name, value in means.items())
    confidence = agreement(same, len(first), "of the first readings")
    finding = Finding(met, target, achieved, confidence, (found,), value=worst, unit="correlation")
    if met:
        return finding
    faults = [f"{what} {means[name]:.2f}" for name, what in EFFECTS.items() if means[name] < settings.limit]
    cause = f"what a stored action should change does not go with it (rank correlation of {'; '.join(faults)})"
    remedy = (
        "actions are exchanged, of the wrong sign or late, or the vector is old or another route's: see that an "
        "observation is taken in the tick after its action, and in which order the action's components are stored"
    )
    return replace(finding, cause=cause, remedy=remedy)


@gate("Pixels reach the heads", "metric")
def pixels_reach_heads(history: RunHistory, settings: LimitGate) -> Finding:
    """Features that hardly differ between pictures cannot be read beside the vector; nor can those that change faster
    than the heads learn."""
    last = _last_quarter(history.of(FeatureReading))
    found = evidence(FeatureReading, "feature_spread, vector_spread, feature_drift", last)
    target = f"spread ≥ {settings.limit:g} of the vector's, drift ≤ {MOST_DRIFT:g} per 100 updates"
    if not last:
        return not_judged(target, "no reading of the features is in the record", found)
    means = _mean_features(last)
    faults = _faults(means, settings.limit)
    same = sum((not _faults(_mean_features([reading]), settings.limit)) == (not faults) for reading in last)
    finding = Finding(
        not faults,
        target,
        "; ".join(map(str, means)),
        agreement(same, len(last), "of the last readings"),
        (found,),
        value=min(features.spread for features in means),
        unit="times the vector's spread",
    )
    if not faults:
        return finding
    cause = f"{'; '.join(faults)}: the heads cannot learn from it"
    change = {**remedies.camera(history.config), **remedies.steady(history.config)}
    return replace(finding, cause=cause, change=change)


@dataclass(frozen=True)
class _Features:
    """A network's features, mean of some readings."""

    network: str
    spread: float
    """Over the pictures, as a multiple of the vector's."""
    drift: float
    """In 100 updates, as a multiple of the features' own spread; 0 where no reading has it."""

    def __str__(self) -> str:
        return f"{self.network}: spread {self.spread:.2g}, drift {self.drift:.2g}"


def _mean_features(readings: Sequence[FeatureReading]) -> list[_Features]:
    return [
        _Features(
            network,
            mean(reading.feature_spread[network] / max(reading.vector_spread, 1e-12) for reading in readings),
            mean([reading.feature_drift[network] for reading in readings if network in reading.feature_drift] or [0.0]),
        )
        for network in readings[0].feature_spread
    ]


def _faults(means: Sequence[_Features], limit: float) -> list[str]:
    """What keeps the picture from the heads, in words."""
    flat = [
        f"over the pictures the {features.network}'s features vary {features.spread:.2g} times as much as the vector"
        for features in means
        if not features.spread >= limit
    ]
    return flat + [
        f"the {features.network}'s features drift by {features.drift:.2g} times their spread in 100 updates"
        for features in means
        if not features.drift <= MOST_DRIFT
    ]


def _last_quarter(events: Sequence[EventType]) -> Sequence[EventType]:
    """The newest quarter of the events, at least one where there is any."""
    return events[-max(1, len(events) // 4) :]
