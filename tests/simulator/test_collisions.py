"""Collisions: nothing passes through anything, and no collision makes energy."""

import itertools
import math
import random

import pytest

from td3_hpc.simulator.actors import Vehicle, VehicleControl
from td3_hpc.simulator.collisions import overlaps, resolve_collisions
from td3_hpc.simulator.geometry import OrientedBox, Pose
from td3_hpc.simulator.streams import Streams
from td3_hpc.simulator.towns import load_town
from td3_hpc.simulator.wire import Refused
from td3_hpc.simulator.world import World
from tests.simulator.worlds import car_at, flat_world, run


def energy(*vehicles: Vehicle) -> float:
    total = 0.0
    for vehicle in vehicles:
        length, width, _ = vehicle.extent
        inertia = vehicle.mass * (length**2 + width**2) / 3
        total += vehicle.mass * vehicle.speed**2 / 2 + inertia * vehicle.yaw_rate**2 / 2
    return total


def test_head_on_they_stop_where_they_meet():
    world = flat_world()
    a = car_at(world, 100.0, speed=15.0)
    b = car_at(world, 130.0, yaw=180.0, speed=15.0)
    run(world, 3.0)
    assert b.pose.x - a.pose.x >= a.extent[0] + b.extent[0] - 0.05
    assert abs(a.velocity[0]) < 2.5
    assert abs(b.velocity[0]) < 2.5
    assert a.pose.x < 115.0 < b.pose.x


def test_momentum_is_kept_in_a_rear_end_collision():
    world = flat_world()
    front = car_at(world, 104.5, kind="vehicle.carlamotors.firetruck")
    behind = car_at(world, 90.0, speed=12.0)
    behind.pose = behind.pose._replace(x=98.0)
    before = behind.mass * 12.0
    contacts = resolve_collisions([front, behind], world.town)
    assert {contact.vehicle for contact in contacts} == {front, behind}
    assert front.mass * front.velocity[0] + behind.mass * behind.velocity[0] == pytest.approx(before)
    assert front.velocity[0] > behind.velocity[0] - 0.01


@pytest.mark.parametrize("seed", range(20))
def test_no_collision_makes_energy_or_leaves_an_overlap(seed: int):
    draw = random.Random(seed)
    world = flat_world()
    a = car_at(world, 100.0, yaw=draw.uniform(-180, 180), speed=draw.uniform(0, 25))
    b = car_at(world, 110.0, yaw=draw.uniform(-180, 180), speed=draw.uniform(0, 25), kind="vehicle.mini.cooper_s")
    b.pose = b.pose._replace(x=100 + draw.uniform(-4, 4), y=1.75 + draw.uniform(-4, 4))
    before, momentum = energy(a, b), [a.mass * a.velocity[i] + b.mass * b.velocity[i] for i in (0, 1)]
    resolve_collisions([a, b], world.town)
    assert energy(a, b) <= before * (1 + 1e-9) + 1e-6
    assert [a.mass * a.velocity[i] + b.mass * b.velocity[i] for i in (0, 1)] == pytest.approx(momentum)
    box = OrientedBox(a.pose.ahead(*a.centre), (a.extent[0] - 0.01, a.extent[1] - 0.01, a.extent[2]))
    assert not overlaps(box, [b])


def test_a_pile_up_settles():
    world = flat_world()
    cars = [car_at(world, 100.0 + 6.0 * number) for number in range(5)]
    ram = car_at(world, 60.0, speed=25.0)
    for _ in range(100):
        world.step()
        assert all(car.speed < 25.0 for car in cars)
    everyone = sorted([ram, *cars], key=lambda car: car.pose.x)
    for behind, ahead in itertools.pairwise(everyone):
        assert math.dist(behind.pose[:2], ahead.pose[:2]) > 1.9
    assert all(abs(car.yaw_rate) < 0.01 and car.pose.z == 0.0 for car in everyone)


def test_full_throttle_against_a_wall_of_scenery_goes_nowhere():
    world = World(load_town("Brookfield", None), Streams())
    thing = next(thing for thing in world.town.edge_objects if max(thing.box.extent[:2]) > 3.0)
    distance = max(thing.box.extent[:2]) + 8.0
    start = thing.box.centre.ahead(0.0, -(thing.box.extent[1] + 6.0))
    car = world.spawn(
        [0, "vehicle.tesla.model3", []],
        start._replace(z=world.town.ground(*start[:3]).z, yaw=thing.box.centre.yaw + 90.0),
    )
    assert isinstance(car, Vehicle)
    car.control = VehicleControl(throttle=1.0)
    hit = []
    for _ in range(100):
        world.step()
        hit += world.contacts
        box = thing.box
        if car.pose.z < box.centre.z + box.extent[2]:
            ahead, right = box.centre.offset_of(car.pose.x, car.pose.y)
            assert abs(ahead) > box.extent[0] or abs(right) > box.extent[1], "its middle is inside"
    assert all(contact.vehicle is car for contact in hit)
    assert len(hit) > 10
    assert math.dist(car.pose[:2], start[:2]) < 2 * distance


def test_a_car_without_collisions_passes():
    world = flat_world()
    a, b = car_at(world, 100.0, speed=10.0), car_at(world, 115.0)
    a.collides = False
    a.control = VehicleControl(throttle=0.3)
    run(world, 4.0)
    assert a.pose.x > 125.0
    assert b.pose.x == 115.0


def test_on_a_bridge_above_another_they_do_not_meet():
    world = flat_world()
    low, high = car_at(world, 100.0), car_at(world, 200.0)
    high.pose = Pose(100.0, 1.75, 6.0)
    assert resolve_collisions([low, high], world.town) == []


def test_pushing_from_standstill_cannot_lift_or_fling():
    world = flat_world()
    a, b = car_at(world, 100.0, throttle=1.0), car_at(world, 104.9, brake=1.0)
    for _ in range(100):
        world.step()
        assert a.pose.z == b.pose.z == 0.0
        assert b.speed < 12.0
        assert b.pose.x - a.pose.x > 4.6


def test_nothing_is_spawned_inside_scenery():
    world = World(load_town("Brookfield", None), Streams())
    for thing in world.town.edge_objects[:40]:
        foot = thing.box.centre._replace(z=thing.box.centre.z - thing.box.extent[2] + 0.1)
        for kind in ("vehicle.tesla.model3", "walker.pedestrian.0001", "static.prop.trafficcone01"):
            with pytest.raises(Refused, match="Spawn failed because of collision at spawn position"):
                world.spawn([0, kind, []], foot)
    assert world.population.solid == []
    for number, point in enumerate(world.town.spawn_points):
        world.destroy(world.spawn([0, ("vehicle.audi.tt", "vehicle.mitsubishi.fusorosa")[number % 2], []], point))


def test_a_car_kicks_a_prop_that_simulates_physics():
    world = flat_world()
    car = car_at(world, 100.0, speed=10.0)
    prop = world.spawn([0, "static.prop.box01", []], Pose(104.0, 1.75, 0.0))
    prop.simulates_physics = True
    run(world, 0.5)
    assert prop.velocity[0] > car.velocity[0] > 8.0
    car.control = VehicleControl(brake=1.0)
    run(world, 10.0)
    assert prop.velocity == (0.0, 0.0, 0.0)
