"""The environment on the real embedded simulator: Gymnasium's contract, ends of episodes, determinism, clean-up."""

import socket
import threading
import time

import carla
import msgpack
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import TD3
from stable_baselines3.common.logger import Logger

from td3_hpc.config import RewardConfig
from td3_hpc.driving.client_session import SimulatorLost
from td3_hpc.driving.environment import DrivingEnv
from td3_hpc.driving.pure_pursuit import pure_pursuit
from td3_hpc.driving.reward import COMPONENTS
from td3_hpc.errors import BadInput, UserError
from tests.driving.conftest import small_config

AHEAD = np.array((0.0, 0.6), np.float32)
LIT_ROUTE = 17
"""A held-out route that comes to a traffic light."""
STAND = np.array((0.0, -1.0), np.float32)


@pytest.fixture
def make_env(hamlet):
    """Factory of one environment on the shared simulator, closed at the end."""
    made = []

    def make(config=None, **arguments) -> DrivingEnv:
        made.append(DrivingEnv(config or small_config(), port=hamlet.port, tm_port=0, **arguments))
        return made[-1]

    yield make
    for env in made:
        env.close()


def drive(env, policy, observation=None, limit=1000):
    """Act, by a function of the observation, until the episode ends; returns all steps."""
    steps = []
    for _ in range(limit):
        steps.append(env.step(policy(observation)))
        observation = steps[-1][0]
        if steps[-1][2] or steps[-1][3]:
            return steps
    pytest.fail("the episode did not end")


def transcript(env, seed, steps=25):
    """Every byte of an episode with actions drawn from the seed."""
    generator = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    parts = [array.tobytes() for array in observation.values()]
    for _ in range(steps):
        action = generator.uniform((-0.2, 0.2), (0.2, 1.0)).astype(np.float32)
        observation, reward, terminated, truncated, _ = env.step(action)
        parts += [*(array.tobytes() for array in observation.values()), np.float64(reward).tobytes()]
        if terminated or truncated:
            break
    return parts


def show(env, colour):
    """All lights show this from now on."""
    for light in env._session.world.get_actors().filter("traffic.traffic_light"):
        light.set_state(getattr(carla.TrafficLightState, colour))
        light.freeze(True)


def others_in(simulator):
    """Vehicles and sensors that another client finds."""
    client = carla.Client("127.0.0.1", simulator.port)
    client.set_timeout(5)
    world = client.get_world()
    world.tick()
    return [actor.type_id for actor in world.get_actors() if actor.type_id.startswith(("vehicle.", "sensor."))]


# --- the contract


def test_gymnasium_accepts_it(make_env):
    check_env(make_env(), skip_render_check=True)


def test_stable_baselines3_trains_on_it_unchanged(make_env):
    env = make_env(small_config(vehicles=3))
    torch.set_num_threads(1)  # more would only wait for each other on a busy machine
    model = TD3("MultiInputPolicy", env, learning_starts=50, batch_size=4, buffer_size=100, seed=1, device="cpu")
    model.set_logger(Logger(None, []))  # its own one makes a folder
    model.learn(60)
    assert model.num_timesteps == 60
    assert model._n_updates > 0


def test_steps_tell_what_the_document_says(make_env):
    config = small_config(max_decisions=12)
    env = make_env(config)
    observation, info = env.reset(seed=5)
    assert info["seed"] == 5
    previous = observation["image"]
    assert all(np.array_equal(previous[0], frame) for frame in previous)
    for number in range(1, 13):
        observation, reward, terminated, truncated, info = env.step(AHEAD)
        assert np.array_equal(observation["image"][:-1], previous[1:])
        assert not np.array_equal(observation["image"][-1], previous[-1])
        assert set(info["reward_components"]) == set(COMPONENTS)
        assert reward == pytest.approx(sum(info["reward_components"].values()))
        assert config.reward.lowest <= reward <= config.reward.highest
        previous = observation["image"]
        if number < 12:
            assert (terminated, truncated, info["termination"], "episode" in info) == (False, False, None, False)
    assert (terminated, truncated, info["termination"]) == (False, True, "time_limit")
    assert info["episode"]["length"] == 12
    assert info["episode"]["distance_m"] > 1
    assert 0 < info["episode"]["route_completion"] < 1


def test_the_camera_sees_the_road(make_env):
    """Not one flat colour, not noise: the lower half differs from the sky, and standing still gives a still picture."""
    env = make_env(small_config(vehicles=0))
    first, _ = env.reset(seed=1)
    frame = first["image"][-1].astype(float)
    assert frame.std() > 5
    assert abs(frame[:20].mean() - frame[-30:].mean()) > 10
    second = env.step(STAND)[0]
    assert np.array_equal(first["image"][-1], second["image"][-1])


@pytest.mark.parametrize("changes", [{}, {"fixed_delta_seconds": 0.1, "ticks_per_action": 1}, {"vehicles": 0}])
def test_an_episode_begins_on_the_ground_at_rest(make_env, changes):
    """So that the first decision acts at once."""
    env = make_env(small_config(**changes))
    env.reset(seed=1)
    start = env._ego_state
    road = env._session.map.get_waypoint(carla.Location(start.x, start.y, start.z)).transform.location.z
    assert start.z == pytest.approx(road, abs=0.1)
    assert start.speed == pytest.approx(0.0, abs=0.01)
    env.step(np.array((0.0, 1.0), np.float32))
    assert env._ego_state.speed > 0.2
    assert env._ego_state.z == pytest.approx(start.z, abs=0.05)


def test_traffic_drives_while_the_ego_settles(make_env):
    env = make_env(small_config())
    env.reset(seed=1)
    speeds = [env._snapshot.find(number).get_velocity().length() for number, *_ in env._vehicles]
    assert max(speeds) > 1.0


@pytest.mark.parametrize("action", [np.array((np.nan, 0.0), np.float32), np.zeros(3, np.float32), np.float32(0.5)])
def test_refuses_what_is_no_action_and_goes_on(make_env, action):
    env = make_env(small_config(vehicles=0))
    env.reset(seed=1)
    with pytest.raises(ValueError, match="two finite numbers"):
        env.step(action)
    assert env.step(AHEAD)[0]["vector"][0] > 0


# --- ends


def test_hitting_a_car_terminates(make_env):
    env = make_env(small_config(vehicles=0))
    observation, _ = env.reset(seed=3)
    world = env._session.world
    ahead = env._route.points[8], env._route.angles[8]
    (x, y, z), (pitch, yaw, roll) = ahead
    blueprint = world.get_blueprint_library().find("vehicle.tesla.model3")
    obstacle = world.spawn_actor(
        blueprint, carla.Transform(carla.Location(x, y, z + 0.5), carla.Rotation(pitch, yaw, roll))
    )
    try:
        steps = drive(env, lambda seen: pure_pursuit(seen, env._config, 30.0), observation)
        _, reward, terminated, truncated, info = steps[-1]
        assert (terminated, truncated, info["termination"]) == (True, False, "collision")
        assert info["reward_components"]["safety"] == -RewardConfig().safety
        assert reward < 0
        assert info["episode"]["collisions"] >= 1
        assert [step[4]["reward_components"]["safety"] for step in steps[:-1]] == [0.0] * (len(steps) - 1)
    finally:
        obstacle.destroy()


def test_leaving_the_road_terminates(make_env):
    env = make_env(small_config(vehicles=0))
    reasons = set()
    for seed in range(3):
        env.reset(seed=seed)
        _, _, terminated, truncated, info = drive(env, lambda _: np.array((0.3, 0.8), np.float32))[-1]
        assert terminated
        assert not truncated
        assert info["reward_components"]["safety"] == -RewardConfig().safety
        reasons.add(info["termination"])
    assert reasons <= {"off_road", "off_route", "collision"}
    assert "off_road" in reasons


def test_standing_for_long_truncates(make_env):
    env = make_env(small_config(vehicles=0, stuck_decisions=15))
    env.reset(seed=1)
    steps = drive(env, lambda _: STAND)
    assert steps[-1][2:4] == (False, True)
    assert steps[-1][4]["termination"] == "stuck"
    assert len(steps) == 15


def test_waiting_behind_a_standing_car_is_not_being_stuck(make_env):
    env = make_env(small_config(vehicles=0, stuck_decisions=15, max_decisions=40))
    env.reset(seed=3)
    (x, y, z), (pitch, yaw, roll) = env._route.points[7], env._route.angles[7]
    world = env._session.world
    place = carla.Transform(carla.Location(x, y, z + 0.5), carla.Rotation(pitch, yaw, roll))
    ahead = world.spawn_actor(world.get_blueprint_library().find("vehicle.tesla.model3"), place)
    try:
        env._vehicles.append((ahead.id, ahead.bounding_box.extent.x, ahead.bounding_box.extent.y))
        steps = drive(env, lambda _: STAND)
        assert (len(steps), steps[-1][4]["termination"]) == (40, "time_limit")
    finally:
        ahead.destroy()


@pytest.mark.parametrize(("colour", "reason"), [("Red", "time_limit"), ("Yellow", "time_limit"), ("Green", "stuck")])
def test_waiting_at_a_light_is_not_being_stuck(make_env, colour, reason):
    env = make_env(small_config(vehicles=0, stuck_decisions=15, max_decisions=300))
    observation, _ = env.reset(seed=1, options={"route": LIT_ROUTE})
    show(env, colour)
    there = False

    def stop_there(observation):
        nonlocal there
        there = there or env._ego.is_at_traffic_light()
        return STAND if there else pure_pursuit(observation, env._config, 15.0)

    last = drive(env, stop_there, observation)[-1][4]
    assert there
    assert last["termination"] == reason
    assert last["episode"]["red_lights_met"] == (colour == "Red")
    assert last["episode"]["red_lights_run"] == 0


@pytest.mark.parametrize("heeds", [True, False])
def test_a_red_light_run_is_told_and_costs_something_where_hazards_are_heeded(make_env, heeds):
    config = small_config(vehicles=0, max_decisions=300, reward={"heeds_hazards": heeds})
    env = make_env(config)
    observation, _ = env.reset(seed=1, options={"route": LIT_ROUTE})
    show(env, "Red")
    steps = drive(env, lambda seen: pure_pursuit(seen, config, 15.0), observation)
    summary = steps[-1][4]["episode"]
    assert summary["red_lights_met"] == summary["red_lights_run"] >= 1
    fines = [step[4]["reward_components"]["safety"] for step in steps]
    assert sum(fine == -config.reward.safety for fine in fines) == (summary["red_lights_run"] if heeds else 0)
    efficiency = [step[4]["reward_components"]["efficiency"] for step in steps[20:]]
    assert (min(efficiency) < 0.4 * config.reward.efficiency) == heeds, "too fast, right before the line"


def test_the_driver_that_is_told_the_distances_stops_at_red_and_goes_on_at_green(make_env):
    env = make_env(small_config(vehicles=0, max_decisions=600))
    observation, _ = env.reset(seed=1, options={"route": LIT_ROUTE, "autopilot": "true-distances"})
    show(env, "Red")

    def wait_a_while(observation):
        if env._ego.is_at_traffic_light() and observation["vector"][0] < 1e-3:
            show(env, "Green")
        return AHEAD

    last = drive(env, wait_a_while, observation)[-1][4]
    assert last["termination"] == "route_completed"
    assert (last["episode"]["red_lights_met"], last["episode"]["red_lights_run"]) == (1, 0)


def test_the_end_of_the_route_terminates(make_env):
    env = make_env(small_config(vehicles=0))
    observation, _ = env.reset(seed=2, options={"route": 0})
    _, _, terminated, truncated, info = drive(env, lambda seen: pure_pursuit(seen, env._config, 30.0), observation)[-1]
    assert (terminated, truncated, info["termination"]) == (True, False, "route_completed")
    assert info["episode"]["route_completion"] == 1.0
    assert info["episode"]["collisions"] == 0


# --- seeds and routes


def test_an_episode_is_a_function_of_its_seed_and_actions(make_env):
    env = make_env()
    first, other, again = transcript(env, 11), transcript(env, 12), transcript(env, 11)
    assert first == again
    assert first != other
    assert len(first) > 30


def test_without_a_seed_the_environment_goes_through_a_sequence_of_its_own(make_env):
    def seeds(seed):
        env = make_env(small_config(vehicles=0), seed=seed)
        found = [env.reset()[1]["seed"] for _ in range(3)]
        env.close()
        return found

    assert seeds(4) == seeds(4)
    assert len(set(seeds(4) + seeds(5))) == 6


def test_evaluation_routes_by_number_and_by_purpose(make_env):
    env = make_env(small_config(vehicles=0), purpose="evaluation")
    routes = env.planner.evaluation_routes
    for number in (0, 3):
        _, info = env.reset(seed=1, options={"route": number})
        assert info["route_length_m"] == routes[number].length
    assert env.reset(seed=9)[1]["route_length_m"] in [route.length for route in routes]
    with pytest.raises(BadInput, match="there are 40 evaluation routes"):
        env.reset(seed=1, options={"route": 40})


def test_respawn_gives_a_whole_episode_too(make_env, hamlet):
    env = make_env(small_config(reset="respawn"))
    for seed in (1, 2, 3):
        env.reset(seed=seed)
        for _ in range(5):
            env.step(AHEAD)
    found = others_in(hamlet)
    assert sum(name.startswith("vehicle.") for name in found) == 7
    assert sum(name.startswith("sensor.") for name in found) == 3


# --- clean-up and bad input


def test_close_leaves_nothing_and_may_be_repeated(make_env, hamlet):
    env = make_env()
    env.reset(seed=1)
    for _ in range(5):
        env.step(AHEAD)
    assert len(others_in(hamlet)) >= 4
    env.close()
    env.close()
    assert others_in(hamlet) == []


def test_an_asynchronous_simulator_is_asynchronous_again_afterwards(make_env, hamlet):
    client = carla.Client("127.0.0.1", hamlet.port)
    client.set_timeout(5)
    world = client.get_world()
    found = world.get_settings()
    changed = world.get_settings()
    changed.synchronous_mode, changed.fixed_delta_seconds = False, None
    world.apply_settings(changed)
    try:
        env = make_env(small_config(vehicles=2))
        env.reset(seed=1)
        env.step(AHEAD)
        env.close()
        after = client.get_world().get_settings()
        assert not after.synchronous_mode
    finally:
        client.get_world().apply_settings(found)


def test_a_failing_reset_leaves_nothing(make_env, hamlet):
    """The ego's place is taken, by a car that another client left there after the reload."""
    env = make_env(small_config(vehicles=2, reset="respawn"))
    env.reset(seed=1)
    route = env.planner.evaluation_routes[2]
    (x, y, z), (pitch, yaw, roll) = route.points[0], route.angles[0]
    world = env._session.world
    blueprint = world.get_blueprint_library().find("vehicle.tesla.model3")
    obstacle = world.try_spawn_actor(
        blueprint, carla.Transform(carla.Location(x, y, z + 0.5), carla.Rotation(pitch, yaw, roll))
    )
    with pytest.raises(UserError, match="the ego cannot be spawned"):
        env.reset(seed=1, options={"route": 2})
    obstacle.destroy()
    env.close()
    assert others_in(hamlet) == []


def test_two_environments_in_one_process_are_refused(make_env):
    make_env()
    with pytest.raises(UserError, match="one process per environment"):
        make_env()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"town": "Nowhere"}, r"environment.town Nowhere: the simulator offers .*Hamlet"),
        ({"town": "missing.xodr"}, r"environment.town missing.xodr: cannot be read"),
        ({"vehicle": "vehicle.horse.cart"}, r"environment.vehicle vehicle.horse.cart: the simulator offers .*model3"),
        ({"weather": ["Hail"]}, r"environment.weather Hail: CARLA knows .*ClearNoon"),
    ],
)
def test_what_the_simulator_does_not_have_is_bad_input(make_env, change, message):
    with pytest.raises(BadInput, match=message):
        make_env(small_config(**change))
    make_env()  # and nothing of the refused one is left


def test_a_traffic_manager_port_in_use_is_named(hamlet):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = DrivingEnv(small_config(), port=hamlet.port, tm_port=port)
        try:
            with pytest.raises(UserError, match=f"Traffic Manager port {port} is in use"):
                env.reset(seed=1)
        finally:
            env.close()


def test_nobody_listening_is_told_within_the_timeout():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(SimulatorLost, match=f"127.0.0.1:{port}"):
        DrivingEnv(small_config(), port=port, timeout_s=1)
    assert time.monotonic() - started < 5


def test_a_simulator_of_another_version_is_refused():
    """A server that answers `version`, as CARLA 0.9.15 would."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer_versions, args=(listener,), daemon=True).start()
        with pytest.raises(UserError, match=r"is version 0\.9\.15, but the carla client .* is 0\.9\.16"):
            DrivingEnv(small_config(), port=listener.getsockname()[1], timeout_s=2)


def answer_versions(listener):
    connection, _ = listener.accept()
    unpacker = msgpack.Unpacker()
    with connection:
        while data := connection.recv(4096):
            unpacker.feed(data)
            for _, number, _, _ in unpacker:
                connection.sendall(msgpack.packb([1, number, None, [[1, "0.9.15"]]]))
