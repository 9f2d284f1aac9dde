"""Lines beside and across a route."""

import numpy as np
import pytest

from td3_hpc.driving.route import Anchor, Route
from td3_hpc.driving.situations.path import across, beside

NORTH = Route(  # CARLA's y points right of x: yaw 90 is along y, and its right is -x
    Anchor(0, 0.0),
    Anchor(0, 20.0),
    np.array([[5.0, 0.0, 1.0], [5.0, 10.0, 1.0], [5.0, 20.0, 2.0]]),
    np.array([[0.0, 90.0, 0.0]] * 3),
    np.array([0.0, 10.0, 20.0]),
    np.array([[22.0, 5.0, 22.0, 90.0]]),
)


def test_beside_is_on_the_right_at_the_route_s_distances():
    path = beside(NORTH, 1.5)
    assert path.at(10.0) == pytest.approx((3.5, 10.0, 1.0, 0.0, 90.0))
    assert path.at(22.0) == pytest.approx((3.5, 22.0, 2.0, 0.0, 90.0)), "past the goal at the goal's height"
    assert path.length == 22.0


@pytest.mark.parametrize(("from_right", "start"), [(True, -1.0), (False, 11.0)])
def test_across_meets_the_route_half_way(from_right: bool, start: float):
    path = across(NORTH, 10.0, 6.0, from_right)
    assert path.at(0.0)[:2] == pytest.approx((start, 10.0))
    assert path.at(6.0)[:2] == pytest.approx((5.0, 10.0))
    assert path.at(12.0)[:2] == pytest.approx((10.0 - start, 10.0))
    x, y = np.cos(np.radians(path.at(3.0)[4])), np.sin(np.radians(path.at(3.0)[4]))
    assert (x, y) == pytest.approx((1.0 if from_right else -1.0, 0.0), abs=1e-9), "it faces where it goes"
