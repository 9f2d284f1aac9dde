"""Walkers: where they go, how high they jump, and that they fall."""

import math

import pytest

from td3_hpc.simulator.actors import Walker
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.vehicle import GRAVITY
from td3_hpc.simulator.walking import JUMP_SPEED
from td3_hpc.simulator.world import World
from tests.simulator.worlds import DT, flat_world, run, slope_world


def walker_in(world: World, above: float = 0.0) -> Walker:
    """One whose feet are so far above the ground at x = 100."""
    made = world.spawn([0, "walker.pedestrian.0001", []], Pose(100.0, 1.75, 0.0, 0.0, 30.0))
    assert isinstance(made, Walker)
    made.pose = made.pose._replace(z=world.town.ground(100.0, 1.75, 0.0).z + made.extent[2] + above)
    return made


def test_it_walks_along_the_ground_at_its_speed_and_stops():
    world = slope_world(0.1)
    made = walker_in(world)
    made.direction, made.walking_speed = (2.0, 0.0, 0.0), 1.4
    run(world, 10.0)
    assert made.pose[:3] == pytest.approx((114.0, 1.75, 11.4 + made.extent[2]), abs=0.01)
    assert (made.pose.yaw, made.velocity) == (0.0, (1.4, 0.0, 0.0))
    made.walking_speed = 0.0
    run(world, 1.0)
    assert made.pose.x == pytest.approx(114.0, abs=0.01)
    assert made.velocity == (0.0, 0.0, 0.0)


def test_it_falls_to_the_ground_from_where_it_was_spawned_and_keeps_its_heading():
    world = flat_world()
    made = walker_in(world, 2.0)
    steps = 0
    while not made.stands:
        world.step()
        steps += 1
    assert steps * DT == pytest.approx(math.sqrt(2 * 2.0 / GRAVITY), abs=2 * DT)
    assert made.pose == Pose(100.0, 1.75, made.extent[2], 0.0, 30.0, 0.0)
    made.teleport(made.pose._replace(z=5.0))
    run(world, 2.0)
    assert made.pose.z == made.extent[2]


def test_it_jumps_as_high_as_its_speed_takes_it_and_lands():
    world = flat_world()
    made = walker_in(world)
    world.step()
    made.jump = True
    world.step()
    made.jump = False
    heights = []
    for _ in range(30):
        heights.append(made.pose.z - made.extent[2])
        world.step()
    assert max(heights) == pytest.approx(JUMP_SPEED**2 / (2 * GRAVITY), abs=0.005)
    assert heights[-1] == 0.0
    assert sum(height > 0.0 for height in heights) * DT == pytest.approx(2 * JUMP_SPEED / GRAVITY, abs=2 * DT)
