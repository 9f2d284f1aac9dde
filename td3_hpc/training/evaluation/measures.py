"""How well somebody drives: the measures of the CARLA Leaderboard's kind, with bootstrap intervals over episodes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from td3_hpc.record import EpisodeSummary

_RESAMPLES = 2000
_PAIRED_RESAMPLES = 10_000
_LEVEL = 0.95


@dataclass(frozen=True)
class Measure:
    """One figure: a ratio of two sums over episodes, so that a long episode weighs by its length where it should."""

    name: str
    unit: str
    numerator: str
    denominator: str | None = None
    """None: the number of episodes."""
    rare: bool = False
    """Left out where the denominator is 0 over all episodes."""


#: Every figure of an evaluation. The columns are those of `columns`.
MEASURES = (
    Measure("route completion", "%", "completion_percent"),
    Measure("success", "%", "success_percent"),
    Measure("collisions", "per km", "collisions", "km"),
    Measure("lane departures", "per km", "lane_invasions", "km"),
    Measure("red lights obeyed", "%", "red_lights_obeyed_percent", "red_lights_met", rare=True),
    Measure("mean speed", "km/h", "km", "hours"),
    Measure("comfort", "per decision", "comfort", "decisions"),
    Measure("return", "", "return"),
)


#: Of a suite, whose episodes know what the ego ran into.
SUITE_MEASURES = (*MEASURES, Measure("driving score", "%", "score_percent"))
#: Factor of an episode's driving score for a contact, by the beginning of its type (CARLA Leaderboard 1.0,
#: leaderboard.carla.org, "Evaluation and metrics"); anything else is scenery.
PENALTIES = {"walker.": 0.5, "vehicle.": 0.6, "": 0.65}


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "–"
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def mean_completion(episodes: Sequence[EpisodeSummary]) -> float:
    """Mean share of the route that was driven, in [0, 1]."""
    return float(np.mean([episode.route_completion for episode in episodes]))


def paired_difference(own: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> Estimate:
    """The mean of own - other, both (n,), with a percentile-bootstrap interval over the pairs; seeded."""
    differences = own - other
    picks = np.random.default_rng(0).integers(len(differences), size=(_PAIRED_RESAMPLES, len(differences)))
    tails = (100 * (1 - _LEVEL) / 2, 100 * (1 + _LEVEL) / 2)
    low, high = np.percentile(differences[picks].mean(axis=1), tails)
    return Estimate(float(differences.mean()), float(low), float(high))


def columns(episodes: Sequence[EpisodeSummary], decision_s: float) -> dict[str, np.ndarray]:
    """What the measures are made of, an entry an episode, from the summaries of episodes.

    decision_s: simulated seconds of one decision.
    """

    def column(read: Callable[[EpisodeSummary], float]) -> np.ndarray:
        return np.array([read(episode) for episode in episodes], np.float64)

    decisions = column(lambda episode: episode.length)
    met = column(lambda episode: episode.red_lights_met or 0)  # records of before have none
    run = column(lambda episode: episode.red_lights_run or 0)
    return {
        "completion_percent": 100.0 * column(lambda episode: episode.route_completion),
        "success_percent": 100.0 * column(lambda episode: episode.completed),
        "collisions": column(lambda episode: episode.collisions),
        "lane_invasions": column(lambda episode: episode.lane_invasions),
        "red_lights_met": met,
        "red_lights_obeyed_percent": 100.0 * (met - run),
        "km": column(lambda episode: episode.distance_m) / 1000.0,
        "hours": decisions * decision_s / 3600.0,
        "comfort": column(lambda episode: episode.reward_components["comfort"]),
        "decisions": decisions,
        "return": column(lambda episode: episode.return_),
        "score_percent": 100.0 * column(lambda episode: episode.route_completion * _penalty(episode)),
    }


def _penalty(episode: EpisodeSummary) -> float:
    """Of its contact, of which there is one at most: it ends the episode."""
    if not episode.collisions:
        return 1.0
    return next(factor for kind, factor in PENALTIES.items() if (episode.contact or "vehicle.").startswith(kind))


def estimates(episodes: Sequence[EpisodeSummary], decision_s: float) -> dict[str, Estimate]:
    """Every measure by its name, with a percentile-bootstrap interval (Efron 1979) over whole episodes.

    The resampling is seeded: the same episodes give the same interval. With no distance driven, a figure per
    kilometre is NaN.
    """
    return estimates_over_runs([episodes], decision_s)


def estimates_over_runs(
    runs: Sequence[Sequence[EpisodeSummary]], decision_s: float, measures: Sequence[Measure] = MEASURES
) -> dict[str, Estimate]:
    """The same over several seeds' runs, which drove the same routes: episode i of each is in the same situation.

    Runs and routes are both drawn anew, each for itself (the bootstrap of crossed factors, Owen 2007): the interval
    holds for other seeds and other routes. Every run must have the same number of episodes.
    """
    count = len(runs[0])
    if any(len(episodes) != count for episodes in runs):
        raise ValueError(f"runs of {[len(episodes) for episodes in runs]} episodes: they must be equally many")
    table = columns([episode for episodes in runs for episode in episodes], decision_s)
    generator = np.random.default_rng(0)
    routes = generator.integers(count, size=(_RESAMPLES, 1, count))
    seeds = generator.integers(len(runs), size=(_RESAMPLES, len(runs), 1))
    picks = (seeds * count + routes).reshape(_RESAMPLES, -1)
    result = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for measure in measures:
            top = table[measure.numerator]
            bottom = table[measure.denominator] if measure.denominator else np.ones(len(top))
            if measure.rare and not bottom.any():
                continue
            drawn = top[picks].sum(axis=1) / bottom[picks].sum(axis=1)
            drawn = drawn[np.isfinite(drawn)]
            tails = (100 * (1 - _LEVEL) / 2, 100 * (1 + _LEVEL) / 2)
            low, high = np.percentile(drawn, tails) if len(drawn) else (np.nan, np.nan)
            result[measure.name] = Estimate(float(top.sum() / bottom.sum()), float(low), float(high))
    return result
