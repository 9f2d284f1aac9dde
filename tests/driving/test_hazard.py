"""The free way ahead, against boxes whose distance is known."""

import math

import numpy as np
import pytest

from td3_hpc.driving.hazard import gap_ahead
from td3_hpc.driving.proximity import BoundingBox
from td3_hpc.driving.route import Anchor, Route

ALONG = np.arange(0.0, 101.0, 2.0)
STRAIGHT = Route(
    Anchor(0, 0.0),
    Anchor(0, 100.0),
    np.column_stack([ALONG, np.zeros((len(ALONG), 2))]),
    np.zeros((len(ALONG), 3)),
    ALONG,
)
BEND = Route(  # a quarter of a circle of 40 m to the right
    Anchor(0, 0.0),
    Anchor(0, 62.0),
    np.column_stack([40 * np.sin(ALONG[:32] / 40), 40 - 40 * np.cos(ALONG[:32] / 40), np.zeros(32)]),
    np.column_stack([np.zeros(32), np.degrees(ALONG[:32] / 40), np.zeros(32)]),
    ALONG[:32],
)


@pytest.mark.parametrize(
    ("box", "gap"),
    [
        (BoundingBox(40.0, 0.0, 0.0, 2.4, 1.0), 40.0 - 2.4 - 10.0 - 1.3),
        (BoundingBox(40.0, 0.0, 90.0, 2.4, 1.0), 40.0 - 1.0 - 10.0 - 1.3),  # across
        (BoundingBox(40.0, 2.2, 0.0, 2.4, 1.0), 40.0 - 2.4 - 10.0 - math.sqrt(1.3**2 - 1.2**2)),  # half in the way
        (BoundingBox(40.0, 2.4, 0.0, 2.4, 1.0), math.inf),  # beside
        (BoundingBox(5.0, 0.0, 0.0, 2.4, 1.0), math.inf),  # behind
        (BoundingBox(80.0, 0.0, 0.0, 2.4, 1.0), math.inf),  # far
    ],
)
def test_on_a_straight(box: BoundingBox, gap: float):
    assert gap_ahead(STRAIGHT, 10.0, 1.3, [box]) == pytest.approx(gap, abs=0.5)


def test_in_a_bend_what_is_straight_ahead_is_not_in_the_way():
    assert gap_ahead(BEND, 0.0, 1.3, [BoundingBox(35.0, 0.0, 0.0, 2.4, 1.0)]) == math.inf
    x, y, yaw = BEND.place(np.array(30.0))
    ahead = BoundingBox(float(x), float(y), float(yaw), 2.4, 1.0)
    assert gap_ahead(BEND, 0.0, 1.3, [ahead]) == pytest.approx(30.0 - 2.4 - 1.3, abs=0.6)


def test_the_nearest_counts():
    far, near = BoundingBox(60.0, 0.0, 0.0, 2.4, 1.0), BoundingBox(30.0, 0.0, 0.0, 2.4, 1.0)
    assert gap_ahead(STRAIGHT, 10.0, 1.3, [far, near]) == gap_ahead(STRAIGHT, 10.0, 1.3, [near])
    assert gap_ahead(STRAIGHT, 10.0, 1.3, []) == math.inf
