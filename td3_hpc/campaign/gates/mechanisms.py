"""TD3's three mechanisms, from updates that the run sampled and computed a second time (`mechanisms` events)."""

from td3_hpc.campaign.gates.findings import Finding, none_among, not_judged, number, seen, worst
from td3_hpc.campaign.gates.registry import gate
from td3_hpc.campaign.history import Event, Evidence, RunHistory, evidence
from td3_hpc.config.gates import Gate, LimitGate

REMEDY = "the update rule is not TD3's: td3_hpc/td3/agent.py has been changed, or the device computes wrongly"


def _samples(history: RunHistory, fields: str) -> tuple[list[Event], Evidence]:
    events = history.of("mechanisms")
    return events, evidence("mechanisms", fields, events)


def _absent(target: str, found: Evidence) -> Finding:
    return not_judged(target, "no sampled update is in the record: the run is too short, or of an older version", found)


@gate("Clipped double Q", "mechanism")
def clipped_double_q(history: RunHistory, settings: LimitGate) -> Finding:
    """Targets are r + γ (1 - terminated) min(Q1', Q2')."""
    events, found = _samples(history, "target_max_error")
    target = f"targets = r + γ min(Q1', Q2'), within {settings.limit:g}"
    largest = worst(events, "target_max_error")
    if largest is None:
        return _absent(target, found)
    value, event = largest
    achieved = f"largest difference {value:.2g} in {len(events):,} updates"
    if value <= settings.limit:
        return Finding(True, target, achieved, none_among(len(events), "sampled updates", history), (found,))
    cause = f"at update {event['update']:,} a target differs by {number(value)} from r + γ min(Q1', Q2')"
    return Finding(False, target, achieved, seen(cause), (found,), cause, REMEDY)


@gate("Delayed policy updates", "mechanism")
def delayed_policy(history: RunHistory, settings: Gate) -> Finding:
    """Whether the actor's weights moved at each sampled update, against whether they should."""
    events, found = _samples(history, "actor_updated, expected_actor_update")
    target = f"the actor moves at every {history.config.agent.policy_freq}. update only"
    if not events:
        return _absent(target, found)
    wrong = [event for event in events if event["actor_updated"] != event["expected_actor_update"]]
    moved = sum(bool(event["actor_updated"]) for event in events)
    achieved = f"moved at {moved:,} of {len(events):,} sampled updates, {len(wrong):,} of them wrongly"
    if not wrong:
        achieved = f"moved at {moved:,} of {len(events):,} sampled updates, each as due"
        return Finding(True, target, achieved, none_among(len(events), "sampled updates", history), (found,))
    cause = f"at update {wrong[0]['update']:,} the actor " + (
        "moved where it should not" if wrong[0]["actor_updated"] else "did not move"
    )
    return Finding(False, target, achieved, seen(cause), (found,), cause, REMEDY)


@gate("Target policy smoothing", "mechanism")
def target_smoothing(history: RunHistory, settings: Gate) -> Finding:
    """The noise on the target policy's actions: there, and within its bound."""
    events, found = _samples(history, "smoothing_max")
    clip, noise = history.config.agent.noise_clip, history.config.agent.policy_noise
    target = f"noise of {noise:g}, within {clip:g}"
    largest = worst(events, "smoothing_max")
    if largest is None:
        return _absent(target, found)
    value, event = largest
    achieved = f"largest {value:.3g} in {len(events):,} updates"
    if value <= clip * (1 + 1e-6) and (value > 0) == (noise > 0 and clip > 0):
        return Finding(True, target, achieved, none_among(len(events), "sampled updates", history), (found,))
    cause = f"the noise reached {value:.3g} at update {event['update']:,}" if value else "there was no noise"
    return Finding(False, target, achieved, seen(cause), (found,), cause, REMEDY)
