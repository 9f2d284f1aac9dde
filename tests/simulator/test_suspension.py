"""How a body leans: as far as the stiffness of its springs says, and it comes to rest."""

import math

import pytest

from td3_hpc.simulator.actors import VehicleControl
from td3_hpc.simulator.physics import ANTI_ROLL, DAMPING, SPRING_HZ
from tests.simulator.worlds import DT, car_at, flat_world, give, run, slope_world

BASE, TRACK, HEIGHT = 0.6 * 4.79, 0.8 * 2.16, 0.37 * 1.49
"""Of the default vehicle, metres."""
SPRINGS = (2.0 * math.pi * SPRING_HZ) ** 2
"""Stiffness of all springs, of the mass, 1/s²."""


def test_it_dives_as_its_springs_are_stiff():
    world = flat_world()
    car = car_at(world, 20.0, speed=30.0, brake=0.5)
    give(car, drag_coefficient=0.0)
    run(world, 2.0)
    closed = 4.0 * HEIGHT / (SPRINGS * BASE**2) * car.acceleration[0]  # m a h = stiffness angle
    assert math.radians(car.pose.pitch) == pytest.approx(closed, rel=0.02)
    assert car.pose.pitch < -0.3


def test_it_squats_when_it_accelerates():
    world = flat_world()
    car = car_at(world, 20.0, throttle=1.0)
    run(world, 1.5)
    assert 0.5 < car.pose.pitch < 2.0


@pytest.mark.parametrize("steer", [0.2, -0.2])
def test_it_rolls_outwards_in_a_turn(steer: float):
    world = flat_world()
    car = car_at(world, 300.0, speed=8.0, throttle=0.15, steer=steer)
    run(world, 2.0)
    closed = -4.0 * HEIGHT / (ANTI_ROLL * SPRINGS * TRACK**2) * car.speed * car.yaw_rate
    assert math.radians(car.pose.roll) == pytest.approx(closed, rel=0.05)
    assert math.copysign(1.0, car.pose.roll) == -math.copysign(1.0, steer)


def test_a_heavier_load_leans_more_and_a_lower_centre_less():
    def dive(**values: object) -> float:
        world = flat_world()
        car = car_at(world, 20.0, speed=30.0)
        give(car, **values)
        car.control = VehicleControl(brake=4.0 * car.mass / 1840.0 / 9.0)
        run(world, 2.0)
        return car.pose.pitch

    assert dive(mass=3680.0) == pytest.approx(2.0 * dive(), rel=0.08)
    assert dive(center_of_mass=(0.0, 0.0, -HEIGHT / 2)) == pytest.approx(0.5 * dive(), rel=0.05)


def test_it_swings_as_a_damped_spring_and_comes_to_rest():
    world = flat_world()
    car = car_at(world, 100.0)
    run(world, 0.5)
    start = 0.02
    car.lean, car.held_with = (start, 0.0, 0.0, 0.0), None
    swing, decay = 2 * math.pi * SPRING_HZ * math.sqrt(1 - DAMPING**2), 2 * math.pi * SPRING_HZ * DAMPING
    for step in range(1, 20):
        world.step()
        t = step * DT
        closed = start * math.exp(-decay * t) * (math.cos(swing * t) + decay / swing * math.sin(swing * t))
        assert car.lean[0] == pytest.approx(closed, abs=1e-9)
    run(world, 5.0)
    assert car.lean == (0.0, 0.0, 0.0, 0.0)
    assert car.held_with is not None


@pytest.mark.parametrize("yaw", [0.0, 180.0])
def test_its_turning_is_told_in_the_worlds_frame(yaw: float):
    world = flat_world()
    car = car_at(world, 500.0, yaw=yaw, speed=20.0, brake=0.5, steer=0.02)
    before, turning, facing = car.pose, (0.0, 0.0), math.cos(math.radians(yaw))
    for _ in range(4):
        world.step()
        x, y = (-facing * 0.5 * DT * (then + now) for then, now in zip(turning, car.tilting))
        assert y == pytest.approx(math.radians(car.pose.pitch - before.pitch), abs=5e-4)
        assert x == pytest.approx(math.radians(car.pose.roll - before.roll), abs=5e-4)
        before, turning = car.pose, car.tilting
    assert facing * turning[1] > 0.0, "nose down is a turn about the right axis"
    run(world, 10.0)
    assert car.tilting == (0.0, 0.0)


def test_two_wheelers_do_not_roll():
    world = flat_world()
    bike = car_at(world, 300.0, speed=8.0, steer=0.3, kind="vehicle.kawasaki.ninja")
    run(world, 1.0)
    assert bike.pose.roll == 0.0


def test_on_a_slope_it_leans_on_its_brakes():
    world = slope_world(0.1)
    car = car_at(world, 500.0, brake=1.0)
    run(world, 5.0)
    assert car.ground is not None
    slope = math.atan(car.ground.slope_x)  # which is 0.1 but for the map's rounding
    closed = slope + 4.0 * HEIGHT / (SPRINGS * BASE**2) * 9.81 * math.sin(slope)
    assert math.radians(car.pose.pitch) == pytest.approx(closed, abs=1e-4)
