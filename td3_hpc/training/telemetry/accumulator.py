"""Means, extremes and counts over an interval of steps, in a form that a checkpoint holds exactly."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


class Accumulator:
    """Collects numbers by name; `flush` returns their summary and starts again."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._highs: dict[str, float] = {}
        self._lows: dict[str, float] = {}

    def mean(self, name: str, value: float) -> None:
        """Take part in the mean of `name`."""
        self._sums[name] = self._sums.get(name, 0.0) + value
        self._counts[name] = self._counts.get(name, 0) + 1

    def count(self, name: str, value: int = 1) -> None:
        """Add to the count of `name`."""
        self._counts[name] = self._counts.get(name, 0) + value

    def high(self, name: str, value: float) -> None:
        """Raise the maximum of `name`; a NaN stays."""
        self._highs[name] = _extreme(max, self._highs.get(name, -math.inf), value)

    def low(self, name: str, value: float) -> None:
        """Lower the minimum of `name`; a NaN stays."""
        self._lows[name] = _extreme(min, self._lows.get(name, math.inf), value)

    def flush(self) -> dict[str, float]:
        """Means, counts, maxima (`name_max`) and minima (`name_min`) since the last flush."""
        summary: dict[str, float] = {}
        for name, count in self._counts.items():
            summary[name] = self._sums[name] / count if name in self._sums else count
        summary.update({f"{name}_max": value for name, value in self._highs.items()})
        summary.update({f"{name}_min": value for name, value in self._lows.items()})
        for store in self._stores().values():
            store.clear()
        return summary

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it. Names may hold slashes, which a tree's may not: they stand in one text."""
        return {kind: _columns(store) for kind, store in self._stores().items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore from `state()`."""
        for kind, store in self._stores().items():
            store.clear()
            names, values = state[kind]["names"].splitlines(), np.asarray(state[kind]["values"]).tolist()
            store.update(zip(names, values, strict=True))

    def _stores(self) -> dict[str, dict[str, Any]]:
        return {"sums": self._sums, "counts": self._counts, "highs": self._highs, "lows": self._lows}


def _columns(store: Mapping[str, float]) -> dict[str, Any]:
    return {"names": "\n".join(store), "values": np.array(list(store.values()))}


def _extreme(choose: Any, old: float, new: float) -> float:
    return math.nan if math.isnan(old) or math.isnan(new) else float(choose(old, new))
