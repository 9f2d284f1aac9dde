"""Each model's own physics, and what follows from the values that a client gives."""

import math

import pytest

from td3_hpc.simulator.blueprints import VEHICLES
from td3_hpc.simulator.physics import GRAVITY, ROAD_GRIP, Mechanics, mechanics_of, segments, standard_physics, value_at
from tests.simulator.worlds import DT, car_at, flat_world, give, run


@pytest.mark.parametrize("name", VEHICLES)
def test_every_model_has_the_power_and_the_brakes_of_its_kind(name: str):
    model = VEHICLES[name]
    physics = standard_physics(model)
    power = max(torque * rpm * math.pi / 30.0 for rpm, torque in physics.torque_curve)
    assert power == pytest.approx(850.0 * model.power_kw, rel=0.04)
    mechanics = mechanics_of(physics, model)
    assert sum(mechanics.brakes) > ROAD_GRIP * GRAVITY, "full brakes use all of a dry road"
    assert sum(mechanics.shares) == pytest.approx(1.0)
    fastest = mechanics.fastest / mechanics.turns[-1]
    assert mechanics.air * fastest**3 * model.mass > 0.99 * power, "no gear is missing at the top"


@pytest.mark.parametrize(
    ("name", "least_s", "most_s"),
    [
        ("lincoln.mkz_2020", 6.0, 8.0),  # 6.9 to 7.5 s
        ("tesla.model3", 5.0, 6.5),  # 5.6 to 6.1 s with 239 kW
        ("nissan.micra", 10.5, 14.0),  # 13.7 s with 59 kW
        ("ford.mustang", 4.5, 6.5),  # 4.8 s
        ("mercedes.sprinter", 12.0, 17.0),
        ("kawasaki.ninja", 4.5, 7.0),
    ],
)
def test_it_reaches_100_km_h_as_a_real_one_of_its_kind(name: str, least_s: float, most_s: float):
    world = flat_world(3000.0)
    car = car_at(world, 20.0, kind=f"vehicle.{name}", throttle=1.0)
    seconds = 0.0
    while car.speed < 100.0 / 3.6 and seconds < 30.0:
        world.step()
        seconds += DT
    assert least_s < seconds < most_s


def test_mass_and_centre_of_mass_share_out_the_load():
    car = car_at(flat_world(), 100.0)
    base, track = 0.6 * car.model.length, 0.8 * car.model.width
    give(car, mass=3680.0, center_of_mass=(0.25 * base, 0.1 * track, -0.2))
    mechanics = car.mechanics
    assert car.mass == 3680.0
    front_left, front_right, rear_left, rear_right = mechanics.shares
    assert front_left + front_right == pytest.approx(0.75)
    assert front_right + rear_right == pytest.approx(0.6)
    assert mechanics.dive == pytest.approx((0.37 * car.model.height - 0.2) / (2 * base))
    assert rear_left == pytest.approx(0.25 * 0.4)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_mass_changes_acceleration(factor: float):
    def pull(mass: float) -> float:
        world = flat_world()
        car = car_at(world, 20.0, throttle=0.5)
        give(car, mass=mass, moi=1e-6)
        run(world, 2.0)
        return car.speed

    assert pull(1840.0 * factor) / pull(1840.0) == pytest.approx(1.0 / factor, rel=0.06)


def test_drag_is_the_airs_and_a_light_car_feels_it_more():
    world = flat_world(3000.0)
    car = car_at(world, 20.0)
    area = car.model.width * car.model.height
    give(car, drag_coefficient=0.6, mass=1000.0)
    assert car.mechanics.air == pytest.approx(0.5 * 1.2 * 0.6 * area / 1000.0)


def test_a_curve_is_straight_between_its_points_and_level_beyond():
    curve = segments(((10.0, 1.0), (20.0, 3.0), (40.0, 2.0)), 2.0)
    found = [value_at(curve, x) for x in (0.0, 20.0, 30.0, 40.0, 60.0, 80.0, 1e9)]
    assert found == [1.0, 1.0, 2.0, 3.0, 2.5, 2.0, 2.0]
    assert value_at(segments(((5.0, 7.0),), 1.0), 3.0) == value_at(segments(((5.0, 7.0),), 1.0), 9.0) == 7.0


def test_the_lock_is_the_mean_of_both_front_wheels():
    car = car_at(flat_world(), 100.0)
    left, right, *rear = car.physics.wheels
    give(car, wheels=(left._replace(max_steer_angle=30.0), right._replace(max_steer_angle=50.0), *rear))
    mechanics: Mechanics = car.mechanics
    assert mechanics.lock == pytest.approx(math.radians(0.5 * 40.0))
