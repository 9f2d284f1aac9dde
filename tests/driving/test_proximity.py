"""Boxes that may touch, against a brute-force distance; jolts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from td3_hpc.driving.proximity import JOLT, TOUCHING_M, BoundingBox, is_blocked, is_jolt, may_touch

boxes = st.builds(
    BoundingBox,
    x=st.floats(-12, 12),
    y=st.floats(-12, 12),
    yaw=st.floats(-360, 360),
    half_length=st.floats(0.5, 4),
    half_width=st.floats(0.5, 2),
)
EGO = BoundingBox(0.0, 0.0, 0.0, 2.4, 1.0)


def outline(box: BoundingBox) -> np.ndarray:
    """Points of the box's filled area, every 0.25 m or less."""
    forward, right = np.meshgrid(
        np.linspace(-box.half_length, box.half_length, 33), np.linspace(-box.half_width, box.half_width, 17)
    )
    yaw = math.radians(box.yaw)
    x = box.x + forward * math.cos(yaw) - right * math.sin(yaw)
    y = box.y + forward * math.sin(yaw) + right * math.cos(yaw)
    return np.stack((x.ravel(), y.ravel()), axis=1)


@given(boxes, boxes)
def test_agrees_with_the_distance_between_the_areas(first, second):
    gaps = outline(first)[:, None] - outline(second)[None]
    distance = float(np.sqrt((gaps**2).sum(axis=-1)).min())
    if distance < 0.01:
        assert may_touch(first, [second])
    if distance > math.sqrt(2) * TOUCHING_M + 0.4:  # the sampling's error; a corner may be sqrt(2) away
        assert not may_touch(first, [second])


def test_looks_at_every_other_box():
    far, near = BoundingBox(30, 0, 0, 2.4, 1), BoundingBox(5.0, 0, 0, 2.4, 1)
    assert may_touch(EGO, [far, near])
    assert not may_touch(EGO, [far])
    assert not may_touch(EGO, [])


@pytest.mark.parametrize(("gap", "touching"), [(TOUCHING_M - 0.01, True), (TOUCHING_M + 0.01, False)])
def test_the_margin(gap, touching):
    assert may_touch(EGO, [BoundingBox(2.4 + gap + 2.4, 0.0, 0.0, 2.4, 1.0)]) is touching
    assert may_touch(EGO, [BoundingBox(0.0, 1.0 + gap + 2.4, 90.0, 2.4, 1.0)]) is touching


@pytest.mark.parametrize(
    ("along", "across", "yaw", "blocked"),
    [
        (2.4 + 11.9 + 2.4, 0.0, 0.0, True),
        (2.4 + 12.1 + 2.4, 0.0, 0.0, False),
        (2.4 + 11.9 + 1.0, 0.0, 90.0, True),
        (2.4 + 12.1 + 1.0, 0.0, 90.0, False),
        (8.0, 1.7, 0.0, True),
        (8.0, -1.7, 180.0, True),
        (8.0, 1.8, 0.0, False),
        (-8.0, 0.0, 0.0, False),
    ],
)
@pytest.mark.parametrize("heading", [0.0, 90.0, -135.0])
def test_a_car_ahead_in_the_lane_blocks_it(along, across, yaw, blocked, heading):
    angle = math.radians(heading)
    x = 50.0 + along * math.cos(angle) - across * math.sin(angle)
    y = -20.0 + along * math.sin(angle) + across * math.cos(angle)
    ego, beside = BoundingBox(50.0, -20.0, heading, 2.4, 1.0), BoundingBox(90.0, 90.0, 0.0, 2.4, 1.0)
    other = BoundingBox(x, y, heading + yaw, 2.4, 1.0)
    assert is_blocked(ego, [beside, other], 12.0, 3.5) is blocked


def test_full_braking_is_no_jolt_and_a_wall_is():
    assert not is_jolt((10.0, 0.0), (10.0 - 9.0 * 0.05, 0.0), 0.05)
    assert is_jolt((10.0, 0.0), (10.0 - 1.1 * JOLT * 0.05, 0.0), 0.05)
    assert is_jolt((10.0, 0.0), (0.0, 0.0), 0.05)
