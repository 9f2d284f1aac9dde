"""The Ackermann controller: it reaches the speed and the wheel angle that it is asked for."""

import math

import pytest

from td3_hpc.simulator.actors import AckermannTarget, Vehicle
from td3_hpc.simulator.vehicle import wheel_angle
from td3_hpc.simulator.world import World
from tests.simulator.worlds import DT, car_at, flat_world, run, slope_world


def driven(world: World, target: AckermannTarget, seconds: float, **more: float) -> Vehicle:
    car = car_at(world, 300.0, **more)
    car.ackermann = target
    run(world, seconds)
    return car


@pytest.mark.parametrize("speed", [1.0, 5.0, 15.0])
def test_it_reaches_a_speed_and_holds_it(speed: float):
    world = flat_world()
    car = driven(world, AckermannTarget(0.0, 0.0, speed, 0.0), 12.0)
    reached = car.speed
    run(world, 2.0)
    assert reached == pytest.approx(speed, rel=0.05, abs=0.1)
    assert car.speed == pytest.approx(reached, abs=0.02)


def test_it_drives_backwards():
    car = driven(flat_world(), AckermannTarget(0.0, 0.0, -3.0, 0.0), 6.0)
    assert car.control.reverse
    assert car.velocity[0] == pytest.approx(-3.0, rel=0.1)


def test_it_brakes_to_a_stop_and_stands_also_on_a_slope():
    world = slope_world(0.06)
    car = driven(world, AckermannTarget(0.0, 0.0, 0.0, 0.0), 8.0, speed=12.0)
    x = car.pose.x
    run(world, 3.0)
    assert car.speed < 0.05
    assert car.pose.x == pytest.approx(x, abs=0.05)


def test_an_acceleration_is_not_exceeded():
    world = flat_world()
    car = car_at(world, 300.0)
    car.ackermann = AckermannTarget(0.0, 0.0, 15.0, 1.0)
    for _ in range(100):
        before = car.speed
        world.step()
        assert (car.speed - before) / DT < 1.05
    assert car.speed > 3.0


def test_the_wheel_turns_to_the_angle_at_the_speed_that_is_asked_for():
    world = flat_world()
    car = car_at(world, 300.0)
    car.ackermann = AckermannTarget(math.radians(20.0), math.radians(10.0), 0.0, 0.0)
    run(world, 1.0)
    assert math.degrees(wheel_angle(car, 0.0)) == pytest.approx(10.0, abs=0.5)
    run(world, 2.0)
    assert math.degrees(wheel_angle(car, 0.0)) == pytest.approx(20.0, abs=0.1)
