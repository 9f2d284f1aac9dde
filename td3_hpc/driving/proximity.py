"""What is near the ego, from the positions and speeds in a snapshot: whether a collision may just have happened, and
whether the lane ahead is taken."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

TOUCHING_M = 0.5
"""Boxes closer than this may touch."""
JOLT = 15.0
"""m/s²; neither brakes nor tyres change a car's speed faster."""


@dataclass(frozen=True)
class BoundingBox:
    """A vehicle's box seen from above: centre (metres), yaw (degrees) and half sizes (metres)."""

    x: float
    y: float
    yaw: float
    half_length: float
    half_width: float


def may_touch(ego: BoundingBox, others: Iterable[BoundingBox]) -> bool:
    """Some other box lies within TOUCHING_M of the ego's, by the separating axes of the two."""
    return any(not _separated(ego, other) and not _separated(other, ego) for other in others)


def is_blocked(ego: BoundingBox, others: Iterable[BoundingBox], reach_m: float, lane_width: float) -> bool:
    """The middle of some other box lies straight ahead of the ego, in a strip of `lane_width` metres, and no more than
    `reach_m` metres lie between the two boxes."""
    for other in others:
        forward, turn = math.radians(ego.yaw), math.radians(other.yaw - ego.yaw)
        dx, dy = other.x - ego.x, other.y - ego.y
        along = dx * math.cos(forward) + dy * math.sin(forward)
        across = dy * math.cos(forward) - dx * math.sin(forward)
        reaches_back = other.half_length * abs(math.cos(turn)) + other.half_width * abs(math.sin(turn))
        if 0.0 < along <= ego.half_length + reach_m + reaches_back and abs(across) <= lane_width / 2:
            return True
    return False


def is_jolt(before: tuple[float, float], after: tuple[float, float], seconds: float) -> bool:
    """The change between two velocities (m/s) is more than a car can do by itself."""
    return math.hypot(after[0] - before[0], after[1] - before[1]) > JOLT * seconds


def _separated(box: BoundingBox, other: BoundingBox) -> bool:
    """One of the box's two axes separates it from the other box by more than TOUCHING_M."""
    forward, turn = math.radians(box.yaw), math.radians(other.yaw - box.yaw)
    dx, dy = other.x - box.x, other.y - box.y
    cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
    along = abs(dx * math.cos(forward) + dy * math.sin(forward))
    across = abs(dy * math.cos(forward) - dx * math.sin(forward))
    return (
        along > box.half_length + other.half_length * cos + other.half_width * sin + TOUCHING_M
        or across > box.half_width + other.half_length * sin + other.half_width * cos + TOUCHING_M
    )
