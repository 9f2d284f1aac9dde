"""What one car or walker of a situation does, as a function of how near the ego is."""

import math
from dataclasses import dataclass
from typing import Literal

from td3_hpc.driving.situations.path import Path

ACCELERATION = 3.0
"""m/s²."""
BRAKING = 6.0
"""m/s²."""
_ARRIVED_M = 0.3  # before its stop


@dataclass(frozen=True)
class Role:
    """It stands at `start` until the ego is within `wakes_m`, goes on to `stop`, and stays in the way there.

    When it is there and the ego has been within `near_m`, `holds_s` seconds pass; then it leaves, and is gone at its
    path's end.
    """

    actor: Literal["car", "walker"]
    path: Path
    start: float
    """Metres along its path."""
    stop: float
    """Metres along its path; not before `start`."""
    speed: float
    """On the way from `start` to `stop`, m/s."""
    leaves: float
    """Speed with which it leaves, m/s."""
    holds_s: float
    near_m: float
    creeps: float = 0.0
    """How fast it goes on from `stop`, m/s."""
    wakes_m: float = math.inf
    crosses: float | None = None
    """Where its path crosses the ego's route, metres along that; None: its path is the route's, and so its place."""


class Motion:
    """Where an actor is along its path, one tick after another."""

    def __init__(self, role: Role, half_length: float) -> None:
        """`half_length`: of the actor, metres."""
        self.role, self.along, self.speed = role, role.start, 0.0
        self._half_length = half_length
        self._awake = False
        self._clock: float | None = None

    @property
    def gone(self) -> bool:
        """It has come to its path's end."""
        return self.along >= self.role.path.length

    def wanted(self, ego_front: float, seconds: float) -> float:
        """The speed in m/s that it goes for in the next tick, of so many seconds.

        ego_front: metres along the route to the ego's front.
        """
        role = self.role
        place = role.crosses if role.crosses is not None else self.along - self._half_length
        gap = place - ego_front
        self._awake |= gap <= role.wakes_m
        left = role.stop - self.along
        if self._clock is None and gap <= role.near_m and left < _ARRIVED_M:
            self._clock = 0.0
        if self._clock is not None:
            self._clock += seconds
            if self._clock > role.holds_s:
                return role.leaves
        if not self._awake:
            return 0.0
        return min(role.speed, math.sqrt(2.0 * BRAKING * left) + role.creeps) if left > 0 else role.creeps

    def advance(self, ego_front: float, seconds: float) -> None:
        """One tick as a car drives it, with bounded acceleration."""
        wanted = self.wanted(ego_front, seconds)
        self.speed = min(max(wanted, self.speed - BRAKING * seconds), self.speed + ACCELERATION * seconds)
        self.along += self.speed * seconds
