"""Projection and clipping against closed forms."""

import math

import carla
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from td3_hpc.simulator.drawing.projection import clip, clip_one, lens_of, rotation_matrix


@pytest.mark.parametrize("angles", [(0, 0, 0), (10, 0, 0), (0, 90, 0), (0, 0, 30), (-35, 200, 170), (90, 45, -60)])
def test_axes_are_those_of_carla(angles: tuple[float, float, float]) -> None:
    transform = carla.Transform(carla.Location(), carla.Rotation(*angles))
    axes = rotation_matrix(*angles)
    for column, vector in enumerate(
        (transform.get_forward_vector(), transform.get_right_vector(), transform.get_up_vector())
    ):
        assert axes[:, column] == pytest.approx([vector.x, vector.y, vector.z], abs=1e-5)


@pytest.mark.parametrize(("width", "height", "fov"), [(84, 84, 90.0), (800, 600, 60.0), (1, 1, 120.0), (7, 3, 30.0)])
def test_lens_follows_the_pinhole_formula(width: int, height: int, fov: float) -> None:
    lens = lens_of(width, height, fov)
    assert lens.focal == pytest.approx(width / 2 / math.tan(math.radians(fov / 2)))
    assert lens.right[0, -1] == pytest.approx((width / 2 - 0.5) / lens.focal)
    assert lens.up[0, 0] == pytest.approx((height / 2 - 0.5) / lens.focal)
    assert lens.right[0, ::-1] == pytest.approx(-lens.right[0])
    assert lens.length.shape == (height, width)


def _area(polygon: np.ndarray) -> float:
    fan = np.cross(polygon[1:-1] - polygon[0], polygon[2:] - polygon[0])
    return float(0.5 * np.linalg.norm(fan.sum(axis=0)))


@settings(max_examples=200)
@given(st.floats(-1.5, 1.5), st.floats(-3.1, 3.1), st.floats(0.2, 5.0))
def test_clip_parts_a_square_in_two_whose_areas_add_up(offset: float, angle: float, size: float) -> None:
    square = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], float)[None] * size
    distance = square[:, :, 0] * math.cos(angle) + square[:, :, 1] * math.sin(angle) + offset * size
    total = 0.0
    for sign in (1.0, -1.0):
        if (sign * distance).max() <= 1e-9:
            continue
        part = clip(square, sign * distance)
        assert part.shape == (1, 5, 3)
        kept = part[0, :, 0] * math.cos(angle) + part[0, :, 1] * math.sin(angle) + offset * size
        assert (sign * kept >= -1e-6 * size).all()
        total += _area(part[0])
    assert total == pytest.approx(4.0 * size * size, rel=1e-6)


def test_clip_leaves_what_is_inside_alone() -> None:
    square = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float)[None]
    assert np.array_equal(clip(square, np.ones((1, 4)))[0, :4], square[0])


@settings(max_examples=200)
@given(st.integers(3, 7), st.integers(0, 2**32 - 1))
def test_one_polygon_alone_is_cut_as_among_others(count: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    corners, distance = chance.normal(size=(4, count, 3)), chance.normal(size=(4, count))
    distance[:, 0] = np.abs(distance[:, 0])
    together = clip(corners, distance)
    for polygon, side, found in zip(corners, distance, together, strict=True):
        alone = clip_one([(x, y, z) for x, y, z in polygon.tolist()], side.tolist())
        assert np.array_equal(np.array(alone), found)
