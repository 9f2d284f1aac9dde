"""Exponential growth of gradient norms, called before they reach their limit.

The logarithm of a norm that grows exponentially rises along a line. The line is fitted robustly (Theil-Sen: the median
slope of all pairs of points), since gradient norms scatter by a factor of several from one update to the next, and
counts as a trend only where the Mann-Kendall test finds one: pairs that rise must outnumber those that fall by more
than chance would have it. Both need no more than some twenty points: the window is cut into as many bins.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from td3_hpc.config import GrowthConfig

BINS = 20
"""Points of one fit; each is the mean logarithm over a bin of updates."""
FEWEST_BINS = 10
"""A strict rise over so many points is just significant."""
SIGNIFICANT = 4.0
"""Standard deviations of the Mann-Kendall statistic: chance makes such a trend once in 30,000 independent windows."""
NEAR = 100.0
"""A limit more than this many times the norm is far: however steep a rise is, it is believed to go on for two decades
at most. A healthy run's first gradients rise seventyfold, from nearly nothing, within 50 updates; only how
far the norm is from its limit tells them from an explosion. That is a ratio: the reward's unit does not enter."""


@dataclass(frozen=True)
class Growth:
    """The trend of one parameter group's gradient norm, before clipping."""

    factor: float
    """Fitted growth per 100 updates; 1 is none."""
    significance: float
    """Standard deviations by which rising pairs outnumber falling ones."""
    norm: float
    """The fitted norm at the newest bin."""
    updates_to_limit: float | None
    """Updates until the fitted norm reaches the limit; None without a limit or where it does not grow."""

    def called(self, config: GrowthConfig) -> bool:
        """Whether the norm grows fast, beyond chance, and towards a limit that is near."""
        return (
            self.significance >= SIGNIFICANT
            and self.factor >= config.factor
            and self.updates_to_limit is not None
            and self.updates_to_limit <= config.horizon_updates
            and self.factor ** (self.updates_to_limit / 100) <= NEAR
        )


def fit(updates: np.ndarray, logarithms: np.ndarray, limit: float | None) -> Growth:
    """The trend of at least two points: update numbers, ascending, and logarithms of norms, both (n,)."""
    count = len(updates)
    first, second = np.triu_indices(count, 1)
    rises = logarithms[second] - logarithms[first]
    slope = float(np.median(rises / (updates[second] - updates[first])))
    variance = count * (count - 1) * (2 * count + 5) / 18
    significance = float(np.sign(rises).sum()) / math.sqrt(variance)
    newest = float(np.median(logarithms + slope * (updates[-1] - updates)))
    to_limit = None
    if limit is not None and slope > 0:
        to_limit = max(0.0, (math.log(limit) - newest) / slope)
    return Growth(_exponential(100 * slope), significance, _exponential(newest), to_limit)


class GrowthMonitor:
    """Collects the norms of every update, and fits a group's trend as often as one of its bins is full."""

    def __init__(self, config: GrowthConfig, limits: Mapping[str, float]) -> None:
        self._config = config
        self.limits = limits
        """The limit of each group that has one."""
        self._bin_width = max(1, config.window_updates // BINS)
        self._open: dict[str, tuple[int, list[float]]] = {}
        self._points: dict[str, list[tuple[float, float]]] = {}
        self.trends: dict[str, Growth] = {}
        """The newest fit of each group that has one."""

    def add(self, update: int, norms: Mapping[str, float]) -> dict[str, Growth]:
        """Take in the norms of an update; returns the fits made anew. A norm that is 0 or not finite is left out."""
        fitted = {}
        for group, norm in norms.items():
            if not (norm > 0 and math.isfinite(norm)):
                continue
            number = update // self._bin_width
            current, logarithms = self._open.setdefault(group, (number, []))
            if current != number:
                if self._close_bin(group, current, logarithms):
                    fitted[group] = self.trends[group]
                logarithms = []
                self._open[group] = (number, logarithms)
            logarithms.append(math.log(norm))
        return fitted

    def _close_bin(self, group: str, number: int, logarithms: list[float]) -> bool:
        points = self._points.setdefault(group, [])
        middle = (number + 0.5) * self._bin_width
        points.append((middle, math.fsum(logarithms) / len(logarithms)))
        del points[:-BINS]
        if len(points) < FEWEST_BINS:
            return False
        self.trends[group] = self._fit(group)
        return True

    def _fit(self, group: str) -> Growth:
        updates, logarithms = np.array(self._points[group]).T
        return fit(updates, logarithms, self.limits.get(group))

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: a tree of numbers, texts and arrays."""
        return {
            "open": {
                group: {"bin": number, "logarithms": list(values)} for group, (number, values) in self._open.items()
            },
            "points": {group: [list(point) for point in points] for group, points in self._points.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore from `state()`."""
        self._open = {group: (int(tree["bin"]), list(tree["logarithms"])) for group, tree in state["open"].items()}
        self._points = {group: [(x, y) for x, y in points] for group, points in state["points"].items()}
        self.trends = {group: self._fit(group) for group, points in self._points.items() if len(points) >= FEWEST_BINS}


def _exponential(value: float) -> float:
    return math.exp(min(value, 700.0))
