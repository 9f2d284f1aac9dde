"""TD3's three mechanisms, from updates that the run sampled and computed a second time (`mechanisms` events)."""

from td3_hpc.config.gates import Gate
from td3_hpc.formatting import plural
from td3_hpc.gates.findings import Finding, certain, not_judged, worst, zero_failures
from td3_hpc.gates.history import Evidence, RunHistory, evidence
from td3_hpc.gates.registry import gate
from td3_hpc.record import MechanismSample

REMEDY = "the update rule is not TD3's: td3_hpc/td3/agent.py has been changed, or the device computes wrongly"
SLACK = 1e-6


def _samples(history: RunHistory, fields: str) -> tuple[list[MechanismSample], Evidence]:
    samples = history.of(MechanismSample)
    return samples, evidence(MechanismSample, fields, samples)


def _absent(history: RunHistory, target: str, found: Evidence) -> Finding:
    every = history.config.monitors.mechanisms_every_updates
    updates = history.total(lambda interval: interval.updates)
    return not_judged(target, f"{plural(updates, 'update')}, none of them sampled (one in {every:,} is)", found)


@gate("Clipped double Q", "mechanism")
def clipped_double_q(history: RunHistory, settings: Gate) -> Finding:
    """Targets are r + γ (1 - terminated) min(Q1', Q2'), to within rounding."""
    events, found = _samples(history, "target_max_error, target_tolerance")
    target = "targets = r + γ min(Q1', Q2')"
    if not events:
        return _absent(history, target, found)
    wrong = [event for event in events if not event.target_max_error <= event.target_tolerance]
    largest = worst(wrong or events, lambda event: event.target_max_error)
    assert largest is not None, "every sample has its error"
    value, event = largest
    achieved = f"within {value:.2g} of the largest |Q'|, in {plural(len(events), 'update')}"
    if not wrong:
        return Finding(True, target, achieved, zero_failures(len(events), "sampled updates", history), (found,))
    achieved = f"{len(wrong):,} of {plural(len(events), 'update')} differ, by up to {value:.2g} of the largest |Q'|"
    cause = f"at update {event.update:,} the targets are not r + γ min(Q1', Q2')"
    return Finding(False, target, achieved, certain(achieved), (found,), cause, REMEDY)


@gate("Delayed policy updates", "mechanism")
def delayed_policy(history: RunHistory, settings: Gate) -> Finding:
    """Whether the actor's and the targets' weights moved at each sampled update, against whether they should."""
    events, found = _samples(history, "actor_updated, targets_moved, expected_actor_update, actor_updates")
    target = f"actor and targets move at every {_ordinal(history.config.agent.policy_freq)} update only"
    if not events:
        return _absent(history, target, found)
    wrong = [
        event
        for event in events
        if {event.actor_updated, event.targets_moved} != {event.expected_actor_update}
        or event.actor_updates != event.expected_actor_updates
    ]
    moved = sum(bool(event.actor_updated) for event in events)
    achieved = f"moved at {moved:,} of {plural(len(events), 'sampled update')}"
    if not wrong:
        return Finding(
            True, target, f"{achieved}, each as due", zero_failures(len(events), "sampled updates", history), (found,)
        )
    done, due = wrong[0].actor_updates, wrong[0].expected_actor_updates
    cause = f"at update {wrong[0].update:,} the actor had moved {done:,} times, where {due:,} were due"
    return Finding(False, target, f"{achieved}, {len(wrong):,} not as due", certain(cause), (found,), cause, REMEDY)


@gate("Target policy smoothing", "mechanism")
def target_smoothing(history: RunHistory, settings: Gate) -> Finding:
    """The noise on the target policy's actions: what its generator gives, and within its bound."""
    events, found = _samples(history, "smoothing_max, smoothing_expected_max, noise_clip")
    target = f"noise of {history.config.agent.policy_noise:g}, within {history.config.agent.noise_clip:g}"
    largest = worst(events, lambda event: event.smoothing_max)
    if largest is None:
        return _absent(history, target, found)
    achieved = f"largest {largest[0]:.3g} in {plural(len(events), 'update')}"
    wrong = [
        event
        for event in events
        if not event.smoothing_max <= event.noise_clip + SLACK
        or not abs(event.smoothing_max - event.smoothing_expected_max) <= SLACK
    ]
    if not wrong:
        return Finding(True, target, achieved, zero_failures(len(events), "sampled updates", history), (found,))
    first = wrong[0]
    cause = (
        f"at update {first.update:,} the noise reached {first.smoothing_max:.3g}, where its generator gives "
        f"{first.smoothing_expected_max:.3g}"
    )
    return Finding(False, target, achieved, certain(cause), (found,), cause, REMEDY)


def _ordinal(count: int) -> str:
    return {1: "single", 2: "second", 3: "third"}.get(count, f"{count}th")
