"""What is mounted on a vehicle moves and tilts with it, as in the client library."""

import carla
import pytest

from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.mounting import axes_of, mounted, seen_from

POSES = [
    Pose(0.0, 0.0, 0.0),
    Pose(10.0, -5.0, 1.0, 0.0, 120.0, 0.0),
    Pose(10.0, -5.0, 1.0, 8.0, -60.0, 0.0),
    Pose(-3.0, 2.0, 7.0, -12.0, 200.0, 5.0),
]
MOUNT = Pose(1.5, -0.4, 2.4, -8.0, 15.0, 3.0)


def transform_of(pose: Pose) -> carla.Transform:
    return carla.Transform(carla.Location(*pose[:3]), carla.Rotation(*pose[3:]))


@pytest.mark.parametrize("pose", POSES)
def test_axes_are_those_of_a_carla_transform(pose: Pose):
    transform = transform_of(pose)
    vectors = (transform.get_forward_vector(), transform.get_right_vector(), transform.get_up_vector())
    for axis, expected in zip(axes_of(pose), vectors, strict=True):
        assert axis == pytest.approx((expected.x, expected.y, expected.z), abs=1e-5)


@pytest.mark.parametrize("parent", POSES)
def test_a_mounted_pose_maps_points_as_its_parent_maps_them(parent: Pose):
    world = mounted(parent, MOUNT)
    for point in ((0.0, 0.0, 0.0), (5.0, 0.0, 0.0), (0.0, 5.0, 0.0), (0.0, 0.0, 5.0)):
        in_parent = transform_of(MOUNT).transform(carla.Location(*point))
        expected = transform_of(parent).transform(in_parent)
        got = transform_of(world).transform(carla.Location(*point))
        assert (got.x, got.y, got.z) == pytest.approx((expected.x, expected.y, expected.z), abs=2e-3)


@pytest.mark.parametrize("pitch", [90.0, -90.0])
def test_a_camera_that_looks_straight_up_or_down_on_a_tilted_car(pitch: float):
    parent = Pose(0.0, 0.0, 0.0, 10.0, 30.0, 0.0)
    world = mounted(parent, Pose(0.0, 0.0, 2.0, pitch, 0.0, 0.0))
    down = axes_of(world)[0]
    expected = axes_of(parent)[2]
    sign = 1.0 if pitch > 0 else -1.0
    assert down == pytest.approx(tuple(sign * part for part in expected), abs=1e-5)


@pytest.mark.parametrize("pose", POSES)
def test_seen_from_gives_the_parts_along_the_axes(pose: Pose):
    forward, right, up = axes_of(pose)
    vector = tuple(2.0 * f - 3.0 * r + 0.5 * u for f, r, u in zip(forward, right, up, strict=True))
    assert seen_from(pose, vector) == pytest.approx((2.0, -3.0, 0.5))
