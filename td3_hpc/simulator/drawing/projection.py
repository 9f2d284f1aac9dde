"""Perspective: from the world to a camera's pixels.

A camera looks along its x axis, y points right, z up, as everywhere in CARLA. Pixel column i covers [i, i + 1) of the
horizontal axis u; u = width / 2 + f * y / x and v = height / 2 - f * z / x with f = width / (2 tan(fov / 2)).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    number, count = distance.shape
    following = _following(count)
    inside = distance >= 0.0
    crosses = inside != inside[:, following]
    share = np.zeros_like(distance)
    np.divide(distance, distance - distance[:, following], out=share, where=crosses)
    candidates = np.empty((number, count, 2, 3), corners.dtype)
    candidates[:, :, 0] = corners
    candidates[:, :, 1] = corners + share[..., None] * (corners[:, following] - corners)
    left_out = np.empty((number, count, 2), bool)
    np.logical_not(inside, out=left_out[..., 0])
    np.logical_not(crosses, out=left_out[..., 1])
    order = np.argsort(left_out.reshape(number, 2 * count), axis=1, kind="stable")
    last = (2 * count - 1) - np.count_nonzero(left_out, axis=(1, 2))
    rows = np.arange(number)[:, None]
    chosen = order[rows, np.minimum(_numbers(count + 1), last[:, None])]
    return np.asarray(candidates.reshape(number, 2 * count, 3)[rows, chosen])


@lru_cache(maxsize=16)
def _numbers(count: int) -> NDArray[np.intp]:
    return np.arange(count)


@lru_cache(maxsize=16)
def _following(count: int) -> NDArray[np.intp]:
    """Which corner comes after each."""
    return np.roll(np.arange(count), -1)
