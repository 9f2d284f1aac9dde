"""The six validation checkpoints."""

import math
from collections.abc import Sequence
from statistics import mean

from td3_hpc.config.gates import Gate
from td3_hpc.driving.reward import COMPONENTS, FINES
from td3_hpc.formatting import number, plural
from td3_hpc.gates import remedies
from td3_hpc.gates.findings import Confidence, Finding, certain, coverage, not_judged, zero_failures
from td3_hpc.gates.history import Evidence, RunHistory, evidence
from td3_hpc.gates.registry import gate
from td3_hpc.record import EpisodeEnded, EvaluationCycle, FeatureReading, Interval, RunFinished, WorkerReplaced
from td3_hpc.spaces import IMAGE, OBSERVATION

#: A picture whose brightest and darkest pixel differ by less than this, in units of [-1, 1], shows nothing.
PICTURE_CONTRAST = 0.05
#: Pictures whose pixels vary from one to the next by less than this share of the range of brightness are all the same.
#: Seen: 0.03 to 0.1, by day, by night and from inside the car; of the sky 0.004 in Hamlet, 0.03 in Brookfield.
PICTURE_VARIETY = 0.01
#: Metres along its route that an episode has to gain for the sign of its progress to be judged.
GAINED_M = 10.0


@gate("No dimension errors", "checkpoint")
def no_dimension_errors(history: RunHistory, settings: Gate) -> Finding:
    """Each observation was compared with the announced shapes and types when it came in."""
    intervals = [interval for interval in history.intervals if interval.dimension_errors is not None]
    errors = history.total(lambda interval: interval.dimension_errors)
    found = (evidence(Interval, "dimension_errors", intervals),)
    target = "0: " + ", ".join(f"{entry.name} {entry.shape} {entry.dtype}" for entry in OBSERVATION)
    if errors:
        first = next(interval for interval in intervals if interval.dimension_errors)
        return Finding(
            False,
            target,
            f"{errors:,}",
            certain(f"{errors:,} observations"),
            found,
            cause=f"from steps {first.first_step:,}–{first.last_step:,} on, observations had another shape or "
            "type than the networks are built for",
            remedy="the code that makes observations and the code that trains are of different versions: submit the "
            "stage again, so that both come from one frozen package",
        )
    covered, _ = history.steps_covered()
    return Finding(True, target, "0", zero_failures(covered, "observations", history), found)


@gate("Exploration and learning both active", "checkpoint")
def exploration_and_learning(history: RunHistory, settings: Gate) -> Finding:
    """Random actions, then the policy's with its updates, at the steps that the configuration says. Where a car that
    stands has random actions, the policy's are to be half of those that are left, at least."""
    training = history.config.training
    random = history.total(lambda interval: interval.random_actions)
    policy = history.total(lambda interval: interval.policy_actions)
    updates = history.total(lambda interval: interval.updates)
    found = (evidence(Interval, "random_actions, policy_actions, updates", history.intervals),)
    explore, learn = training.learning_starts, training.total_steps - training.learning_starts
    target = f"steps 1–{explore:,} random, {explore + 1:,}–{training.total_steps:,} learning"
    achieved = f"{random:,} random actions, {policy:,} of the policy, {updates:,} updates"
    least = learn / 2 if training.explore_after_standing else learn
    if random + policy == explore + learn and random >= explore and policy >= least and updates:
        return Finding(True, target, achieved, coverage(history), found)
    if not updates:
        cause = f"no update is in the record: step {history.step:,} is reached, and learning starts after {explore:,}"
    else:
        cause = f"{random:,} random actions where {explore:,} were due, {policy:,} of the policy where {learn:,} were"
        if random > explore and training.explore_after_standing:
            cause += ": a car that stands has random actions, or learning's actions never were the policy's"
    return Finding(False, target, achieved, coverage(history), found, cause, pending=True)


@gate("Evaluation completes, training resumes", "checkpoint")
def evaluation_and_resume(history: RunHistory, settings: Gate) -> Finding:
    """Each cycle that was due is in the record, and steps follow it."""
    config = history.config
    cycles = history.of(EvaluationCycle)
    due = history.evaluations_due()
    done = history.evaluations_done(cycles)
    last_step = max((interval.last_step for interval in history.intervals), default=0)
    resumed = [step for step in due if step in done and (last_step > step or step == config.training.total_steps)]
    followed = [step for step in resumed if last_step > step]
    lost = sum(cycle.lost for cycle in cycles)
    found: tuple[Evidence, ...] = (
        evidence(EvaluationCycle, "step, episodes", cycles),
        evidence(Interval, "last_step", history.intervals),
    )
    target = f"{plural(len(due), 'cycle')}, at step {_listed(due)}, each followed by training"
    again = f"; {lost} episodes repeated after a lost simulator" if lost else ""
    achieved = f"{plural(len(done), 'cycle')} complete, training resumed after {len(followed):,}{again}"
    if len(resumed) == len(due):
        why = f"each of the {plural(len(due), 'cycle')} due has steps after it"
        if due and due[-1] == config.training.total_steps:
            why += ", but for the one that ends the run"
        return Finding(True, target, achieved, Confidence(coverage(history).value, why), found)
    missing = [step for step in due if step not in done]
    cause = f"no complete cycle at step {_listed(missing)}" if missing else f"no step after step {max(done):,}"
    losses = [event for event in history.of(WorkerReplaced) if event.purpose == "evaluation"]
    change = {}
    if losses:
        cause += f"; the evaluation environment was lost {len(losses)} times: {losses[-1].reason}"
        found += (evidence(WorkerReplaced, "purpose, reason", losses),)
        change = {"simulator.hang_timeout_s": 3 * config.simulator.hang_timeout_s}
    return Finding(False, target, achieved, coverage(history), found, cause, change=change, pending=True)


@gate("Observations normalised", "checkpoint")
def observations_normalised(history: RunHistory, settings: Gate) -> Finding:
    """The extremes of every observation, and whether the pictures show anything."""
    intervals = [interval for interval in history.intervals if interval.image_min is not None]
    ranges = {
        "pixels" if entry.stacked else entry.name: _range([interval.ranges.get(entry.name) for interval in intervals])
        for entry in OBSERVATION
        if any(entry.name in interval.ranges for interval in intervals)  # an older record may lack an entry
    }
    others = ", observation/*" if len(OBSERVATION) > 2 else ""
    found: tuple[Evidence, ...] = (
        evidence(Interval, f"image_min, image_max, vector_min, vector_max{others}", intervals),
    )
    target = f"{' and '.join('pixels' if entry.stacked else entry.name for entry in OBSERVATION)} in [-1, 1], pictures "
    target += "with contrast, not all the same"
    if not intervals:
        return not_judged(target, "no interval is complete: no observation is in the record yet", *found)
    achieved = ", ".join(f"{name} {low:.2f} to {high:.2f}" for name, (low, high) in ranges.items())
    outside = [name for name, (low, high) in ranges.items() if not (low >= -1 and high <= 1)]
    contrasts = [high - low for low, high in (interval.ranges[IMAGE.name] for interval in intervals)]
    blank = [contrast for contrast in contrasts if contrast < PICTURE_CONTRAST]
    readings = [
        reading
        for reading in history.of(FeatureReading)
        if reading.picture_spread is not None and reading.vector_spread > 0  # in a batch of one row nothing varies
    ]
    same = False
    if readings:
        found += (evidence(FeatureReading, "picture_spread", readings),)
        spread, (low, high) = mean(reading.picture_spread or 0.0 for reading in readings), ranges["pixels"]
        same = spread < PICTURE_VARIETY * (high - low)
        achieved += f", a pixel's spread over pictures {spread:.2g}"
    covered, _ = history.steps_covered()
    if not outside and not blank and not same:
        return Finding(True, target, achieved, zero_failures(covered, "observations", history), found)
    if outside:
        cause = f"values of {' and '.join(outside)} are outside [-1, 1], or NaN"
        remedy = "normalise them where the observation is made (td3_hpc/driving/observation/)"
        return Finding(False, target, achieved, certain(achieved), found, cause, remedy)
    if blank:
        shown = f"pictures of one brightness in {len(blank)} of {len(intervals)} intervals"
        cause = "the camera shows nothing: every pixel of a picture has nearly the same brightness"
    else:
        shown = f"nearly the same picture in {plural(len(readings), 'sampled update')}"
        cause = "the camera shows nothing: all its pictures are nearly the same, wherever the car is"
    change = remedies.camera(history.config)
    return Finding(
        False,
        target,
        f"{achieved}; {shown}",
        certain(shown),
        found,
        cause=cause,
        remedy="" if change else "look at a frame of the evaluation film; check the simulator's renderer and weather",
        change=change,
    )


@gate("Reward components working", "checkpoint")
def reward_components(history: RunHistory, settings: Gate) -> Finding:
    """All five are recorded, finite and add up to the reward; all but safety, which needs an event, are not zero. Fines
    are never paid out, and the way that an episode gains pays."""
    intervals = [interval for interval in history.intervals if interval.reward is not None]
    episodes = [episode for episode in history.of(EpisodeEnded) if _gained(episode) >= GAINED_M]
    found = (
        evidence(Interval, "reward, reward/*, reward_magnitude/*", intervals),
        evidence(EpisodeEnded, "route_completion, route_length_m, reward_components", episodes),
    )
    target = "5 components active, finite, their sum the reward, of the right sign"
    if not intervals:
        return not_judged(target, "no interval is complete: no reward is in the record yet", *found)
    weights = history.config.environment.reward
    active = [name for name in COMPONENTS if any(interval.reward_magnitudes.get(name) for interval in intervals)]
    off = [name for name in COMPONENTS if getattr(weights, name) == 0]
    silent = [name for name in COMPONENTS if name not in active and name not in off and name != "safety"]
    wrong = [interval for interval in intervals if not _adds_up(interval)]
    achieved = f"{len(active)} active" + (", sums agree" if not wrong else f", {len(wrong)} sums differ")
    causes = [f"the weight of {name} is 0" for name in off]
    causes += [f"{name} was 0 at every step: the car does not move, or its measure is not read" for name in silent]
    causes += (
        [f"the components do not add up to the reward in {len(wrong)} intervals, or are not finite"] if wrong else []
    )
    causes += _wrong_signs(intervals, episodes)
    if causes:
        change = {key: value for name in off for key, value in remedies.restored(history.config, name).items()}
        remedy = (
            "" if change else "compare td3_hpc/driving/reward.py, and what uses it, with docs/environment.md#reward"
        )
        return Finding(False, target, achieved, certain(achieved), found, "; ".join(causes), remedy, change)
    why = f"{len(active)} of 5 components were seen at work, over {len(intervals):,} intervals"
    if "safety" not in active:
        why += "; safety had nothing to fine yet"
    share = coverage(history).value * len(active) / len(COMPONENTS)
    return Finding(True, target, achieved, Confidence(share, why), found)


@gate("Buffer operations", "checkpoint")
def buffer_operations(history: RunHistory, settings: Gate) -> Finding:
    """The rows that the buffer held at the end, the batches drawn, and gradients in both CNNs."""
    config, ends = history.config, history.of(RunFinished)
    learning, updates = history.learning, history.total(lambda interval: interval.updates)
    groups = ("actor_cnn", "critic_cnn")
    still = [name for name in groups if not any(interval.gradient_maxima.get(name) for interval in learning)]
    found: tuple[Evidence, ...] = (
        evidence(RunFinished, "replay_rows, episodes", ends),
        evidence(Interval, "updates, gradient/*_cnn_max", learning),
    )
    capacity, batch = config.replay.capacity, config.agent.batch_size
    target = "a row per step and per episode's end, gradients in both CNNs"
    causes = []
    if not ends:
        causes.append("the run has not ended: its buffer's rows are not counted yet")
    if still:
        causes.append(f"no gradient reached the {' or the '.join(name.replace('_', ' ') for name in still)}")
    achieved = f"{updates:,} batches of {batch:,} drawn"
    if ends:
        rows, written = ends[-1].replay_rows, ends[-1].step + ends[-1].episodes
        most = written + config.simulators
        # The buffer of the stage before may have been smaller, and have overwritten what this one had room for.
        least = ends[-1].step - history.first_step if history.first_step else written
        achieved = f"{rows:,} rows held, {achieved}"
        if not min(capacity, least) <= rows <= min(capacity, most):
            causes.append(f"the buffer holds {rows:,} rows where {min(capacity, least):,} to {most:,} were due")
    holds = [interval for interval in history.intervals if interval.replay_transitions is not None][-1:]
    for last in holds:
        found += (evidence(Interval, "replay/transitions, replay/fill", holds),)
        filling = (last.replay_fill or 0.0) < 1 and not history.first_step
        if filling and last.replay_transitions != last.last_step:
            causes.append(f"{last.replay_transitions:,} transitions held after {last.last_step:,} steps")
    if causes:
        return Finding(False, target, achieved, coverage(history), found, "; ".join(causes), pending=not ends)
    base = zero_failures(updates, "updates without a gradient in the CNNs", history)
    return Finding(True, target, achieved, Confidence(base.value, f"rows counted at the end; {base.why}"), found)


def _adds_up(interval: Interval) -> bool:
    total = sum(interval.rewards[name] for name in COMPONENTS)
    return math.isfinite(total) and abs(total - (interval.reward or 0.0)) <= 1e-6 * max(1.0, abs(total))


def _wrong_signs(intervals: Sequence[Interval], episodes: Sequence[EpisodeEnded]) -> list[str]:
    """What is paid where it should be taken away, and the other way round."""
    causes = []
    for name in FINES:
        paid = [interval for interval in intervals if interval.rewards[name] > 0]
        if paid:
            causes.append(
                f"{name}, which can only take away, was paid in {plural(len(paid), 'interval')}: its sign is wrong"
            )
    fined = [episode for episode in episodes if (episode.reward_components or {}).get("progress", 0.0) < 0]
    if 2 * len(fined) > len(episodes):
        causes.append(
            f"progress was negative in {len(fined)} of {plural(len(episodes), 'episode')} that gained {GAINED_M:.0f} m "
            "or more of their route: its sign is wrong"
        )
    return causes


def _gained(episode: EpisodeEnded) -> float:
    """Metres of its route that it drove; 0 where that was not measured."""
    return (episode.route_completion or 0.0) * (episode.route_length_m or 0.0)


def _listed(steps: list[int]) -> str:
    texts = [number(step) for step in steps]
    return ", ".join(texts) if len(texts) <= 4 else f"{texts[0]}, {texts[1]}, …, {texts[-1]}"


def _range(extremes: Sequence[tuple[float, float] | None]) -> tuple[float, float]:
    """The least and the largest of intervals' extremes; NaN, if there is one, counts as beyond both."""
    known = [extreme for extreme in extremes if extreme is not None]
    return (
        min((low for low, _ in known), key=lambda value: -math.inf if math.isnan(value) else value),
        max((high for _, high in known), key=lambda value: math.inf if math.isnan(value) else value),
    )
