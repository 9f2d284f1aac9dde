"""Functions of the RPC table, called by hand: what the client library would never send is refused."""

import itertools
import math
import struct

import msgpack
import pytest

from td3_hpc.simulator.found_blueprints import FOUND
from td3_hpc.simulator.settings import EpisodeSettings
from tests.conftest import SimulatorServer
from tests.simulator.protocol import RawClient, run_client

FAR = [[0.0, 0.0, 500.0], [0.0, 0.0, 0.0]]


@pytest.fixture
def client(hamlet_server: SimulatorServer):
    with RawClient(hamlet_server.port) as client:
        client.fresh()
        yield client


@pytest.fixture
def car(client: RawClient) -> int:
    return client.spawn("vehicle.tesla.model3", client.spawn_points()[0])[0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
def test_numbers_that_are_no_numbers_are_refused(client: RawClient, car: int, bad: float):
    assert "finite" in client.refusal("set_actor_transform", car, [[bad, 0, 0], [0, 0, 0]])
    assert "finite" in client.refusal("set_actor_transform", car, [[0, 0, 0], [0, bad, 0]])
    assert "finite" in client.refusal("set_actor_location", car, [0, bad, 0])
    assert "finite" in client.refusal("set_actor_target_velocity", car, [bad, 0, 0])
    assert "finite" in client.refusal("set_actor_target_angular_velocity", car, [0, 0, bad])
    assert "finite" in client.refusal("add_actor_impulse", car, [bad, 0, 0])
    assert "finite" in client.refusal("enable_actor_constant_velocity", car, [bad, 0, 0])
    assert "finite" in client.refusal("set_weather_parameters", [bad] * 14)
    assert "finite" in client.refusal("spawn_actor", [0, "vehicle.audi.tt", []], [[bad, 0, 0], [0, 0, 0]])
    client.call("tick_cue")
    with client.world_stream() as stream:
        state = struct.unpack("<IB15f", stream.actors()[car][:65])
        assert all(math.isfinite(value) for value in state)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_pedals_that_are_no_numbers_are_refused(client: RawClient, car: int, bad: float):
    for at in range(3):
        control = [0.0, 0.0, 0.0, False, False, False, 0]
        control[at] = bad
        assert "finite" in client.refusal("apply_control_to_vehicle", car, control)


def test_pedals_out_of_range_are_clipped(client: RawClient, car: int):
    client.call("apply_control_to_vehicle", car, [7.0, -7.0, -1.0, False, False, False, 0])
    with client.world_stream() as stream:
        stream.receive()
        client.call("tick_cue")
        assert struct.unpack("<3f", stream.actors()[car][65:77]) == (1.0, -1.0, 0.0)


def test_a_control_shows_the_gear_that_is_engaged(client: RawClient, car: int):
    asked = {1: [False, False, 0], -1: [True, False, 0], 0: [False, True, 0]}
    with client.world_stream() as stream:
        stream.receive()
        client.call("tick_cue")
        assert struct.unpack("<i", stream.actors()[car][80:84]) == (1,)  # before the first control too
        for gear, (reverse, manual, given) in asked.items():
            client.call("apply_control_to_vehicle", car, [0.0, 0.0, 1.0, False, reverse, manual, given])
            client.call("tick_cue")
            assert struct.unpack("<2Bi", stream.actors()[car][78:84]) == (gear < 0, manual, gear)


@pytest.mark.parametrize(
    ("type_id", "attributes", "why"),
    [
        ("vehicle.trabant", {}, "no blueprint 'vehicle.trabant'"),
        ("sensor.camera.rgb", {"image_size_x": "1000000000"}, "image_size_x"),
        ("sensor.camera.rgb", {"image_size_x": "8000", "image_size_y": "8000"}, "pixels"),
        ("sensor.camera.rgb", {"image_size_x": "wide"}, "could not convert"),
        ("sensor.camera.rgb", {"image_size_x": "64.5"}, "no whole number"),
        ("sensor.camera.rgb", {"fov": "nan"}, "fov"),
        ("sensor.camera.rgb", {"fov": "180"}, "fov"),
        ("sensor.other.imu", {"colour": "1,2,3"}, "no attribute 'colour'"),
        ("vehicle.audi.tt", {"color": "red"}, "invalid"),
        ("vehicle.audi.tt", {"terramechanics": "true"}, "no attribute 'terramechanics'"),
    ],
)
def test_what_cannot_be_spawned_is_refused_with_the_reason(client: RawClient, type_id, attributes, why):
    description = [0, type_id, [[name, 4, value] for name, value in attributes.items()]]
    text = client.refusal("spawn_actor", description, FAR)
    assert text.startswith("Spawn failed because of invalid actor description")
    assert why in text


def test_a_whole_number_may_have_a_decimal_point(client: RawClient):
    camera = client.spawn("sensor.camera.rgb", FAR, image_size_x="64.0", image_size_y="48")
    sent = {name: value for name, _, value in camera[2][2]}
    assert (sent["image_size_x"], sent["image_size_y"]) == ("64", "48")
    client.call("destroy_actor", camera[0])


@pytest.mark.parametrize("type_id", FOUND)
def test_what_is_only_found_has_its_attributes_and_is_refused_by_name(client: RawClient, type_id: str):
    found = {entry[1]: entry for entry in client.call("get_actor_definitions")}[type_id]
    names = [attribute[0] for attribute in found[3]]
    assert "role_name" in names
    assert ("sensor_tick" in names) == FOUND[type_id].is_camera, "CARLA spawns other sensors that have one"
    for name, kind, value, recommended, *_ in found[3]:
        assert kind not in (2, 3) or recommended == [value], f"{name}: CARLA recommends a number's default"
    assert client.refusal("spawn_actor", [0, type_id, []], FAR) == (
        f"Spawn failed: {type_id}: this simulator has no {FOUND[type_id].missing}"
    )


def test_a_taken_place_is_refused_in_carlas_words(client: RawClient, car: int):
    text = client.refusal("spawn_actor", [0, "vehicle.audi.tt", []], client.spawn_points()[0])
    assert text == "Spawn failed because of collision at spawn position"


def test_a_missing_parent_and_a_missing_actor(client: RawClient):
    description = [0, "sensor.other.imu", []]
    assert client.refusal("spawn_actor_with_parent", description, FAR, 9999, 0, "") == (
        "unable to attach actor: parent actor not found"
    )
    assert client.refusal("destroy_actor", 9999) == "unable to destroy actor: not found"
    assert "9999 not found" in client.refusal("apply_control_to_vehicle", 9999, [0, 0, 0, False, False, False, 0])
    assert "no vehicle" in client.refusal("get_physics_control", client.call("get_spectator")[0])


def test_late_questions_about_a_destroyed_vehicle_are_no_errors(client: RawClient, car: int):
    client.call("destroy_actor", car)
    assert client.call("get_actor_bounding_box", car)[1] == [0.0, 0.0, 0.0]
    client.call("set_actor_simulate_physics", car, True)
    assert client.call("get_actor_bounding_box", car + 1000)[1] == [0.0, 0.0, 0.0]  # of an earlier episode, perhaps
    assert "not found" in client.refusal("set_actor_simulate_physics", car + 1000, True)


def test_a_world_loaded_anew_has_the_settings_of_a_fresh_server(client: RawClient):
    fresh = EpisodeSettings().to_wire()
    client.call("set_episode_settings", [True, True, [True, 0.1], False, 0.02, 5, 300.0, False, 1.0, 2.0, False])
    client.call("load_new_episode", "", True, 65535)
    assert client.call("get_episode_settings") == fresh


def test_a_tick_of_an_asynchronous_world_waits_for_the_next_step(hamlet_server: SimulatorServer, client: RawClient):
    told = run_client(
        """
world = client.reload_world()
frames = [world.tick() for _ in range(10)]
tell([frames, world.get_snapshot().timestamp.elapsed_seconds])
""",
        hamlet_server.port,
    )
    frames, elapsed = told
    assert all(after > before for before, after in itertools.pairwise(frames))
    assert elapsed > 0.4


def test_a_batch_sends_a_walker_the_way_it_faces(client: RawClient):
    x, y, z = client.spawn_points()[0][0]
    walker = client.spawn("walker.pedestrian.0001", [[x, y, z + 1.0], [0, 0, 0]])[0]
    with client.world_stream() as stream:
        stream.receive()
        places = []
        client.request("apply_batch", [[[7, [walker, [[x, y, z + 1.0], [0.0, 90.0, 0.0]], 1.5]]]], False)
        for _ in range(20):
            client.call("tick_cue")
            places.append(struct.unpack("<2f", stream.actors()[walker][5:13]))
    assert places[-1][0] == pytest.approx(x, abs=0.05)
    assert places[-1][1] == pytest.approx(y + 1.5, abs=0.1)


def test_destroying_a_vehicle_destroys_what_is_attached_to_it(client: RawClient, car: int):
    sensor = client.spawn("sensor.other.imu", [[0, 0, 1], [0, 0, 0]], car)[0]
    assert client.call("get_actors_by_id", [sensor])[0][1] == car
    assert client.call("destroy_actor", car) is True
    assert client.call("get_actors_by_id", [car, sensor]) == []


def test_a_batch_answers_each_command_in_its_place(client: RawClient, car: int):
    control = [1.0, 0.0, 0.0, False, False, False, 0]
    spawn = [
        [
            0,
            [
                [0, "vehicle.audi.tt", []],
                client.spawn_points()[5],
                [False],
                128,
                "",
                [[[2, [0, control]]], [[1, [9999]]], [[99, [0]]]],
            ],
        ]
    ]
    unknown, broken, walker_state = [[99, [car]]], [[2, [car, 5]]], [[7, [car, FAR, 1.0]]]
    commands = [
        spawn,
        [[2, [car, control]]],
        [[1, [9999]]],
        unknown,
        broken,
        walker_state,
        [[12, [car, [0, 0, 1]]]],
        [[13, [car, [0, 0, 1]]]],
        [[20, ["stat fps"]]],
        [[18, [car, 5]]],
    ]
    error, responses = client.request("apply_batch", commands, True)
    assert error is None
    assert len(responses) == len(commands)
    (spawned, second), failed = [response[0][1] for response in responses[:2]], [r[0][0] == 0 for r in responses]
    assert failed == [False, False, True, True, True, True, False, False, True, False]
    assert second == car
    assert spawned > car
    assert client.call("get_vehicle_light_states") == [[car, 5], [spawned, 0]]
    assert responses[2][0][1] == ["unable to destroy actor: not found"]
    with client.world_stream() as stream:  # the command after the spawn was carried out, the batch made a step
        assert struct.unpack("<f", stream.actors()[spawned][65:69]) == (1.0,)


def test_physics_that_is_none_is_refused_and_a_mass_is_taken(client: RawClient, car: int):
    physics = client.call("get_physics_control", car)
    assert physics[11] == 1840.0
    heavy = [*physics]
    heavy[11] = 4000.0
    client.call("apply_physics_control", car, heavy)
    assert client.call("get_physics_control", car)[11] == 4000.0
    gear, wheel = [2.0, 0.5, 0.65], physics[15][0]
    for field, value, why in (
        (11, 0.0, "mass is 0, not between"), (11, math.nan, "finite"), (12, -1.0, "drag_coefficient is -1"),
        (14, [[0.0, 1.0], [0.0, 1.0]], "steering_curve has no points"), (0, [], "torque_curve has no points"),
        (0, [[0.0, -1.0]], "torque_curve falls below 0"), (1, 0.0, "max_rpm"), (2, 0.0, "moi"), (10, [], "0 gears"),
        (10, [gear, [0.0, 0.5, 0.65]], "forward_gears[1].ratio is 0"), (13, [0.0, math.inf, 0.0], "finite"),
        (15, [*physics[15][:3], [-1.0, *wheel[1:]]], "wheels[3].tire_friction is -1"),
        (15, [[*wheel[:3], 0.0, *wheel[4:]], *physics[15][1:]], "wheels[0].radius is 0"),
        (15, physics[15][:2], "4 wheels, not 2"),
    ):  # fmt: skip
        worse = [*physics]
        worse[field] = value
        assert why in client.refusal("apply_physics_control", car, worse), (field, value)
    assert client.call("get_physics_control", car)[11] == 4000.0


@pytest.mark.parametrize("kind", ["audi.tt", "harley-davidson.low_rider", "diamondback.century"])
def test_every_field_is_taken_and_what_is_not_obeyed_is_refused_by_name(client: RawClient, kind: str):
    vehicle = client.spawn(f"vehicle.{kind}", client.spawn_points()[3])[0]
    present = client.call("get_physics_control", vehicle)
    assert len(present[15]) == 4  # of two-wheelers too, as CARLA says
    client.call("apply_physics_control", vehicle, msgpack.unpackb(msgpack.packb(present, use_single_float=True)))
    wheel = [2.0, 0.5, 40.0, 30.0, 900.0, 700.0, 2.0, 20.0, 987.0, [0.0, 0.0, 0.0]]
    rear = [*wheel[:2], 0.0, *wheel[3:]]
    asked = [
        [[0.0, 700.0], [5000.0, 500.0]], 6000.0, 2.0, 0.25, 1.5, 0.5, False, 0.5, 8.0, 3.0,
        [[3.0, 0.5, 0.75], [1.5, 0.25, 0.875]], 900.0, 0.5, [0.25, 0.125, -0.25], [[0.0, 1.0], [50.0, 0.5]],
        [wheel, wheel, rear, rear], True,
    ]  # fmt: skip
    client.call("apply_physics_control", vehicle, asked)
    taken = client.call("get_physics_control", vehicle)
    assert taken[:15] == asked[:15]
    assert [each[:9] for each in taken[15]] == [each[:9] for each in asked[15]]
    assert taken[16] is True
    for number, at, name in ((2, 2, "max_steer_angle"), (3, 2, "max_steer_angle"), (1, 6, "lat_stiff_max_load")):
        wheels = [list(each) for each in taken[15]]
        wheels[number][at] += 10.0
        worse = [*taken[:15], wheels, taken[16]]
        worse[11] = 5000.0
        text = client.refusal("apply_physics_control", vehicle, worse)
        assert f"do not obey wheels[{number}].{name};" in text
    client.call("tick_cue")
    assert client.call("get_physics_control", vehicle)[:15] == taken[:15]


def test_a_control_that_is_not_sticky_lasts_one_step(client: RawClient):
    points = client.spawn_points()
    cars = [
        client.spawn("vehicle.audi.tt", points[at], sticky_control=flag)[0] for at, flag in ((0, "False"), (7, "True"))
    ]
    with client.world_stream() as stream:
        stream.receive()
        for car in cars:
            client.call("apply_control_to_vehicle", car, [0.5, 0.0, 0.0, False, True, False, 0])
        shown = []
        for _ in range(3):
            client.call("tick_cue")
            states = stream.actors()
            shown.append(
                [struct.unpack("<f", states[car][65:69]) + struct.unpack("<B", states[car][78:79]) for car in cars]
            )
    assert [fleeting for fleeting, _ in shown] == [(0.5, 1), (0.0, 0), (0.0, 0)]
    assert [lasting for _, lasting in shown] == [(0.5, 1)] * 3


def test_wheels_turn_about_one_point_and_as_told_only_without_physics(client: RawClient, car: int):
    client.call("apply_control_to_vehicle", car, [0.0, 0.5, 1.0, False, False, False, 0])
    left, right, *rear = (client.call("get_wheel_steer_angle", car, wheel) for wheel in range(4))
    base, track = 0.6 * 4.79, 2 * 0.4 * 2.16
    assert 0.0 < left < right < 35.0
    assert 1 / math.tan(math.radians(left)) - 1 / math.tan(math.radians(right)) == pytest.approx(track / base)
    assert rear == [0.0, 0.0]
    for call in ("set_wheel_steer_direction", "set_wheel_pitch_angle"):
        assert client.refusal(call, car, 0, 10.0).startswith(f"{call}: ")
    assert "get_wheel_pitch_angle" in client.refusal("get_wheel_pitch_angle", car, 0)
    client.call("set_actor_simulate_physics", car, False)
    client.call("set_wheel_steer_direction", car, 1, -25.0)
    client.call("set_wheel_pitch_angle", car, 2, 90.0)
    assert [client.call("get_wheel_steer_angle", car, wheel) for wheel in (0, 1)] == [0.0, -25.0]
    assert client.call("get_wheel_pitch_angle", car, 2) == 90.0
    client.call("set_actor_simulate_physics", car, True)
    assert client.call("get_wheel_steer_angle", car, 0) == pytest.approx(left)


def test_without_physics_a_vehicle_stands_and_nothing_pushes_it(client: RawClient, car: int):
    def velocity() -> tuple[float, ...]:
        with client.world_stream() as stream:
            stream.receive()
            client.call("tick_cue")
            return struct.unpack("<3f", stream.actors()[car][29:41])

    client.call("set_actor_target_velocity", car, [8.0, 0.0, 0.0])
    assert math.hypot(*velocity()) > 5.0
    client.call("set_actor_simulate_physics", car, False)
    assert velocity() == (0.0, 0.0, 0.0)
    client.call("set_actor_target_velocity", car, [8.0, 0.0, 0.0])
    client.call("add_actor_impulse", car, [9e4, 0.0, 0.0])
    assert velocity() == (0.0, 0.0, 0.0)
    client.call("set_actor_simulate_physics", car, True)
    assert math.hypot(*velocity()[:2]) < 0.1


def test_telemetry_adds_up(client: RawClient, car: int):
    for throttle in (1.0, 0.0):
        client.call("apply_control_to_vehicle", car, [throttle, 0.0, 0.0, False, False, False, 0])
        for _ in range(40):
            client.call("tick_cue")
        speed, steer, pedal, brake, rpm, gear, air, wheels = client.call("get_telemetry_data", car)
        assert (steer, pedal, brake, gear, len(wheels)) == (0.0, throttle, 0.0, 1, 4)
        assert speed > 3.0
        area = 2.16 * 1.49
        assert air == pytest.approx(0.5 * 1.2 * 0.3 * area * speed**2, rel=1e-6)
        assert sum(wheel[4] for wheel in wheels) == pytest.approx(1840 * 9.81)
        along = sum(wheel[7] for wheel in wheels)
        assert (along > 1840.0) if throttle else (-2500.0 < along < 0.0)
        front, rear = wheels[0], wheels[2]
        assert (front[4] < rear[4]) is bool(throttle)  # loads shift to the rear when it accelerates
        assert front[6] == pytest.approx(front[7] * 0.36)
        assert front[2] == pytest.approx(along / (4 * 9.81 * 2760.0))
        assert front[3] == pytest.approx(speed * (1.0 + front[2]) / 0.36)
        turns = rpm * math.pi / 30.0 / (1.782 * 4.0)
        assert turns == pytest.approx(front[3], rel=0.1)  # but for the clutch's slip


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_wheels_turn_as_far_as_lock_and_steering_curve_let_them(client: RawClient, car: int, share: float):
    physics = client.call("get_physics_control", car)
    physics[14] = [[0.0, share], [100.0, share]]
    for wheel in physics[15][:2]:
        wheel[2] = 30.0
    client.call("apply_physics_control", car, physics)
    client.call("apply_control_to_vehicle", car, [0.0, 1.0, 1.0, False, False, False, 0])
    client.call("tick_cue")
    left, right = (math.radians(client.call("get_wheel_steer_angle", car, wheel)) for wheel in (0, 1))
    middle = 2.0 / (1.0 / math.tan(left) + 1.0 / math.tan(right))  # between both, where they turn about one point
    assert math.degrees(math.atan(middle)) == pytest.approx(0.5 * 30.0 * share)


def test_a_friction_trigger_is_told_by_the_tyres(client: RawClient, car: int):
    place = client.spawn_points()[0]
    trigger = client.spawn(
        "static.trigger.friction", place, friction="0.5", extent_x="700.0", extent_y="700.0", extent_z="700.0"
    )[0]
    client.call("tick_cue")
    assert [wheel[0] for wheel in client.call("get_physics_control", car)[15]] == [0.5] * 4
    client.call("destroy_actor", trigger)
    client.call("tick_cue")
    assert [wheel[0] for wheel in client.call("get_physics_control", car)[15]] == [3.5] * 4


def test_what_is_refused_without_an_answer_is_in_the_servers_log(hamlet_server: SimulatorServer, client: RawClient):
    car = client.spawn("vehicle.audi.tt", client.spawn_points()[4])[0]
    for call in ("open_vehicle_door", "close_vehicle_door"):
        assert "doors" in client.refusal(call, car, 0)
        assert f"refused {call}: this simulator has no vehicles with doors" in hamlet_server.log.read_text()


@pytest.mark.parametrize("step", [-0.1, math.nan, math.inf, 1e6])
def test_a_step_that_is_no_time_is_refused(client: RawClient, step: float):
    settings = client.call("get_episode_settings")
    assert "fixed_delta_seconds" in client.refusal("set_episode_settings", [True, False, [True, step], *settings[3:]])
    assert client.call("get_episode_settings") == settings


def test_an_unknown_map_is_refused_and_the_world_goes_on(client: RawClient):
    episode = client.call("get_episode_info")[0]
    assert "there are Brookfield, Hamlet" in client.refusal("load_new_episode", "Atlantis", False, 65535)
    assert client.call("get_episode_info")[0] == episode
    assert client.call("tick_cue") > 0


def test_what_there_is_not_is_said(client: RawClient):
    assert "no recorder" in client.refusal("start_recorder", "a.log", False)
    assert "no recorder" in client.refusal("stop_recorder")
    assert "G-buffers" in client.refusal("get_gbuffer_token", 1, 2)


def scenery(client: RawClient, label: int = 255) -> int:
    """How many pieces of it are seen."""
    return len(client.call("get_all_level_BBs", label))


def test_layers_that_are_scenery_come_and_go_and_others_are_refused(client: RawClient):
    building, pole, wall, fence, rail = 3, 6, 4, 5, 28
    before = {label: scenery(client, label) for label in (building, pole, wall, fence, rail)}
    assert all(before.values())
    client.call("unload_map_layer", 0x1 | 0x100)
    assert {label: scenery(client, label) for label in before} == {**dict.fromkeys(before, 0), pole: before[pole]}
    client.call("load_map_layer", 0x1)
    assert [scenery(client, label) for label in (building, wall)] == [before[building], 0]
    for call in ("load_map_layer", "unload_map_layer"):
        text = client.refusal(call, 0x1 | 0x4 | 0x40)
        assert text.startswith(f"{call}: this simulator's towns have no layer Foliage, Props")
    assert scenery(client, building) == before[building]
    client.call("load_new_episode", "", False, 0xFFFF & ~0x1)
    client.call("tick_cue")
    assert {label: scenery(client, label) for label in before} == {**before, building: 0}
    client.fresh()
    assert {label: scenery(client, label) for label in before} == before


def test_an_environment_object_that_there_is_not_is_refused(client: RawClient):
    count = len(client.call("get_environment_objects", 255))
    text = client.refusal("enable_environment_objects", [1, count + 1], False)
    assert text == f"enable_environment_objects: there is no environment object {count + 1}"
    assert scenery(client) >= count
