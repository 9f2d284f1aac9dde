"""Signals: the order of turns, what clients may change, and which light a vehicle stands at."""

import math

import carla
import pytest

from td3_hpc.simulator.actors import GREEN, Vehicle
from td3_hpc.simulator.geometry import OrientedBox, Pose
from td3_hpc.simulator.streams import Streams
from td3_hpc.simulator.towns import load_town
from td3_hpc.simulator.traffic_lights import RED, YELLOW, LightGroup
from td3_hpc.simulator.world import World
from tests.simulator.worlds import run


@pytest.fixture
def world() -> World:
    return World(load_town("Hamlet", None), Streams())


def colours(group: LightGroup) -> list[set[int]]:
    return [{light.colour for light in phase} for phase in group.phases]


def test_phases_take_turns_of_green_yellow_and_all_red(world: World):
    (group,) = world.light_groups
    seen = []
    for _ in range(round(60.0 / 0.05)):
        world.step()
        if not seen or seen[-1][1] != colours(group):
            seen.append((world.elapsed_s, colours(group)))
    turn = [GREEN, YELLOW, RED]
    expected = [
        [{turn[part]} if phase == here else {RED} for phase in range(4)] for here in range(4) for part in range(3)
    ]
    assert [pair for _, pair in seen] == [*expected, expected[0]]
    starts = [15 * number + part for number in range(4) for part in (0, 10, 13)]
    assert [start for start, _ in seen[1:]] == pytest.approx([*starts[1:], 60])


def test_no_two_phases_are_ever_green_together_in_any_town(world: World):
    for name in ("Hamlet", "Brookfield"):
        world = World(load_town(name, None), Streams())
        for _ in range(1200):
            for group in world.light_groups:
                group.step(0.05)
                assert sum(colour != {RED} for colour in colours(group)) <= 1


def test_frozen_lights_stay_and_a_reset_starts_anew(world: World):
    (group,) = world.light_groups
    run(world, 12.0)
    group.freeze(True)
    run(world, 20.0)
    assert colours(group) == [{YELLOW}, {RED}, {RED}, {RED}]
    group.freeze(False)
    group.reset()
    assert colours(group) == [{GREEN}, {RED}, {RED}, {RED}]
    run(world, 9.9)
    assert colours(group) == [{GREEN}, {RED}, {RED}, {RED}]
    run(world, 0.2)
    assert colours(group) == [{YELLOW}, {RED}, {RED}, {RED}]


def test_times_of_a_phase_are_taken(world: World):
    (group,) = world.light_groups
    for light in group.phases[0]:
        light.green_s = 1.0
    run(world, 1.1)
    assert colours(group) == [{YELLOW}, {RED}, {RED}, {RED}]


def test_a_vehicle_sees_the_light_of_the_stop_box_that_its_front_is_in(world: World):
    for site in world.town.traffic_lights:
        for box in site.stop_boxes:
            centre = box.centre
            car = world.spawn([0, "vehicle.tesla.model3", []], Pose(*centre[:3], 0.0, site.pose.yaw))
            assert isinstance(car, Vehicle)
            front_in = centre._replace(yaw=car.pose.yaw).ahead(-car.extent[0])
            car.teleport(front_in)
            world.step()
            assert car.light_id == world.lights[site.signal_id].id
            assert car.light_state == world.lights[site.signal_id].colour
            car.teleport(front_in.ahead(-30.0))
            world.step()
            assert (car.light_id, car.light_state) == (0, GREEN)
            world.destroy(car)


@pytest.mark.parametrize("town", ["Brookfield", "Hamlet"])
def test_along_its_x_axis_a_light_s_trigger_volume_lies_across_all_lanes_that_it_stops(town: str):
    """So CARLA turns lights, and so scripts find their stop lines: metre by metre along x, at the volume's middle."""
    world = World(load_town(town, None), Streams())
    for site in world.town.traffic_lights:
        light = world.lights[site.signal_id]
        ahead, right, _ = light.centre
        middle = light.pose.ahead(ahead, right)
        reach = 0.9 * light.extent[0]
        points = [middle.ahead(-reach + metre) for metre in range(math.ceil(2 * reach))]
        met = [any(box.contains(*point[:2], box.centre.z) for point in points) for box in site.stop_boxes]
        assert all(met), f"light {site.signal_id} stops {len(met)} lanes, {sum(met)} are found"


def test_the_clock_of_the_lights_restarts_with_the_episode(world: World):
    run(world, 12.0)
    world.load(world.town)
    assert colours(world.light_groups[0]) == [{GREEN}, {RED}, {RED}, {RED}]
    assert all(light.elapsed_s == 0.0 for light in world.lights.values())


def test_a_stop_sign_shows_red_without_a_light_and_only_there(world: World):
    assert {sign.kind for sign in world.town.signs} == {"traffic.stop", "traffic.yield"}
    for sign in world.town.signs:
        centre = sign.trigger.centre._replace(yaw=sign.pose.yaw)
        ground = world.town.ground(*centre[:3])
        car = world.spawn([0, "vehicle.mini.cooper_s", []], centre._replace(z=ground.z))
        assert isinstance(car, Vehicle)
        car.teleport(car.pose.ahead(-car.extent[0]))
        world.step()
        assert (car.light_id, car.light_state) == (0, RED)
        car.teleport(car.pose.ahead(-25.0))
        world.step()
        assert (car.light_id, car.light_state) == (0, GREEN)
        world.destroy(car)


def standing_in(world: World, box: OrientedBox, metres_left: float, speed: float = 0.0, yaw: float = 0.0) -> Vehicle:
    """A car whose front is that far from a box's front end; `yaw` turns it round."""
    place = box.centre._replace(yaw=box.centre.yaw).ahead(box.extent[0] - metres_left)
    ground = world.town.ground(*place[:3])
    car = world.spawn([0, "vehicle.mini.cooper_s", []], place._replace(z=ground.z, yaw=place.yaw + yaw).ahead(-1.905))
    assert isinstance(car, Vehicle)
    ahead = Pose(0.0, 0.0, 0.0, 0.0, car.pose.yaw).ahead(speed)
    car.velocity = (ahead.x, ahead.y, 0.0)
    return car


def test_while_one_waits_at_a_sign_those_on_other_lanes_that_can_stop_are_shown_red(world: World):
    for junction in world.town.give_way:
        (signed,), (box, *_) = junction.signed, junction.unsigned
        waiting, coming = standing_in(world, signed, 2.0), standing_in(world, box, 18.0, speed=5.0)
        world.step()
        assert (waiting.light_state, coming.light_state, coming.light_id) == (RED, RED, 0)
        world.destroy(waiting)
        world.step()
        assert coming.light_state == GREEN
        world.destroy(coming)


def test_one_that_can_no_longer_stop_goes_on(world: World):
    (signed,), (box, *_) = world.town.give_way[0].signed, world.town.give_way[0].unsigned
    standing_in(world, signed, 2.0)
    coming = standing_in(world, box, 8.0, speed=9.0)
    world.step()
    assert coming.light_state == GREEN


def test_others_wait_until_one_that_gave_way_is_across(world: World):
    junction = world.town.give_way[0]
    (signed,), (box, *_) = junction.signed, junction.unsigned
    crossing, coming = standing_in(world, signed, 1.0), standing_in(world, box, 10.0)
    for _ in range(400):
        crossing.control.throttle = 0.3
        world.step()
        front = world.town.map.get_waypoint(carla.Location(*crossing.pose[:3]))
        if front.is_junction:
            assert coming.light_state == RED
        elif coming.light_state == GREEN:
            break
    assert coming.light_state == GREEN
    assert crossing.gave_way_at is None


def test_a_vehicle_that_comes_the_other_way_sees_no_light(world: World):
    site = world.town.traffic_lights[0]
    car = standing_in(world, site.stop_boxes[0], 2.0, yaw=180.0)
    car.teleport(site.stop_boxes[0].centre._replace(yaw=site.pose.yaw + 180.0))
    world.step()
    assert (car.light_id, car.light_state) == (0, GREEN)
