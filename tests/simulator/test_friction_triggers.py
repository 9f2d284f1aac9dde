"""Friction triggers: tyres have the box's friction in it, and their own outside."""

from dataclasses import replace

import pytest

from td3_hpc.simulator.actors import FrictionTrigger, Vehicle
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.physics import GRAVITY, ROAD_GRIP, ROAD_TIRE_FRICTION
from td3_hpc.simulator.world import World
from tests.simulator.worlds import car_at, flat_world, run


def trigger_at(world: World, x: float, friction: float, half_length: float = 20.0) -> FrictionTrigger:
    """A box across the road; its extents are given in centimetres."""
    values = {"friction": friction, "extent_x": half_length * 100, "extent_y": 500.0, "extent_z": 200.0}
    attributes = [[name, 3, str(value)] for name, value in values.items()]
    trigger = world.spawn([0, "static.trigger.friction", attributes], Pose(x, 1.75, 0.0))
    assert isinstance(trigger, FrictionTrigger)
    return trigger


def frictions(car: Vehicle) -> list[float]:
    return [wheel.tire_friction for wheel in car.physics.wheels]


def test_it_is_the_boxes_friction_inside_and_the_tyres_outside():
    world = flat_world()
    trigger_at(world, 100.0, 0.5)
    car = car_at(world, 50.0)
    car.constant_velocity = (20.0, 0.0, 0.0)
    seen = []
    for _ in range(100):
        world.step()
        seen.append((car.pose.x, frictions(car)[0]))
    half = car.model.length / 2
    for x, friction in seen:
        if abs(x - 1.0 - 100.0) < 20.0 + half - 1.0:  # it is looked at before each step of one metre
            assert friction == 0.5, x
        elif abs(x - 1.0 - 100.0) > 20.0 + half + 1.0:
            assert friction == 3.5, x


@pytest.mark.parametrize("friction", [0.7, 1.75])
def test_braking_distance_follows_the_trigger(friction: float):
    world = flat_world()
    trigger_at(world, 300.0, friction, 300.0)
    car = car_at(world, 50.0, speed=20.0, brake=1.0)
    car.obey(replace(car.physics, drag_coefficient=0.0))
    run(world, 20.0)
    grip = ROAD_GRIP * friction / ROAD_TIRE_FRICTION
    assert car.pose.x - 50.0 == pytest.approx(400.0 / (2 * grip * GRAVITY), rel=0.03)


def test_other_values_may_change_inside_and_the_friction_comes_back():
    world = flat_world()
    trigger = trigger_at(world, 100.0, 1.0)
    car = car_at(world, 100.0)
    world.step()
    wheels = tuple(wheel._replace(tire_friction=2.0) for wheel in car.physics.wheels)
    car.obey(replace(car.physics, mass=2500.0, wheels=wheels))
    world.step()
    assert frictions(car) == [2.0] * 4
    world.destroy(trigger)
    world.step()
    assert frictions(car) == [3.5] * 4
    assert car.mass == 2500.0


def test_of_two_boxes_the_last_counts_and_nothing_hits_them():
    world = flat_world()
    first, second = trigger_at(world, 100.0, 1.0), trigger_at(world, 110.0, 2.0)
    car = car_at(world, 105.0, speed=5.0)
    world.step()
    assert frictions(car) == [2.0] * 4
    world.destroy(second)
    world.step()
    assert frictions(car) == [1.0] * 4
    assert world.contacts == []
    assert first not in world.population.solid
    car.teleport(Pose(500.0, 1.75, 0.0))
    world.step()
    assert frictions(car) == [3.5] * 4
