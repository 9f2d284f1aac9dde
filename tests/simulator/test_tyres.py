"""What tyres hold: braking, hand brake, turns and slopes, against closed forms."""

import math

import pytest

from td3_hpc.simulator.physics import GRAVITY, ROAD_GRIP, ROAD_TIRE_FRICTION
from td3_hpc.simulator.tyres import loads_of
from tests.simulator.worlds import DT, car_at, flat_world, give, run, slope_world

SURE = {"max_brake_torque": 1e5}


def grip(tire_friction: float) -> float:
    """The tyres' coefficient."""
    return ROAD_GRIP * tire_friction / ROAD_TIRE_FRICTION


@pytest.mark.parametrize("speed", [5.0, 15.0, 30.0])
@pytest.mark.parametrize("friction", [3.5, 1.75, 0.7])
@pytest.mark.parametrize("kind", ["vehicle.tesla.model3", "vehicle.lincoln.mkz_2020"])
def test_braking_distance_follows_friction(speed: float, friction: float, kind: str):
    world = flat_world()
    car = car_at(world, 20.0, speed=speed, brake=1.0, kind=kind)
    give(car, drag_coefficient=0.0, wheels={"tire_friction": friction})
    run(world, 40.0)
    assert car.speed == 0.0
    closed = speed**2 / (2 * grip(friction) * GRAVITY)
    assert car.pose.x - 20.0 == pytest.approx(closed, rel=0.02, abs=speed * DT / 2 + 0.1)


@pytest.mark.parametrize("pedal", [0.2, 0.5])
def test_a_light_foot_brakes_by_its_torque(pedal: float):
    world = flat_world()
    car = car_at(world, 20.0, speed=20.0, brake=pedal)
    give(car, drag_coefficient=0.0, damping_rate_zero_throttle_clutch_engaged=0.0, moi=1e-6)
    run(world, 2.0)
    torque = pedal * sum(wheel.max_brake_torque for wheel in car.physics.wheels)
    assert 20.0 - car.speed == pytest.approx(2.0 * (torque / 0.36 / 1840.0 + 0.12), rel=0.02)


def test_each_wheel_has_its_brake():
    """Brakes on the front wheels alone stop it by what these tyres carry, load shifted to them included."""
    world = flat_world()
    car = car_at(world, 20.0, speed=25.0, brake=1.0)
    front_left, front_right, *rear = car.physics.wheels
    free = [wheel._replace(max_brake_torque=0.0) for wheel in rear]
    give(car, drag_coefficient=0.0, damping_rate_zero_throttle_clutch_engaged=0.0, moi=1e-6,
         wheels=(front_left._replace(**SURE), front_right._replace(**SURE), *free))  # fmt: skip
    run(world, 1.0)
    before = car.speed
    run(world, 1.0)
    base, height = 0.6 * 4.79, 0.37 * 1.49
    closed = ROAD_GRIP * GRAVITY * 0.5 / (1.0 - ROAD_GRIP * height / base)
    assert before - car.speed == pytest.approx(closed, rel=0.05)


def test_the_hand_brake_holds_the_rear_wheels_alone():
    world = flat_world()
    car = car_at(world, 20.0, speed=25.0, hand_brake=True)
    give(car, drag_coefficient=0.0, damping_rate_zero_throttle_clutch_engaged=0.0, moi=1e-6)
    run(world, 1.0)
    before = car.speed
    run(world, 1.0)
    base, height = 0.6 * 4.79, 0.37 * 1.49
    closed = ROAD_GRIP * GRAVITY * 0.5 / (1.0 + ROAD_GRIP * height / base)
    assert before - car.speed == pytest.approx(closed, rel=0.06)
    give(car, wheels={"max_handbrake_torque": 0.0})
    before = car.speed
    run(world, 1.0)
    assert before - car.speed < 0.5


def test_without_friction_and_drag_it_keeps_its_speed():
    world = flat_world()
    car = car_at(world, 20.0, speed=100 / 3.6, brake=1.0, steer=0.5)
    give(car, drag_coefficient=0.0, wheels={"tire_friction": 0.0})
    run(world, 5.0)
    assert car.velocity[0] == pytest.approx(27.78, abs=0.1)
    assert car.yaw_rate == 0.0


@pytest.mark.parametrize("friction", [3.5, 1.75, 0.7])
def test_tyres_limit_a_fast_turn(friction: float):
    world = flat_world()
    car = car_at(world, 300.0, speed=30.0, steer=1.0)
    give(car, wheels={"tire_friction": friction})
    worst = 0.0
    for _ in range(60):
        world.step()
        worst = max(worst, abs(car.speed * car.yaw_rate))
    assert 0.7 * grip(friction) * GRAVITY < worst <= 1.05 * grip(friction) * GRAVITY


def test_who_brakes_in_a_turn_has_less_for_each():
    world = flat_world()
    car = car_at(world, 300.0, speed=25.0, steer=1.0, brake=1.0)
    for _ in range(10):
        world.step()
        assert math.hypot(*car.tyre_force) <= 1.02 * ROAD_GRIP * GRAVITY
    assert min(map(abs, car.tyre_force)) > 0.4 * ROAD_GRIP * GRAVITY


@pytest.mark.parametrize("friction", [3.5, 0.3])
def test_a_slope_is_held_as_far_as_the_tyres_hold(friction: float):
    world = slope_world(0.2)
    car = car_at(world, 500.0, brake=1.0)
    give(car, wheels={"tire_friction": friction})
    run(world, 3.0)
    slope = math.atan(0.2)
    if grip(friction) > 0.2:
        assert car.velocity == (0.0, 0.0, 0.0)
    else:
        slide = 3.0 * GRAVITY * (math.sin(slope) - grip(friction) * math.cos(slope))
        assert car.velocity[0] == pytest.approx(-slide, rel=0.05)


def test_a_parked_car_stays_where_it_is():
    world = flat_world()
    car = car_at(world, 100.0, hand_brake=True)
    run(world, 1.0)
    pose = car.pose
    run(world, 60.0)
    assert car.pose == pose
    assert car.velocity == (0.0, 0.0, 0.0)
    assert car.engine_speed == 0.0


def test_loads_add_up_and_shift():
    world = flat_world()
    car = car_at(world, 100.0, speed=20.0, brake=0.5, steer=0.1)
    run(world, 1.0)
    front_left, front_right, rear_left, rear_right = loads = loads_of(car, GRAVITY)
    assert sum(loads) == pytest.approx(GRAVITY)
    assert front_left + front_right > rear_left + rear_right
    assert front_left + rear_left > front_right + rear_right


def test_without_gravity_tyres_hold_nothing():
    world = flat_world()
    car = car_at(world, 100.0, speed=20.0, brake=1.0)
    give(car, drag_coefficient=0.0)
    car.gravity = False
    run(world, 2.0)
    assert car.speed == pytest.approx(20.0, abs=1e-9)
