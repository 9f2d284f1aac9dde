"""The critical metrics of a run: target, achieved, status."""

from dataclasses import dataclass

from td3_hpc.campaign.history import RunHistory
from td3_hpc.training.monitors import ACTOR_CNN_GRADIENT_LIMIT, limits


@dataclass(frozen=True)
class Metric:
    """One row of the critical-metrics table."""

    name: str
    target: str
    achieved: str
    passed: bool
    evidence: str
    """Where in the record the number comes from."""


def critical_metrics(history: RunHistory) -> list[Metric]:
    """The rows of the table, in the order of a reader's interest."""
    config, rows = history.config, []
    training = config.training
    updates_due = max(0, training.total_steps - training.learning_starts)
    evaluations_due = training.total_steps // config.evaluation.every_steps

    def count(name: str, target: int, achieved: int, evidence: str) -> None:
        rows.append(Metric(name, f"{target:,}", f"{achieved:,}", achieved == target, evidence))

    covered = sum(event["last_step"] - event["first_step"] + 1 for event in history.of("interval"))
    count("Total steps", training.total_steps, covered, "`interval` events, first to last step")
    rows.append(_learning_phase(history))
    count("TD3 updates", updates_due, history.total("updates"), "`interval.updates`")
    actor_due = updates_due // config.agent.policy_freq
    count("Actor updates", actor_due, history.total("actor_updates"), "`interval.actor_updates`")
    count("Evaluation cycles", evaluations_due, len(history.of("evaluation")), "`evaluation` events")
    count("Dimension errors", 0, history.total("dimension_errors"), "`interval.dimension_errors`")
    count("NaN/Inf detected", 0, history.total("non_finite"), "`interval.non_finite`")
    rows.append(_gradient(history))
    rows.append(_q_magnitude(history))
    rows.append(_observations(history))
    return rows


def _learning_phase(history: RunHistory) -> Metric:
    intervals = [event for event in history.of("interval") if event.get("updates")]
    first, last = history.config.training.learning_starts + 1, history.config.training.total_steps
    achieved = "never started"
    if intervals:
        begun = max(first, intervals[0]["first_step"])
        achieved = f"steps {begun:,}–{intervals[-1]['last_step']:,}"
    target = f"steps {first:,}–{last:,}"
    return Metric("Learning phase", target, achieved, achieved == target, "`interval` events with updates")


def _gradient(history: RunHistory) -> Metric:
    highest = max(history.column("interval", "gradient/actor_cnn_max"), default=None)
    return _limit("Actor CNN gradient norm", highest, ACTOR_CNN_GRADIENT_LIMIT, "`interval.gradient/actor_cnn_max`")


def _q_magnitude(history: RunHistory) -> Metric:
    bound = next(limit.highest for limit in limits(history.config) if limit.name == "q_magnitude")
    return _limit(
        "Q magnitude", max(history.column("interval", "q_abs_max"), default=None), bound, "`interval.q_abs_max`"
    )


def _observations(history: RunHistory) -> Metric:
    names = ("image_min", "image_max", "vector_min", "vector_max")
    values = {name: history.column("interval", name) for name in names}
    if not all(values.values()):
        return Metric("Observation range", "[-1, 1]", "none recorded", False, "`interval` events")
    low = min(values["image_min"] + values["vector_min"])
    high = max(values["image_max"] + values["vector_max"])
    inside = low >= -1 and high <= 1
    return Metric("Observation range", "[-1, 1]", f"[{low:.2f}, {high:.2f}]", inside, "`interval.image_*`, `.vector_*`")


def _limit(name: str, highest: float | None, limit: float, evidence: str) -> Metric:
    if highest is None:
        return Metric(name, f"≤ {limit:,.0f}", "no update yet", False, evidence)
    return Metric(name, f"≤ {limit:,.0f}", f"{highest:,.3g}", highest <= limit, evidence)
