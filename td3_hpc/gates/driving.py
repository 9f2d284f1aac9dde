"""How the policy drives, in the last evaluation cycle, and whether it is worth more than one that learns nothing."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from td3_hpc.config.gates import Gate, LimitGate, PictureGate
from td3_hpc.formatting import plural
from td3_hpc.gates import remedies
from td3_hpc.gates.findings import Confidence, Finding, not_judged
from td3_hpc.gates.history import Evidence, RunHistory, evidence
from td3_hpc.gates.registry import gate
from td3_hpc.record import EpisodeSummary, EvaluationCycle, PictureDrive, ReferenceDrive
from td3_hpc.training.evaluation.measures import Estimate, estimates, paired_difference

#: With fewer episodes a bootstrap interval says nothing.
FEWEST_EPISODES = 3
#: With fewer paired routes the interval of a difference is wider than the difference that matters.
FEWEST_PAIRS = 20
#: With fewer, a fair driver may complete none by chance.
FEWEST_ROUTES = 10
#: Between two cycles, for a policy to have moved by an amount that is seen.
FEWEST_UPDATES = 100
#: A mean return nearer to zero is no unit to measure values in.
SMALLEST_RETURN = 1.0
#: The shipped configuration learns to drive in so many steps (docs/learning.md): before, a policy that does not drive
#: is no surprise.
LEARNT = 5_000


@gate("Route completion", "driving")
def route_completion(history: RunHistory, settings: LimitGate) -> Finding:
    """Mean over the last cycle's episodes, in percent of the route."""
    return _driving(history, settings, "route completion", "%", at_least=True)


@gate("Collisions per km", "driving")
def collisions_per_km(history: RunHistory, settings: LimitGate) -> Finding:
    """Over all of the last cycle's kilometres."""
    return _driving(history, settings, "collisions", "per km", at_least=False)


def _driving(history: RunHistory, settings: LimitGate, measure: str, unit: str, at_least: bool) -> Finding:
    cycles = _last_cycle(history)
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
    remedy = f"the shipped stages learn to drive in {LEARNT:,} steps: train as long" if history.step < LEARNT else ""
    return replace(finding, cause=cause, remedy=remedy, change=remedies.learns(history.config))


def _confidence(figure: Estimate, limit: float, episodes: int) -> Confidence:
    """By the 95 % interval: whether it leaves the limit out."""
    if episodes < FEWEST_EPISODES:
        return Confidence(0.5, f"{episodes} episodes are too few for an interval")
    if figure.low <= limit <= figure.high:
        return Confidence(0.5, f"the limit lies within the 95 % interval of {episodes} episodes")
    return Confidence(0.95, f"the 95 % interval of {episodes} episodes leaves the limit out")


@gate("Completion above a constant driver", "driving")
def above_constant(history: RunHistory, settings: Gate) -> Finding:
    """Paired by episode: policy and best constant driver meet the same routes, weather and traffic."""
    target = "completion above the best constant driver's, at 95 %"
    cycles = _last_cycle(history)
    episodes = cycles[0].episodes if cycles else []
    drives = [
        drive for drive in history.of(ReferenceDrive) if drive.policy == "constant" and drive.step == history.step
    ]
    found = (evidence(EvaluationCycle, "episodes", cycles), evidence(ReferenceDrive, "throttle, episodes", drives))
    if len(episodes) < FEWEST_PAIRS:
        return _too_few(target, len(episodes), FEWEST_PAIRS, *found)
    if not drives:
        return not_judged(target, "the constant driver has not driven yet", *found)
    reference = drives[-1]
    if [episode.route for episode in reference.episodes] != [episode.route for episode in episodes]:
        return not_judged(target, "the constant driver drove other routes than the last cycle", *found)
    own, others = _completions(episodes), _completions(reference.episodes)
    gain = paired_difference(own, others)
    met = gain.low > 0
    achieved = f"{own.mean():.1f} % against {others.mean():.1f} %: {gain.value:+.1f} points"
    achieved += f" (95 %: {gain.low:+.1f} to {gain.high:+.1f})"
    confidence = Confidence(0.95, f"paired bootstrap over {len(episodes)} episodes")
    interval = (gain.low, gain.high)
    finding = Finding(met, target, achieved, confidence, found, value=gain.value, unit="points", interval=interval)
    if met:
        return finding
    cause = (
        f"the policy completes {own.mean():.1f} % of its routes, a driver that never steers at throttle "
        f"{reference.throttle:g} completes {others.mean():.1f} % of the same ones: it has not learnt to drive"
    )
    return replace(finding, cause=cause, change=remedies.learns(history.config))


@gate("Routes completed", "driving")
def routes_completed(history: RunHistory, settings: LimitGate) -> Finding:
    """Routes of the last cycle that were driven to their end."""
    cycles = _last_cycle(history)
    episodes = cycles[0].episodes if cycles else []
    target, found = f"≥ {settings.limit:g}", evidence(EvaluationCycle, "episodes", cycles)
    if len(episodes) < FEWEST_ROUTES:
        return _too_few(target, len(episodes), FEWEST_ROUTES, found)
    done = sum(episode.completed for episode in episodes)
    met, achieved = done >= settings.limit, f"{done} of {len(episodes)}"
    confidence = Confidence(1.0, f"counted over {len(episodes)} episodes")
    finding = Finding(met, target, achieved, confidence, (found,), value=done, unit="routes")
    if met:
        return finding
    ends = ", ".join(sorted({episode.end_reason.replace("_", " ") for episode in episodes}))
    cause = f"{achieved} routes were driven to their end; the episodes ended by {ends}"
    return replace(finding, cause=cause, change=remedies.learns(history.config))


@gate("Policy still moves", "driving")
def policy_moves(history: RunHistory, settings: LimitGate) -> Finding:
    """How far its actions on the same 256 observations changed between the last two cycles."""
    target = f"≥ {settings.limit:g}"
    cycles = history.of(EvaluationCycle)[-2:]
    found = evidence(EvaluationCycle, "policy_motion", cycles)
    due = [history.config.training.updates_due(cycle.step) for cycle in cycles]
    if len(due) < 2 or due[1] - due[0] < FEWEST_UPDATES:
        made = due[-1] - due[0] if due else 0
        return not_judged(
            target,
            f"{plural(made, 'update')} lie between the stage's last two cycles, {FEWEST_UPDATES} are needed",
            found,
        )
    motion = cycles[-1].policy_motion
    if motion is None:
        return not_judged(target, "the replay buffer has overwritten the observations of the cycle before", found)
    met, achieved = motion >= settings.limit, f"{motion:.2g}"
    confidence = Confidence(1.0, "computed for the same observations at both cycles")
    finding = Finding(met, target, achieved, confidence, (found,), value=motion, unit="mean change of an action")
    if met:
        return finding
    steps = f"steps {cycles[0].step:,} and {cycles[1].step:,}"
    cause = f"between {steps} the policy's actions changed by {motion:.2g} on average: it has stopped learning"
    return replace(finding, cause=cause, change=remedies.learns(history.config))


@gate("Overestimation", "driving")
def overestimation(history: RunHistory, settings: LimitGate) -> Finding:
    """Mean of min(Q1, Q2) over states of the last cycle in units of the mean discounted return that followed them."""
    target = f"≤ {settings.limit:g} × the discounted return"
    cycles = [cycle for cycle in _last_cycle(history) if cycle.q_estimate is not None]
    found = evidence(EvaluationCycle, "q_estimate, discounted_return, value_states", cycles)
    if not cycles:
        return not_judged(target, "the last cycle has no state whose return is known", found)
    (cycle,) = cycles
    if len(cycle.episodes) < FEWEST_ROUTES:
        return _too_few(target, len(cycle.episodes), FEWEST_ROUTES, found)
    estimate, earned = cycle.q_estimate or 0.0, cycle.discounted_return or 0.0
    if not earned > SMALLEST_RETURN:
        why = f"the mean discounted return, {earned:.2g}, is not above {SMALLEST_RETURN:g}: no unit for a ratio"
        return not_judged(target, why, found)
    ratio = estimate / earned
    met, achieved = ratio <= settings.limit, f"{ratio:.2f} ({estimate:.3g} expected, {earned:.3g} earned)"
    states = plural(cycle.value_states or 0, "state")
    confidence = Confidence(0.95 if met == (ratio <= 1) else 0.8, f"{states} of {len(cycle.episodes)} episodes")
    finding = Finding(met, target, achieved, confidence, (found,), value=ratio, unit="ratio")
    if met:
        return finding
    cause = (
        f"the critics expect {estimate:.3g} where {earned:.3g} is earned, {ratio:.2f} times as much: they overestimate"
    )
    remedy = "see Gradients and Q in the report: a critic that diverges is called there by its cause"
    return replace(
        finding, cause=cause, remedy=remedy, change=remedies.default_rates(history.config, "critic", "critic_cnn")
    )


@gate("Picture matters", "driving")
def picture_matters(history: RunHistory, settings: PictureGate) -> Finding:
    """Success in situations in which one must see, with the picture less without it."""
    target = f"≥ {settings.limit:g} points of success"
    drives = history.of(PictureDrive)[-1:]
    found = evidence(PictureDrive, "with_picture, without_picture", drives)
    if not drives:
        return not_judged(target, f"judged at the first evaluation cycle from step {settings.from_step:,} on", found)
    (drive,) = drives
    seeing, blind = drive.successes
    gain = paired_difference(_successes(drive.with_picture), _successes(drive.without_picture))
    met = drive.gain >= settings.limit
    achieved = f"{seeing:.0f} % with it, {blind:.0f} % without: {gain.value:+.0f} points"
    achieved += f" (95 %: {gain.low:+.0f} to {gain.high:+.0f})"
    leaves_out = not gain.low <= settings.limit <= gain.high
    confidence = Confidence(0.95 if leaves_out else 0.5, f"paired bootstrap over {len(drive.with_picture)} situations")
    interval = (gain.low, gain.high)
    finding = Finding(met, target, achieved, confidence, (found,), value=gain.value, unit="points", interval=interval)
    if met:
        return finding
    cause = (
        f"where one must see ({drive.suite}), the picture is worth {gain.value:+.0f} points: the policy drives blindly"
    )
    remedy = "to go on all the same, set gates.picture_matters.severity: recommended in the campaign, and resume"
    return replace(finding, cause=cause, remedy=remedy)


def _successes(episodes: Sequence[EpisodeSummary]) -> npt.NDArray[np.float64]:
    """(n,): 100 for an episode that came to its goal, else 0."""
    return 100.0 * np.array([episode.completed for episode in episodes], np.float64)


def _last_cycle(history: RunHistory) -> list[EvaluationCycle]:
    """The last cycle that has episodes, if there is one."""
    return [cycle for cycle in history.of(EvaluationCycle) if cycle.episodes][-1:]


def _too_few(target: str, episodes: int, needed: int, *found: Evidence) -> Finding:
    why = f"the stage has {plural(episodes, 'episode')}, {needed} are needed: evaluation.final_episodes"
    return not_judged(target, why, *found)


def _completions(episodes: Sequence[EpisodeSummary]) -> npt.NDArray[np.float64]:
    """(n,): percent of each route."""
    return 100.0 * np.array([episode.route_completion for episode in episodes])
