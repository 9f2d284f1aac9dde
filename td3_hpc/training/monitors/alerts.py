"""Alerts: called once when a limit is crossed, and once when it is over; no flood in between.

An alert is raised by one observation beyond its limit, at once. It is over only after three intervals in a row in
which every observation stayed clear of the limit, so that a number that dances about it makes one alert, not hundreds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from td3_hpc.config.monitors import AlertLevel

CALM_INTERVALS = 3
CALM_SHARE = 0.8
"""A number is clear of its limit at or below this share of it."""


@dataclass(frozen=True)
class Limit:
    """A watched number and what its crossing means."""

    name: str
    """Name of the alert."""
    metric: str | None
    """The interval's number that is compared; None where each observation is passed to `Alerts.observe`."""
    highest: float
    """The alert is raised by a number above this, or NaN."""
    level: AlertLevel
    meaning: str
    """What it means and what to do, in a sentence."""


@dataclass(frozen=True)
class AlertChange:
    """An alert that is raised, or over."""

    limit: Limit
    active: bool
    value: float
    """The newest observation."""

    def as_fields(self) -> dict[str, Any]:
        """For the record."""
        return {
            "name": self.limit.name,
            "level": self.limit.level,
            "active": self.active,
            "value": self.value,
            "limit": self.limit.highest,
            "meaning": self.limit.meaning,
        }

    def __str__(self) -> str:
        """In one line."""
        state = f"ALERT ({self.limit.level})" if self.active else "alert over"
        return f"{state} {self.limit.name}: {self.value:g}, limit {self.limit.highest:g}: {self.limit.meaning}"


@dataclass
class _Watch:
    """Where one alert stands."""

    active: bool = False
    calm_intervals: int = 0
    seen: bool = False
    """Whether this interval has brought an observation."""
    disturbed: bool = False
    """Whether one of them was not clear of the limit."""
    value: float = 0.0


class Alerts:
    """The state of every alert of a run."""

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self._limits = {limit.name: limit for limit in limits}
        self._watches = {limit.name: _Watch() for limit in limits}

    def observe(
        self, name: str, value: float, crossed: bool | None = None, calm: bool | None = None
    ) -> AlertChange | None:
        """Take in one number; the alert if it is raised by it.

        `crossed` and `calm` (clear of the limit) follow from the limit unless given.
        """
        limit, watch = self._limits[name], self._watches[name]
        crossed = not value <= limit.highest if crossed is None else crossed
        calm = value <= CALM_SHARE * limit.highest if calm is None else calm
        watch.seen, watch.value = True, float(value)
        watch.disturbed |= crossed or not calm
        if crossed and not watch.active:
            watch.active = True
            return AlertChange(limit, True, value)
        return None

    def observe_interval(self, summary: Mapping[str, float]) -> Iterator[AlertChange]:
        """Take in an interval's numbers and end the interval; the alerts that are raised or over by it."""
        for name, limit in self._limits.items():
            if limit.metric is not None and limit.metric in summary:
                change = self.observe(name, summary[limit.metric])
                if change is not None:
                    yield change
            if self._is_over(self._watches[name]):
                yield AlertChange(limit, False, self._watches[name].value)

    @staticmethod
    def _is_over(watch: _Watch) -> bool:
        """End the interval of one alert; whether the alert ends with it."""
        if watch.seen:
            watch.calm_intervals = 0 if watch.disturbed else watch.calm_intervals + 1
        watch.seen = watch.disturbed = False
        over = watch.active and watch.calm_intervals >= CALM_INTERVALS
        watch.active &= not over
        return over

    def levels(self) -> dict[str, float]:
        """1 for each alert that is active, 0 for the others."""
        return {name: float(watch.active) for name, watch in self._watches.items()}

    def active(self) -> list[str]:
        """Names of the alerts that are on."""
        return [name for name, watch in self._watches.items() if watch.active]

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: a tree of numbers, texts and arrays."""
        return {name: vars(watch).copy() for name, watch in self._watches.items()}

    def load_state(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Restore from `state()`; alerts that it does not know start anew, those that only it knows are dropped."""
        for name in self._watches.keys() & state.keys():
            saved = state[name]
            self._watches[name] = _Watch(
                bool(saved["active"]),
                int(saved["calm_intervals"]),
                bool(saved["seen"]),
                bool(saved["disturbed"]),
                float(saved["value"]),
            )
