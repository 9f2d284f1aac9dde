"""Engine, clutch and gears against closed forms."""

import itertools
import math

import pytest

from td3_hpc.simulator.actors import Vehicle, VehicleControl
from td3_hpc.simulator.drive_train import engage
from td3_hpc.simulator.physics import Gear
from td3_hpc.simulator.vehicle import ROLLING_RESISTANCE
from td3_hpc.simulator.world import World
from tests.simulator.worlds import DT, car_at, flat_world, give, run

PETROL = "vehicle.lincoln.mkz_2020"


def bare(world: World, x: float = 20.0, **control: object) -> Vehicle:
    """A car whose engine has the same torque everywhere, and loses nothing but what rolling resistance takes."""
    car = car_at(world, x, kind=PETROL, **control)
    give(
        car, torque_curve=((0.0, 300.0),), max_rpm=6000.0, moi=1e-6, damping_rate_full_throttle=0.0,
        damping_rate_zero_throttle_clutch_engaged=0.0, damping_rate_zero_throttle_clutch_disengaged=0.0,
        clutch_strength=1e5, final_ratio=4.0, forward_gears=(Gear(2.0, 0.0, 1.0),), drag_coefficient=0.0,
        gear_switch_time=0.0, wheels={"damping_rate": 0.0, "long_stiff_value": 1e7, "radius": 36.0},
    )  # fmt: skip
    return car


def acceleration(car: Vehicle, world: World) -> float:
    """Over the second after the first one, m/s²."""
    run(world, 1.0)
    before = car.speed
    run(world, 1.0)
    return car.speed - before


@pytest.mark.parametrize(
    ("change", "torque", "ratio", "mass"),
    [
        ({}, 300.0, 8.0, 1700.0),
        ({"torque_curve": ((0.0, 600.0),)}, 600.0, 8.0, 1700.0),
        ({"final_ratio": 2.0}, 300.0, 4.0, 1700.0),
        ({"forward_gears": (Gear(3.0, 0.0, 1.0),)}, 300.0, 12.0, 1700.0),
        ({"mass": 3000.0}, 300.0, 8.0, 3000.0),
    ],
)
@pytest.mark.parametrize("throttle", [0.3, 0.6])
def test_acceleration_is_torque_by_ratio_and_mass(change, torque: float, ratio: float, mass: float, throttle: float):
    world = flat_world()
    car = bare(world, throttle=throttle)
    give(car, **change)
    expected = throttle * torque * ratio / 0.36 / mass - ROLLING_RESISTANCE
    assert acceleration(car, world) == pytest.approx(expected, rel=0.005)


def test_the_engine_has_to_be_turned_too():
    world = flat_world()
    car = bare(world, throttle=0.5)
    give(car, moi=1.0)
    inertia = 1700.0 + (8.0 / 0.36) ** 2
    assert acceleration(car, world) == pytest.approx(
        (150.0 * 8.0 / 0.36 - 1700 * ROLLING_RESISTANCE) / inertia, rel=0.01
    )


def test_top_speed_in_a_gear_is_the_engines():
    world = flat_world(4000.0)
    car = bare(world, throttle=1.0)
    run(world, 40.0)
    assert car.speed == pytest.approx(6000.0 * math.pi / 30.0 * 0.36 / 8.0, rel=0.002)
    assert car.engine_speed * 30.0 / math.pi == pytest.approx(6000.0, rel=1e-3)
    assert abs(car.acceleration[0]) < 1e-3, "the limiter holds it without swinging"


def test_top_speed_by_power_is_where_air_and_rolling_take_it():
    world = flat_world(6000.0)
    car = car_at(world, 20.0, kind=PETROL, speed=50.0, throttle=1.0)
    run(world, 80.0)
    assert abs(car.acceleration[0]) < 0.02
    assert car.gear == len(car.physics.forward_gears)
    torque = 0.0
    curve = car.physics.torque_curve
    rpm = car.engine_speed * 30.0 / math.pi
    for (low, a), (high, b) in itertools.pairwise(curve):
        if low <= rpm <= high:
            torque = a + (b - a) * (rpm - low) / (high - low)
    power = (torque - car.physics.damping_rate_full_throttle * car.engine_speed) * car.engine_speed
    mechanics, v = car.mechanics, car.speed
    losses = car.mass * (mechanics.air * v**2 + ROLLING_RESISTANCE + mechanics.rolling * v) * v
    assert losses < power < 1.1 * losses, "the rest is the clutch's and the tyres' slip"


def test_the_box_shifts_up_and_down_where_its_ratios_say():
    world = flat_world(3000.0)
    car = car_at(world, 20.0, kind=PETROL, throttle=1.0)
    seen, before = [], (1, 0.0)
    for step in range(900):
        if step == 500:
            car.control = VehicleControl(brake=0.3)
        world.step()
        if car.gear != before[0]:
            seen.append((before[0], car.gear, before[1] / car.mechanics.fastest))
        before = car.gear, car.engine_speed
    ups, downs = [each for each in seen if each[1] > each[0]], [each for each in seen if each[1] < each[0]]
    assert [each[:2] for each in ups] == [(1, 2), (2, 3), (3, 4)]
    assert [each[:2] for each in downs] == [(4, 3), (3, 2), (2, 1)]
    assert all(0.9 < each[2] < 0.97 for each in ups)
    assert all(0.38 < each[2] < 0.47 for each in downs)


def test_nothing_drives_while_the_box_shifts():
    world = flat_world()
    car = car_at(world, 20.0, kind=PETROL, throttle=1.0)
    give(car, gear_switch_time=0.5)
    while car.gear == 1:
        world.step()
    rates = []
    for _ in range(12):
        rates.append(car.acceleration[0])
        world.step()
    assert all(rate < 0.0 for rate in rates[:10])
    assert rates[11] > 1.0


def test_without_the_automatic_box_the_gear_stays():
    world = flat_world(2000.0)
    car = car_at(world, 20.0, kind=PETROL, throttle=1.0)
    give(car, use_gear_autobox=False)
    run(world, 20.0)
    assert car.gear == 1
    assert car.speed == pytest.approx(car.mechanics.fastest / car.mechanics.turns[2], rel=0.02)


@pytest.mark.parametrize("gear", [1, 2, 3])
def test_a_driver_who_shifts_by_hand_has_the_gear_that_he_asks_for(gear: int):
    world = flat_world()
    car = car_at(world, 20.0, kind=PETROL, throttle=1.0, manual_gear_shift=True, gear=gear)
    run(world, 0.5)
    assert car.gear == gear
    run(world, 30.0 / gear)
    assert car.speed <= car.mechanics.fastest / car.mechanics.turns[gear + 1]


def test_a_high_gear_pulls_less_than_a_low_one():
    speeds = []
    for gear in (1, 2, 4):
        world = flat_world()
        car = car_at(world, 20.0, kind=PETROL, throttle=1.0, manual_gear_shift=True, gear=gear)
        run(world, 3.0)
        speeds.append(car.speed)
    assert speeds == sorted(speeds, reverse=True)


def test_in_neutral_the_engine_turns_freely_and_comes_to_rest_by_its_damping():
    world = flat_world()
    car = car_at(world, 100.0, kind=PETROL, throttle=1.0, manual_gear_shift=True, gear=0)
    run(world, 3.0)
    assert car.speed == 0.0
    fastest = car.engine_speed
    assert fastest == pytest.approx(car.mechanics.fastest, rel=0.01)
    give(car, moi=0.5, damping_rate_zero_throttle_clutch_disengaged=0.25)
    car.control = VehicleControl(manual_gear_shift=True, gear=0)
    run(world, 2.0)
    assert car.engine_speed == pytest.approx(fastest * (1.0 + DT * 0.25 / 0.5) ** -40, rel=1e-6)


def test_a_released_throttle_brakes_by_the_engines_damping():
    world = flat_world()
    car = bare(world, speed=15.0)
    give(car, damping_rate_zero_throttle_clutch_engaged=0.5)
    engage(car, 15.0)
    run(world, 2.0)
    rate = 0.5 * (8.0 / 0.36) ** 2 / 1700.0
    expected = (15.0 + ROLLING_RESISTANCE / rate) * math.exp(-2.0 * rate) - ROLLING_RESISTANCE / rate
    assert car.speed == pytest.approx(expected, rel=0.01)


def test_clutch_and_tyres_slip_by_what_they_pass_on():
    world = flat_world()
    car = bare(world, throttle=0.5)
    give(car, clutch_strength=10.0, wheels={"long_stiff_value": 1000.0})
    run(world, 3.0)
    force = 150.0 * 8.0 / 0.36
    slip = force / (4 * 9.81 * 1000.0)
    wheels = car.speed * (1.0 + slip) / 0.36 * 8.0
    assert car.engine_speed - wheels == pytest.approx(150.0 / 10.0, rel=0.05)


def test_softer_tyres_do_not_go_farther():
    ways = []
    for stiffness in (100.0, 2000.0):
        world = flat_world()
        car = car_at(world, 20.0, kind=PETROL, throttle=1.0)
        give(car, wheels={"long_stiff_value": stiffness})
        run(world, 5.0)
        ways.append(car.pose.x)
    assert ways[0] < ways[1]


def test_on_ice_the_engine_races_and_the_car_hardly_moves():
    world = flat_world()
    car = car_at(world, 20.0, kind=PETROL, throttle=1.0, manual_gear_shift=True, gear=1)
    give(car, wheels={"tire_friction": 0.1})
    run(world, 3.0)
    assert car.speed <= 0.9 / 3.5 * 0.1 * 9.81 * 3.0 + 1e-9
    assert car.engine_speed == pytest.approx(car.mechanics.fastest, rel=0.02)


def test_a_speed_that_is_given_finds_gear_and_engine_turning():
    world = flat_world(2000.0)
    car = car_at(world, 20.0, kind=PETROL)
    car.velocity = (25.0, 0.0, 0.0)
    engage(car, 25.0)
    assert car.gear == 2
    before = car.engine_speed
    world.step()
    assert car.speed == pytest.approx(25.0, abs=0.1)
    assert car.engine_speed == pytest.approx(before, rel=0.02)
