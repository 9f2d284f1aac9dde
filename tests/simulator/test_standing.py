"""Boxes of what stands: where lights hang and signs are, not where they work."""

import pytest

from td3_hpc.simulator.drawing.furniture import BOARD_HALF, HEAD_HALF
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.standing import boxes_of
from td3_hpc.simulator.streams import Streams
from td3_hpc.simulator.towns import load_town
from td3_hpc.simulator.world import World
from tests.simulator.worlds import car_at, slope_world


def test_a_light_has_its_heads_above_the_road_and_a_sign_its_board():
    world = World(load_town("Hamlet", None), Streams())
    lights = list(world.lights.values())
    signs = [actor for actor in world.population.by_id.values() if actor.type_id == "traffic.stop"]
    assert lights
    assert signs
    for light in lights:
        near, *across = boxes_of(light, world.town)
        assert near.centre[:2] == light.pose[:2]
        assert near.centre.z - world.town.ground(*light.pose[:3]).z == pytest.approx(4.3, abs=0.3)
        assert {box.extent for box in (near, *across)} == {HEAD_HALF}
    for sign in signs:
        (box,) = boxes_of(sign, world.town)
        assert (box.centre[:2], box.extent) == (sign.pose[:2], BOARD_HALF)


def test_a_vehicle_on_a_slope_is_tilted_with_its_box():
    world = slope_world(0.1)
    car = car_at(world, 500.0)
    (box,) = boxes_of(car, world.town)
    assert box.extent == car.extent
    assert box.centre.pitch == car.pose.pitch > 5.0
    assert box.centre.z > car.pose.z
    assert boxes_of(world.spectator, world.town) == []
    imu = world.spawn([0, "sensor.other.imu", []], Pose(0.0, 0.0, 1.0), car)
    assert boxes_of(imu, world.town) == []
