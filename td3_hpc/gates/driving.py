"""How the policy drives, in the last evaluation cycle."""

from dataclasses import replace

from td3_hpc.config.gates import LimitGate
from td3_hpc.gates.findings import Confidence, Finding, not_judged
from td3_hpc.gates.history import RunHistory, evidence
from td3_hpc.gates.registry import gate
from td3_hpc.record import EvaluationCycle
from td3_hpc.training.evaluation.measures import Estimate, estimates

#: With fewer episodes a bootstrap interval says nothing.
FEWEST_EPISODES = 3
#: Before this step an untrained policy is no surprise.
YOUNG = 100_000


@gate("Route completion", "driving")
def route_completion(history: RunHistory, settings: LimitGate) -> Finding:
    """Mean over the last cycle's episodes, in percent of the route."""
    return _driving(history, settings, "route completion", "%", at_least=True)


@gate("Collisions per km", "driving")
def collisions_per_km(history: RunHistory, settings: LimitGate) -> Finding:
    """Over all of the last cycle's kilometres."""
    return _driving(history, settings, "collisions", "per km", at_least=False)


def _driving(history: RunHistory, settings: LimitGate, measure: str, unit: str, at_least: bool) -> Finding:
    cycles = [cycle for cycle in history.of(EvaluationCycle) if cycle.episodes][-1:]
    found = evidence(EvaluationCycle, "episodes", cycles)
    target = f"{'≥' if at_least else '≤'} {settings.limit:g} {unit}"
    if not cycles:
        return not_judged(target, "no evaluation cycle is complete", found)
    episodes = cycles[0].episodes
    figure = estimates(episodes, history.config.environment.decision_seconds)[measure]
    if figure.value != figure.value:
        return not_judged(target, "no distance was driven", found)
    met = figure.value >= settings.limit if at_least else figure.value <= settings.limit
    achieved = f"{figure.value:.3g} {unit} (95 %: {figure.low:.3g} to {figure.high:.3g})"
    confidence = _confidence(figure, settings.limit, len(episodes))
    finding = Finding(
        met, target, achieved, confidence, (found,), value=figure.value, unit=unit, interval=(figure.low, figure.high)
    )
    if met:
        return finding
    ends = ", ".join(sorted({episode.end_reason.replace("_", " ") for episode in episodes}))
    cause = f"the episodes ended by {ends}, after {sum(episode.distance_m for episode in episodes):,.0f} m in all"
    remedy = "a policy this young is expected to; longer training decides" if history.step < YOUNG else ""
    return replace(finding, cause=cause, remedy=remedy)


def _confidence(figure: Estimate, limit: float, episodes: int) -> Confidence:
    """By the 95 % interval: whether it leaves the limit out."""
    if episodes < FEWEST_EPISODES:
        return Confidence(0.5, f"{episodes} episodes are too few for an interval")
    if figure.low <= limit <= figure.high:
        return Confidence(0.5, f"the limit lies within the 95 % interval of {episodes} episodes")
    return Confidence(0.95, f"the 95 % interval of {episodes} episodes leaves the limit out")
