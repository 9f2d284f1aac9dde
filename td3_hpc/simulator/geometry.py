"""Poses and oriented boxes in CARLA's frame: metres, degrees, x forward, y right, z up, yaw clockwise from above."""

import math
from typing import NamedTuple


class Pose(NamedTuple):
    """Position in metres and rotation in degrees; the default faces along x."""

    x: float
    y: float
    z: float
    pitch: float = 0.0
    """Positive: nose up."""
    yaw: float = 0.0
    roll: float = 0.0
    """Positive: right side down."""

    def ahead(self, forward: float, right: float = 0.0, up: float = 0.0) -> "Pose":
        """The pose moved along its own horizontal axes (yaw only) and the vertical, metres."""
        c, s = math.cos(math.radians(self.yaw)), math.sin(math.radians(self.yaw))
        x, y = self.x + forward * c - right * s, self.y + forward * s + right * c
        return Pose(x, y, self.z + up, self.pitch, self.yaw, self.roll)

    def offset_of(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies as seen from here, metres: (forward, right), horizontally."""
        c, s = math.cos(math.radians(self.yaw)), math.sin(math.radians(self.yaw))
        dx, dy = x - self.x, y - self.y
        return dx * c + dy * s, dy * c - dx * s


class OrientedBox(NamedTuple):
    """A box standing upright."""

    centre: Pose
    """Its middle; only the yaw of its rotation counts."""
    extent: tuple[float, float, float]
    """Half of its length, width and height, metres."""

    def contains(self, x: float, y: float, z: float) -> bool:
        """Whether a point lies in it, border included."""
        forward, right = self.centre.offset_of(x, y)
        length, width, height = self.extent
        return abs(forward) <= length and abs(right) <= width and abs(z - self.centre.z) <= height

    def corners(self) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]:
        """Its outline from above (x, y), metres: front right, front left, rear left, rear right."""
        length, width, _ = self.extent
        return (
            self.centre.ahead(length, width)[:2],
            self.centre.ahead(length, -width)[:2],
            self.centre.ahead(-length, -width)[:2],
            self.centre.ahead(-length, width)[:2],
        )


def angle_between(a: float, b: float) -> float:
    """The turn from direction b to direction a, degrees in [-180, 180)."""
    return (a - b + 180.0) % 360.0 - 180.0
