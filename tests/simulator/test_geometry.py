"""Poses and boxes, against the client library's own transforms."""

import carla
import pytest

from td3_hpc.simulator.geometry import OrientedBox, Pose, angle_between

YAWS = [0.0, 37.0, 90.0, -135.0, 180.0]


@pytest.mark.parametrize("yaw", YAWS)
def test_ahead_is_carlas_transform_of_a_level_pose(yaw: float):
    there = Pose(10.0, -4.0, 2.0, 0.0, yaw).ahead(3.0, -1.5, 0.5)
    expected = carla.Transform(carla.Location(10.0, -4.0, 2.0), carla.Rotation(yaw=yaw)).transform(
        carla.Location(3.0, -1.5, 0.5)
    )
    assert there[:3] == pytest.approx((expected.x, expected.y, expected.z), abs=1e-5)


@pytest.mark.parametrize("yaw", YAWS)
def test_offset_of_undoes_ahead(yaw: float):
    here = Pose(5.0, 6.0, 0.0, 0.0, yaw)
    there = here.ahead(7.0, -2.0)
    assert here.offset_of(there.x, there.y) == pytest.approx((7.0, -2.0))


def test_a_box_contains_its_corners_and_nothing_beyond_them():
    box = OrientedBox(Pose(1.0, 2.0, 3.0, 0.0, 30.0), (4.0, 1.0, 0.5))
    for x, y in box.corners():
        assert OrientedBox(box.centre, (4.0 + 1e-9, 1.0 + 1e-9, 0.5)).contains(x, y, 3.5)
        assert not box.contains(1.0 + 1.01 * (x - 1.0), 2.0 + 1.01 * (y - 2.0), 3.0)
    assert not box.contains(1.0, 2.0, 3.51)


@pytest.mark.parametrize(
    ("a", "b", "turn"), [(10, 350, 20), (350, 10, -20), (180, 0, -180), (720, 0, 0), (-90, 90, -180)]
)
def test_angle_between_takes_the_short_way(a: float, b: float, turn: float):
    assert angle_between(a, b) == turn
