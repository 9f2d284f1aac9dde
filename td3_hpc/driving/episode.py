"""The end of an episode, and what is known about it then."""

from dataclasses import dataclass, field
from typing import Any

from td3_hpc.config.environment import EnvironmentConfig
from td3_hpc.driving.reward import COMPONENTS

TERMINATIONS = ("collision", "off_road", "off_route", "route_completed")
TRUNCATIONS = ("stuck", "time_limit")
STANDING_SPEED = 0.1
"""m/s; slower counts as standing."""


@dataclass(frozen=True)
class Outcome:
    """What happened in one decision, as far as it may end the episode."""

    collisions: int
    off_road: bool
    off_route: bool
    route_completed: bool
    speed: float
    """m/s."""
    waits: bool = False
    """It stands for a reason: a red light, a queue."""


@dataclass
class Episode:
    """Counts an episode's decisions, judges its end and sums it up."""

    config: EnvironmentConfig
    route_length: float
    decisions: int = 0
    standing: int = 0
    """Decisions since it last moved, but those in which it waits."""
    collisions: int = 0
    lane_invasions: int = 0
    distance: float = 0.0
    """Metres driven."""
    reached: float = 0.0
    """Metres along the route, the farthest so far."""
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COMPONENTS, 0.0))

    def end(self, outcome: Outcome) -> str | None:
        """Why the episode ends with this decision, the first of TERMINATIONS and TRUNCATIONS that applies; or None."""
        self.decisions += 1
        if abs(outcome.speed) >= STANDING_SPEED:
            self.standing = 0
        elif not outcome.waits:
            self.standing += 1
        self.collisions += outcome.collisions
        if outcome.collisions:
            return "collision"
        if outcome.off_road:
            return "off_road"
        if outcome.off_route:
            return "off_route"
        if outcome.route_completed:
            return "route_completed"
        if self.standing >= self.config.stuck_decisions:
            return "stuck"
        return "time_limit" if self.decisions >= self.config.max_decisions else None

    def add(self, components: dict[str, float], distance: float, reached: float, lane_invasions: int) -> None:
        """Book one decision: its weighted reward components, metres driven, metres along the route, markings."""
        for name, value in components.items():
            self.sums[name] += value
        self.distance += distance
        self.reached = max(self.reached, reached)
        self.lane_invasions += lane_invasions

    def summary(self, reason: str) -> dict[str, Any]:
        """`info["episode"]`: plain numbers and strings."""
        seconds = self.decisions * self.config.decision_seconds
        return {
            "return": sum(self.sums.values()),
            "length": self.decisions,
            "route_completion": 1.0 if reason == "route_completed" else min(1.0, self.reached / self.route_length),
            "route_length_m": self.route_length,
            "distance_m": self.distance,
            "mean_speed_kmh": 3.6 * self.distance / seconds,
            "collisions": self.collisions,
            "lane_invasions": self.lane_invasions,
            "reward_components": dict(self.sums),
            "end_reason": reason,
        }
