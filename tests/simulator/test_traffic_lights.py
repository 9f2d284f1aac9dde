"""Signals: the order of turns, what clients may change, and which light a vehicle stands at."""

import pytest

from td3_hpc.simulator.actors import GREEN, Vehicle
from td3_hpc.simulator.geometry import Pose
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
