"""Perspective: from the world to a camera's pixels.

A camera looks along its x axis, y points right, z up, as everywhere in CARLA. Pixel column i covers [i, i + 1) of the
horizontal axis u; u = width / 2 + f * y / x and v = height / 2 - f * z / x with f = width / (2 tan(fov / 2)).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]
Floats = NDArray[np.floating[Any]]

NEAR = 0.05
"""Nothing closer than this is drawn, m."""


def rotation_matrix(pitch: float, yaw: float, roll: float) -> Floats:
    """The (3, 3) rotation of a pose in degrees: columns are its forward, right and up axes (as carla.Transform)."""
    cp, sp = math.cos(math.radians(pitch)), math.sin(math.radians(pitch))
    cy, sy = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    cr, sr = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    return np.array(
        [
            [cp * cy, cy * sp * sr - sy * cr, -cy * sp * cr - sy * sr],
            [cp * sy, sy * sp * sr + cy * cr, -sy * sp * cr + cy * sr],
            [sp, -cp * sr, cp * cr],
        ],
        np.float32,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """What depends on a picture's size and field of view alone."""

    width: int
    height: int
    focal: float
    """Pixels."""
    right: Floats
    """(1, width): y / x of the ray through each column's middle."""
    up: Floats
    """(height, 1): z / x of the ray through each row's middle."""
    length: Floats
    """(height, width): length of the ray (1, right, up)."""
    side: tuple[float, float]
    """Cosine and sine of half the horizontal angle of view."""
    top: tuple[float, float]
    """The same, vertical."""


@lru_cache(maxsize=16)
def lens_of(width: int, height: int, fov: float) -> Lens:
    """The lens of a camera; `fov` is the horizontal angle in degrees, held within (0.01, 179.9)."""
    tangent = math.tan(math.radians(min(max(fov, 0.01), 179.9)) / 2.0)
    focal = width / (2.0 * tangent)
    right = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2.0) / focal).astype(np.float32)[None, :]
    up = ((height / 2.0 - 0.5 - np.arange(height, dtype=np.float32)) / focal).astype(np.float32)[:, None]
    half_side, half_top = math.atan(tangent), math.atan(tangent * height / width)
    return Lens(
        width=width,
        height=height,
        focal=focal,
        right=right,
        up=up,
        length=np.sqrt(1.0 + right * right + up * up, dtype=np.float32),
        side=(math.cos(half_side), math.sin(half_side)),
        top=(math.cos(half_top), math.sin(half_top)),
    )


def clip(corners: Floats, distance: Floats) -> Floats:
    """Convex polygons cut at a plane.

    Args:
        corners: (n, k, 3); a polygon with fewer corners repeats one.
        distance: (n, k) signed distance of each corner to the plane; what is negative is cut away. Every polygon must
            have a corner with a distance of at least 0.

    Returns:
        (n, k + 1, 3), repeating the last corner where fewer are left.
    """
    count = distance.shape[1]
    between = _chosen(count).take(np.dot(distance >= 0.0, _powers(count)), axis=0)
    between += _numbers(len(distance)) * count
    corner, after = corners.reshape(-1, 3).take(between.transpose(1, 0, 2), axis=0)
    near, far = distance.take(between.transpose(1, 0, 2))
    share = np.zeros_like(near)
    np.divide(near, near - far, out=share, where=between[:, 0] != between[:, 1])
    return np.asarray(corner + share[..., None] * (after - corner))


@lru_cache(maxsize=64)
def _numbers(count: int) -> NDArray[np.intp]:
    return np.arange(count)[:, None, None]


def clip_one(corners: Sequence[Point], distance: Sequence[float]) -> list[Point]:
    """As `clip`, one polygon without NumPy, whose calls take longer than the arithmetic."""
    count, found = len(corners), list[Point]()
    for number, (here, near) in enumerate(zip(corners, distance)):
        after = (number + 1) % count
        if near >= 0.0:
            found.append(here)
        if (near >= 0.0) != (distance[after] >= 0.0):
            share = near / (near - distance[after])
            (x, y, z), (a, b, c) = here, corners[after]
            found.append((x + share * (a - x), y + share * (b - y), z + share * (c - z)))
    return [*found, *found[-1:] * (count + 1)][: count + 1]


@lru_cache(maxsize=16)
def _powers(count: int) -> NDArray[np.intp]:
    return np.asarray(1 << np.arange(count))


@lru_cache(maxsize=16)
def _chosen(count: int) -> NDArray[np.intp]:
    """(2 ** count, 2, count + 1): between which two corners each corner of a cut polygon lies.

    By which corners are inside, as bits; a corner that stays lies between itself and itself.
    """
    patterns = np.empty((1 << count, 2, count + 1), np.intp)
    for pattern in range(1 << count):
        found = [(0, 0)] if pattern == 0 else []
        for here in range(count):
            after = (here + 1) % count
            if pattern >> here & 1:
                found.append((here, here))
            if (pattern >> here & 1) != (pattern >> after & 1):
                found.append((here, after))
        found = [*found, *found[-1:] * (count + 1)][: count + 1]
        patterns[pattern] = np.transpose(found)
    return patterns
