"""Limits whose crossing is an alert: once when it is crossed, once when it is over (no flood in between)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from td3_hpc.config import StageConfig

#: The largest actor-CNN gradient norm, before clipping, of a healthy run (the validation run's limit).
ACTOR_CNN_GRADIENT_LIMIT = 10_000.0


@dataclass(frozen=True)
class Limit:
    """One watched number."""

    name: str
    """Name of the alert."""
    metric: str
    """The metric that is compared."""
    highest: float
    """The alert is on while the metric is above this, or is NaN."""
    meaning: str
    """What it means, in a sentence."""


def limits(config: StageConfig) -> tuple[Limit, ...]:
    """The limits of a run.

    The bound on Q: a reward of at most r_max for ever is worth r_max / (1 - γ); twice that leaves room for the
    overestimation of an untrained critic.
    """
    q_bound = 2 * config.environment.reward.bound / (1 - config.agent.discount)
    return (
        Limit(
            "actor_cnn_gradient",
            "gradients/actor_cnn",
            ACTOR_CNN_GRADIENT_LIMIT,
            "the actor CNN's gradient norm before clipping is beyond what a stable run shows",
        ),
        Limit(
            "q_magnitude",
            "q_abs_max",
            q_bound,
            f"|Q| is above {q_bound:g} = 2 r_max / (1 - discount), more than the reward allows",
        ),
        Limit("dimension_errors", "dimension_errors", 0, "an observation had another shape or type than announced"),
        Limit("non_finite", "non_finite", 0, "NaN or infinity in an observation, a reward or a network"),
    )


class Alerts:
    """Which limits are crossed now."""

    def __init__(self, watched: tuple[Limit, ...]) -> None:
        self._watched = watched
        self._active: set[str] = set()

    def check(self, metrics: Mapping[str, float]) -> Iterator[tuple[Limit, float, bool]]:
        """The limits that these metrics newly cross (True) or no longer cross (False), with the value."""
        for limit in self._watched:
            if limit.metric not in metrics:
                continue
            value = metrics[limit.metric]
            crossed = not value <= limit.highest
            if crossed != (limit.name in self._active):
                self._active.symmetric_difference_update({limit.name})
                yield limit, value, crossed

    def is_active(self, limit: Limit) -> bool:
        return limit.name in self._active

    def state(self) -> dict[str, bool]:
        """For a checkpoint."""
        return {limit.name: limit.name in self._active for limit in self._watched}

    def load_state(self, state: Mapping[str, bool]) -> None:
        """From a checkpoint."""
        self._active = {name for name, active in state.items() if active}
