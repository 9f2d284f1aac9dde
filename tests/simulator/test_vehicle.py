"""Vehicle dynamics against the physics that they stand for."""

import math

import pytest

from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.physics import GRAVITY, ROAD_GRIP, wheelbase
from td3_hpc.simulator.vehicle import drag, steady_yaw_rate, wheel_angle
from tests.simulator.worlds import DT, car_at, flat_world, give, run, slope_world


def test_full_throttle_is_no_rocket_and_no_snail():
    world = flat_world(3000.0)
    car = car_at(world, 20.0, throttle=1.0)
    run(world, 6.0)
    assert 80.0 < car.speed * 3.6 < 130.0  # a Model 3 needs 3.3 to 6.1 s to 100 km/h
    run(world, 54.0)
    assert 180.0 < car.speed * 3.6 < 290.0
    assert abs(car.acceleration[0]) < 0.6


def test_coasting_slows_down_and_never_backwards():
    world = flat_world()
    car = car_at(world, 20.0, speed=20.0)
    speeds = []
    for _ in range(2000):
        world.step()
        speeds.append(car.velocity[0])
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[20] < 20.0
    assert speeds[-1] == 0.0


def test_drag_is_the_airs():
    world = flat_world()
    car = car_at(world, 20.0)
    area = car.model.width * car.model.height
    assert drag(car, 30.0) == pytest.approx(0.5 * 1.2 * 0.3 * area * 900 / 1840)
    assert drag(car, -30.0) == -drag(car, 30.0)


def test_a_slow_turn_is_the_circle_of_the_bicycle_model():
    world = flat_world()
    car = car_at(world, 500.0, speed=3.0, steer=0.3, throttle=0.15)
    places = []
    for step in range(600):
        world.step()
        car.velocity = tuple(part * 3.0 / car.speed for part in car.velocity)  # type: ignore[assignment]
        if step > 100:
            places.append(car.pose[:2])
    radius = wheelbase(car.model) / math.tan(wheel_angle(car, 3.0))
    diameter = max(math.dist(places[0], place) for place in places)
    arm = wheelbase(car.model) / 2
    assert diameter == pytest.approx(2 * math.hypot(radius, arm), rel=0.03)


def test_tyres_limit_a_fast_turn():
    world = flat_world()
    car = car_at(world, 300.0, speed=30.0, steer=1.0)
    worst = 0.0
    for _ in range(60):
        world.step()
        worst = max(worst, abs(car.speed * car.yaw_rate))
    assert worst <= ROAD_GRIP * GRAVITY * 1.05
    assert worst > 0.7 * ROAD_GRIP * GRAVITY


@pytest.mark.parametrize(("front", "rear"), [(8.5, 17.0), (17.0, 8.5), (17.0, 17.0), (34.0, 34.0)])
def test_unequal_tyres_under_and_oversteer(front: float, rear: float):
    world = flat_world()
    car = car_at(world, 300.0, steer=0.05)
    even = steady_yaw_rate(car, 15.0)
    ahead, behind = car.physics.wheels[:2], car.physics.wheels[2:]
    wheels = [wheel._replace(lat_stiff_value=front) for wheel in ahead]
    wheels += [wheel._replace(lat_stiff_value=rear) for wheel in behind]
    give(car, wheels=tuple(wheels))
    base, gradient = wheelbase(car.model), (1.0 / front - 1.0 / rear) / GRAVITY
    assert steady_yaw_rate(car, 15.0) == pytest.approx(even * base / (base + gradient * 225.0))


def test_reverse_drives_backwards_slower():
    world = flat_world()
    car = car_at(world, 500.0, throttle=0.5, reverse=True)
    run(world, 4.0)
    assert -15.0 < car.velocity[0] < -3.0


@pytest.mark.parametrize(
    ("asked", "engaged"),
    [
        ({}, 1),
        ({"gear": -1}, 1),  # without manual_gear_shift the automatic box decides
        ({"reverse": True}, -1),
        ({"manual_gear_shift": True, "gear": -1}, -1),
        ({"manual_gear_shift": True, "gear": 0}, 0),
        ({"manual_gear_shift": True, "gear": 1}, 1),
        ({"manual_gear_shift": True, "gear": 9}, 1),  # an electric car has one
    ],
)
def test_the_gear_decides_where_it_goes(asked: dict[str, object], engaged: int):
    world = flat_world()
    car = car_at(world, 500.0, throttle=0.5, **asked)
    run(world, 2.0)
    assert car.gear == engaged
    assert math.copysign(1.0, car.velocity[0]) == math.copysign(1.0, engaged) if engaged else car.velocity[0] == 0.0


def test_steering_in_reverse_turns_the_other_way():
    world = flat_world()
    ahead = car_at(world, 300.0, throttle=0.3, steer=0.5)
    back = car_at(world, 700.0, throttle=0.3, steer=0.5, reverse=True)
    run(world, 1.0)
    assert ahead.yaw_rate > 0.05
    assert back.yaw_rate < -0.05


@pytest.mark.parametrize("rise", [0.08, -0.08, 0.2])
@pytest.mark.parametrize("held", [{"brake": 1.0}, {"hand_brake": True}])
def test_brakes_hold_on_a_slope(rise: float, held: dict[str, object]):
    world = slope_world(rise)
    car = car_at(world, 500.0, **held)
    run(world, 10.0)
    assert car.pose.x == pytest.approx(500.0, abs=0.02)
    assert car.velocity == (0.0, 0.0, 0.0)


def test_without_a_brake_it_rolls_down():
    world = slope_world(0.1)
    car = car_at(world, 500.0)
    run(world, 3.0)
    assert car.velocity[0] < -1.0
    slope = math.atan(0.1)
    assert car.velocity[0] > -GRAVITY * math.sin(slope) * 3.0
    assert car.pose.z == pytest.approx(car.pose.x * 0.1, abs=0.02)
    assert car.pose.pitch == pytest.approx(math.degrees(slope), abs=0.1)


def test_a_hill_costs_speed():
    flat, hill = flat_world(), slope_world(0.1)
    cars = [car_at(world, 20.0, throttle=0.6) for world in (flat, hill)]
    for world in (flat, hill):
        run(world, 5.0)
    lost = cars[0].velocity[0] - cars[1].velocity[0]
    assert lost == pytest.approx(GRAVITY * math.sin(math.atan(0.1)) * 5.0, rel=0.2)


def test_it_falls_from_where_it_was_spawned_and_stays_down():
    world = flat_world()
    car = car_at(world, 100.0, z=0.5)
    heights = []
    for _ in range(40):
        world.step()
        heights.append(car.pose.z)
    fall = next(step for step, z in enumerate(heights, 1) if z == 0.0) * DT
    assert fall == pytest.approx(math.sqrt(2 * 0.5 / GRAVITY), abs=2 * DT)
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] == 0.0
    assert car.pose.x == 100.0


@pytest.mark.parametrize("upwards", [0.5, 3.0, 8.0])
def test_thrown_up_it_flies_as_high_as_energy_allows(upwards: float):
    world = flat_world()
    car = car_at(world, 100.0, speed=10.0)
    world.step()
    car.velocity = (*car.velocity[:2], upwards)
    car.take_off()
    heights = []
    for _ in range(round(3 * upwards / GRAVITY / DT) + 5):
        world.step()
        heights.append(car.pose.z)
    assert max(heights) == pytest.approx(upwards**2 / (2 * GRAVITY), abs=0.005)
    in_the_air = sum(height > 0.0 for height in heights) * DT
    assert in_the_air == pytest.approx(2 * upwards / GRAVITY, abs=2 * DT)
    assert heights[-1] == 0.0


def test_what_does_not_point_away_from_the_ground_throws_nothing_up():
    world = slope_world(0.1)
    car = car_at(world, 500.0)
    world.step()
    for velocity in ((10.0, 0.0, 1.0), (-10.0, 0.0, 0.0), (0.0, 0.0, -5.0), (0.0, 0.0, 0.0)):
        car.velocity = velocity
        car.take_off()
        world.step()
        assert car.pose.z == pytest.approx(car.pose.x * 0.1, abs=0.02)


def test_a_constant_velocity_upwards_lifts():
    world = flat_world()
    car = car_at(world, 100.0)
    car.constant_velocity = (5.0, 0.0, 2.0)
    run(world, 2.0)
    assert car.pose.x == pytest.approx(110.0, abs=0.01)
    assert car.pose.z == pytest.approx(4.0, abs=0.01)


def test_without_gravity_or_physics_it_hangs():
    world = flat_world()
    floating, frozen = car_at(world, 100.0, z=5.0), car_at(world, 200.0, z=5.0, throttle=1.0)
    floating.gravity = False
    frozen.simulates_physics = False
    run(world, 1.0)
    assert floating.pose.z == 5.0
    assert frozen.pose == Pose(200.0, 1.75, 5.0, 0.0, 0.0, 0.0)


def test_constant_velocity_ignores_the_pedals():
    world = flat_world()
    car = car_at(world, 100.0, brake=1.0)
    car.constant_velocity = (7.0, 0.0, 0.0)
    run(world, 2.0)
    assert car.pose.x == pytest.approx(114.0, abs=0.01)


def test_the_lightest_and_the_heaviest_drive_too():
    for kind in ("vehicle.bh.crossbike", "vehicle.carlamotors.firetruck", "vehicle.mitsubishi.fusorosa"):
        world = flat_world()
        car = car_at(world, 100.0, kind=kind, throttle=0.7)
        run(world, 10.0)
        assert 2.0 < car.speed < 30.0, kind
