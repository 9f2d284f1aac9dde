"""Exact repetition: the same commands give the same bytes, in a fresh server and after any reload."""

import itertools
import struct
from concurrent.futures import Future

import pytest

from td3_hpc.simulator.actors import TrafficSign
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.settings import EpisodeSettings
from td3_hpc.simulator.streams import Streams
from td3_hpc.simulator.towns import load_town
from td3_hpc.simulator.wire import MAP_CHANGE
from td3_hpc.simulator.world import World
from tests.conftest import SimulatorServer, StartServer
from tests.simulator.protocol import WORLD_HEADER, RawClient, run_client
from tests.simulator.worlds import car_at, flat_world


def episode(client: RawClient) -> list[bytes]:
    """Everything that two clients would see of a short episode, less episode id and frame number."""
    client.fresh()
    points = client.spawn_points()
    cars = [client.spawn("vehicle.tesla.model3", points[number])[0] for number in (0, 7, 20)]
    mount = [[1.5, 0.0, 2.4], [0.0, 0.0, 0.0]]
    camera = client.spawn("sensor.camera.rgb", mount, cars[0], image_size_x="40", image_size_y="30")
    imu = client.spawn("sensor.other.imu", mount, cars[0], noise_accel_stddev_x="0.5", noise_seed="7")
    seen = []
    with client.world_stream() as world, client.subscribe(camera[5]) as pictures, client.subscribe(imu[5]) as motions:
        world.receive()
        for step in range(120):
            for number, car in enumerate(cars):
                control = [0.4 + 0.1 * number, 0.3 * ((step // 30) % 3 - 1), 0.0, False, False, False, 0]
                client.call("apply_control_to_vehicle", car, control)
            client.call("tick_cue")
            frame = world.receive()
            assert len(frame) > WORLD_HEADER.size
            seen += [frame[16:48] + frame[56 : 56 + 28], frame[WORLD_HEADER.size :]]
            seen += [pictures.receive()[16:], motions.receive()[16:]]
    return seen


def test_the_same_episode_twice_and_in_a_fresh_server(hamlet_server: SimulatorServer, simulator_server: StartServer):
    with RawClient(hamlet_server.port) as client:
        first = episode(client)
        client.fresh("Brookfield")
        client.call("tick_cue")
        client.fresh("Hamlet")
        second = episode(client)
    assert first == second
    assert len(set(first)) > 300  # it did move
    other = simulator_server("Hamlet")
    with RawClient(other.port) as client:
        assert episode(client) == first
    other.stop()


class Listener:
    """Stands where a subscriber's connection would, and keeps what is sent to it."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def send(self, message: bytes, lossless: bool) -> None:
        self.messages.append(message)


def test_asynchronous_steps_do_not_wait_until_the_scene_is_built():
    world, listener = World(load_town("Hamlet", None), Streams()), Listener()
    size = [["image_size_x", 2, "8"], ["image_size_y", 2, "8"]]
    camera = world.spawn([0, "sensor.camera.depth", size], Pose(0.0, 0.0, 2.0))
    world.streams.subscribe(camera.stream_id, listener)
    world._renderer = Future()  # of a scene that is still being built
    world.step()
    world.draw()
    assert listener.messages == [], "a picture of a scene that there is not"
    world._renderer = None
    assert world.renderer is not None  # built now
    world.step()
    world.draw()
    assert len(listener.messages) == 1


def test_a_clients_handle_of_an_earlier_world_finds_nobody(simulator_server: StartServer):
    server = simulator_server("Hamlet", options=())
    told = run_client(
        """
def spawn():
    library, points = world.get_blueprint_library(), world.get_map().get_spawn_points()
    return world.spawn_actor(library.find("vehicle.audi.tt"), points[0])
old = spawn()
spectator = world.get_spectator().id
world = client.reload_world()
new = spawn()
response, = client.apply_batch_sync([carla.command.DestroyActor(old.id)])
world.wait_for_tick()
tell([new.id > old.id, world.get_spectator().id > old.id > spectator, "not found" in response.error, new.is_alive])
""",
        server.port,
    )
    assert told == [True, True, True, True]
    server.stop()


def test_ids_and_clock_of_a_synchronous_server_restart_with_the_episode_and_frames_never(
    hamlet_server: SimulatorServer,
):
    with RawClient(hamlet_server.port) as client:
        client.fresh()
        ids = [client.spawn("vehicle.audi.tt", client.spawn_points()[number])[0] for number in range(0, 9, 3)]
        assert ids == sorted(ids)
        frame = client.call("tick_cue")
        before = client.call("get_episode_info")[0]
        client.fresh()
        assert client.call("get_episode_info")[0] == before + 1
        assert client.spawn("vehicle.audi.tt", client.spawn_points()[0])[0] == ids[0]
        with client.world_stream() as stream:
            stream.receive()
            assert client.call("tick_cue") == frame + 2  # the step before is the loading's
            header = WORLD_HEADER.unpack(stream.receive()[: WORLD_HEADER.size])
            assert header[2] == pytest.approx(0.05)


def test_a_world_is_loaded_after_the_next_step_and_its_own_first_step_says_so(hamlet_server: SimulatorServer):
    """A client that loads a world listens anew after the answer, and must find the old one until then."""
    with RawClient(hamlet_server.port) as client:
        client.fresh()
        client.call("tick_cue")
        episode_id, (token,) = client.call("get_episode_info")
        car = client.spawn("vehicle.audi.tt", client.spawn_points()[0])[0]
        with client.subscribe(token) as stream:
            states = [WORLD_HEADER.unpack(stream.receive()[: WORLD_HEADER.size])]
            client.call("load_new_episode", "Brookfield", False, 65535)
            assert client.call("get_episode_info")[0] == episode_id
            assert len(client.call("get_actors_by_id", [car])) == 1
            for step in range(3):
                client.call("tick_cue")
                states.append(WORLD_HEADER.unpack(stream.receive()[: WORLD_HEADER.size]))
                assert client.call("get_map_info")[0] == "Carla/Maps/Brookfield"
                assert client.call("get_episode_info")[0] == episode_id + 1
                if step == 0:
                    with client.subscribe(token) as late:
                        states_of_late = WORLD_HEADER.unpack(late.receive()[: WORLD_HEADER.size])
        assert [state[9] - episode_id for state in states] == [0, 0, 1, 1]
        assert [state[15] for state in states] == [0, 0, MAP_CHANGE, 0]
        assert (states_of_late[9] - episode_id, states_of_late[15]) == (1, 0)
        client.fresh("Hamlet")


def test_other_clients_of_the_world_see_that_the_map_is_another(hamlet_server: SimulatorServer):
    told = run_client(
        """
world = client.load_world("Hamlet", False)
other_client = carla.Client("127.0.0.1", int(sys.argv[1]))
other_client.set_timeout(20.0)
other = other_client.get_world()
names = [other.get_map().name]
frame = client.load_world("Brookfield", False).tick()
while other.get_snapshot().frame < frame:
    time.sleep(0.01)
names.append(other.get_map().name)
client.load_world("Hamlet", False)
tell(names)
""",
        hamlet_server.port,
    )
    assert told == ["Carla/Maps/Hamlet", "Carla/Maps/Brookfield"]


def test_no_sum_of_steps_accumulates_an_error():
    world = flat_world()
    world.apply_settings(EpisodeSettings(fixed_delta_seconds=0.1))
    for _ in range(1000):
        world.step()
    assert world.elapsed_s == 100.0


def test_time_goes_on_from_where_it_was_when_the_step_changes():
    world = flat_world()
    times = [world.elapsed_s]
    for step_s in (0.05, 0.01, 0.1, 0.05):
        world.apply_settings(EpisodeSettings(fixed_delta_seconds=step_s))
        assert world.elapsed_s == times[-1]
        for _ in range(20):
            world.step()
            times.append(world.elapsed_s)
        assert [later - time for time, later in itertools.pairwise(times[-21:])] == pytest.approx([step_s] * 20)
    world.load(world.town)
    assert world.elapsed_s == 0.0


def test_acceleration_is_the_change_of_velocity():
    world = flat_world()
    car = car_at(world, 100.0, throttle=0.8)
    for _ in range(20):
        before = car.velocity
        world.step()
        assert car.acceleration == pytest.approx([(v - u) / 0.05 for v, u in zip(car.velocity, before)])


def test_scenery_that_is_put_away_is_neither_seen_nor_met(hamlet_server: SimulatorServer):
    told = run_client(
        """
world = client.reload_world(False)
library = world.get_blueprint_library()
houses = world.get_environment_objects(carla.CityObjectLabel.Buildings)
house = houses[0]
box, points = house.bounding_box, world.get_map().get_spawn_points()
road = world.get_map().get_waypoint(box.location).transform.location
towards = carla.Location(box.location.x - road.x, box.location.y - road.y, 0.0)
yaw = math.degrees(math.atan2(towards.y, towards.x))
blueprint = library.find("sensor.camera.depth")
for name, value in (("image_size_x", "21"), ("image_size_y", "21"), ("fov", "10")):
    blueprint.set_attribute(name, value)
eye = carla.Location(road.x, road.y, box.location.z)
camera = world.spawn_actor(blueprint, carla.Transform(eye, carla.Rotation(yaw=yaw)))
pictures = collect(camera)
inside = carla.Transform(carla.Location(box.location.x, box.location.y, box.location.z - box.extent.z + 0.5))
def look():
    world.tick()
    blue, green, red, _ = bytes(pictures.get(timeout=20).raw_data)[4 * (10 * 21 + 10):][:4]
    car = world.try_spawn_actor(library.find("vehicle.mini.cooper_s"), inside)
    met = world.project_point(eye, towards, 60.0)
    seen = [1000.0 * (red + 256 * green + 65536 * blue) / (256 ** 3 - 1),
            met.location.distance(eye) if met else None, car is not None, len(world.get_level_bbs(house.type))]
    if car is not None:
        car.destroy()
    return seen
def switch(enabled):
    world.enable_environment_objects([house.id], enabled)
    return look()
tell([look(), switch(False), len(world.get_environment_objects(house.type)) - len(houses), switch(True)])
camera.stop()
""",
        hamlet_server.port,
    )
    before, away, listed, back = told
    assert before[0] == pytest.approx(before[1], abs=0.1)
    assert before[2] is False
    assert away[0] > before[0] + 2.0
    assert away[1] is None or away[1] > before[1] + 2.0
    assert away[2:] == [True, before[3] - 1]
    assert listed == 0  # it can be put back by the number that it had
    assert back == pytest.approx(before)


def test_a_sign_that_a_client_moves_is_seen_where_it_is():
    world = World(load_town("Brookfield", None), Streams())
    sign = next(actor for actor in world.population.by_id.values() if isinstance(actor, TrafficSign))
    assert struct.unpack_from("<3f", sign.state(), 5) == pytest.approx(sign.pose[:3])
    assert sign.state() == sign.state()
    sign.teleport(sign.pose._replace(x=12.0, z=3.0))
    assert struct.unpack_from("<3f", sign.state(), 5) == pytest.approx((12.0, sign.pose.y, 3.0))


def test_the_speed_limit_is_the_places(hamlet_server: SimulatorServer):
    with RawClient(hamlet_server.port) as client:
        client.fresh()
        limits = {}
        for number, point in enumerate(client.spawn_points()[::15]):
            limits[client.spawn("vehicle.mini.cooper_s", point)[0]] = number
        client.call("tick_cue")
        with client.world_stream() as stream:
            states = stream.actors()
        shown = {struct.unpack("<f", states[car][84:88])[0] for car in limits}
        assert shown == {30.0, 40.0}
