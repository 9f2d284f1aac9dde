"""The conformance suite: what CARLA's documentation promises a client, written from that documentation alone.

It judges the embedded simulator; with `--carla-host H --carla-port P` any running server that speaks CARLA 0.9.16's
protocol, such as CARLA itself, in the town that it has loaded. That server must be nobody else's: its world is changed.
"""

from typing import Any, NamedTuple

import pytest

from tests.conftest import StartServer
from tests.simulator.protocol import run_client

SYNCHRONOUS = '''
client.set_timeout(120.0)  # CARLA takes its time to load a town
world = client.load_world(sys.argv[2]) if sys.argv[2] else client.reload_world()
settings = world.get_settings()
settings.synchronous_mode = True
settings.fixed_delta_seconds = 0.05
world.apply_settings(settings)
blueprint_library = world.get_blueprint_library()
spawn_points = world.get_map().get_spawn_points()
def straight(point):
    """Metres for which the road goes straight on, at most 100."""
    lane, metres = world.get_map().get_waypoint(point.location), 2.0
    while metres < 100.0:
        ahead = lane.next(metres)
        turned = ahead[0].transform.rotation.yaw - point.rotation.yaw if len(ahead) == 1 else 180.0
        if ahead[0].is_junction or math.cos(math.radians(turned)) < 0.999:
            break
        metres += 2.0
    return metres
'''
END = """
settings.synchronous_mode = False
settings.fixed_delta_seconds = None
world.apply_settings(settings)
"""


class Served(NamedTuple):
    host: str
    port: int


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, simulator_server: StartServer):
    """The server that the command line names, or an embedded one."""
    port = request.config.getoption("--carla-port")
    if port is not None:
        yield Served(request.config.getoption("--carla-host"), port)
        return
    started = simulator_server("Hamlet")
    yield Served("127.0.0.1", started.port)
    started.stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The embedded simulator in both of its towns, another server in the town that it has loaded."""
    if "town" in metafunc.fixturenames:
        embedded = metafunc.config.getoption("--carla-port") is None
        metafunc.parametrize("town", ["Hamlet", "Brookfield"] if embedded else [""])


def told(server: Served, town: str, program: str) -> Any:
    return run_client(SYNCHRONOUS + program + END, server.port, town, timeout=600, host=server.host)


def test_the_town_is_loaded_and_every_spawn_point_is_on_a_driving_lane(server: Served, town: str):
    got = told(
        server,
        town,
        """
town_map = world.get_map()
lanes = [town_map.get_waypoint(point.location, project_to_road=False, lane_type=carla.LaneType.Driving)
         for point in spawn_points]
tell({
    "versions": [client.get_client_version(), client.get_server_version()], "map": town_map.name,
    "maps": [name.rpartition("/")[2] for name in client.get_available_maps()],
    "points": len(spawn_points), "off": sum(lane is None for lane in lanes),
})
""",
    )
    name = got["map"].rpartition("/")[2]
    assert got["versions"] == ["0.9.16", "0.9.16"]
    assert name == town or not town
    assert name in got["maps"]
    assert got["points"] > 10
    assert got["off"] == 0


def test_a_tick_is_one_frame_of_the_fixed_step(server: Served, town: str):
    got = told(
        server,
        town,
        """
frames, times = [], []
for _ in range(10):
    frames.append(world.tick())
    stamp = world.get_snapshot().timestamp
    times.append(stamp.elapsed_seconds)
    assert stamp.frame == frames[-1]
    assert abs(stamp.delta_seconds - 0.05) < 1e-6
tell([[b - a for a, b in zip(frames, frames[1:])], [b - a for a, b in zip(times, times[1:])]])
""",
    )
    assert got[0] == [1] * 9
    assert got[1] == pytest.approx([0.05] * 9, abs=1e-6)


def test_a_vehicle_obeys_its_controls(server: Served, town: str):
    got = told(
        server,
        town,
        """
blueprint = blueprint_library.filter("model3")[0]
colour = blueprint.get_attribute("color").recommended_values[1]
blueprint.set_attribute("color", colour)
blueprint.set_attribute("role_name", "hero")
car = world.spawn_actor(blueprint, max(spawn_points, key=straight))
def after(seconds, **control):
    car.apply_control(carla.VehicleControl(**control))
    for _ in range(round(seconds / 0.05)):
        world.tick()
    velocity, forward = car.get_velocity(), car.get_transform().get_forward_vector()
    return [velocity.length(), velocity.x * forward.x + velocity.y * forward.y, car.get_transform().rotation.yaw]
got = {
    "settled": after(1.0, brake=1.0), "faster": after(3.0, throttle=0.7),
    "right": after(0.6, throttle=0.3, steer=0.4), "stopped": after(4.0, brake=1.0),
    "back": after(2.5, throttle=0.5, reverse=True), "held": after(3.0, hand_brake=True),
    "control": car.get_control().hand_brake, "colour": [car.attributes["color"], colour],
    "role": car.attributes["role_name"],
}
car.destroy()
tell(got)
""",
    )
    assert got["settled"][0] < 0.1
    assert got["faster"][1] > 4.0
    turn = (got["right"][2] - got["faster"][2] + 180.0) % 360.0 - 180.0
    assert 2.0 < turn < 90.0
    assert got["stopped"][0] < 0.1
    assert got["back"][1] < -0.8
    assert got["held"][0] < 0.2
    assert got["control"] is True
    assert got["colour"][0] == got["colour"][1]
    assert got["role"] == "hero"


def test_cameras_give_one_picture_a_tick_in_carlas_encodings(server: Served, town: str):
    got = told(
        server,
        town,
        """
car = world.spawn_actor(blueprint_library.find("vehicle.tesla.model3"), spawn_points[0])
cameras, pictures = {}, {}
for kind in ("rgb", "depth", "semantic_segmentation"):
    blueprint = blueprint_library.find("sensor.camera." + kind)
    for name, value in (("image_size_x", "160"), ("image_size_y", "120"), ("fov", "110")):
        blueprint.set_attribute(name, value)
    place = carla.Transform(carla.Location(x=2.6, z=2.0), carla.Rotation(pitch=-30.0))
    cameras[kind] = world.spawn_actor(blueprint, place, attach_to=car)
    pictures[kind] = collect(cameras[kind])
def shoot(frame):
    found = {}
    for kind, images in pictures.items():
        while (image := images.get(timeout=30)).frame < frame:
            pass
        found[kind] = image
    return found
for _ in range(20):
    last = world.tick()
shoot(last)
frames = []
for _ in range(10):
    frame = world.tick()
    found = shoot(frame)
    frames.append(all(image.frame == frame for image in found.values()))
middle = 4 * (60 * 160 + 80)
blue, green, red, _ = bytes(found["depth"].raw_data[middle:middle + 4])
tags = bytes(found["semantic_segmentation"].raw_data)[2::4]
colours = bytes(found["rgb"].raw_data)
size = [[image.width, image.height, image.fov, len(image.raw_data)] for image in found.values()]
for camera in cameras.values():
    camera.stop()
    camera.destroy()
car.destroy()
tell({"frames": frames, "size": size, "metres": 1000.0 * (red + 256 * green + 65536 * blue) / (256 ** 3 - 1),
      "road": tags.count(1) / len(tags), "shades": len(set(colours[::4]))})
""",
    )
    assert got["frames"] == [True] * 10
    assert got["size"] == [[160, 120, 110.0, 160 * 120 * 4]] * 3
    assert got["metres"] == pytest.approx(4.0, abs=0.6)  # 2 m above the road, looking down at 30 degrees
    assert got["road"] > 0.3
    assert got["shades"] > 5


def test_collisions_and_crossed_lines_are_told(server: Served, town: str):
    got = told(
        server,
        town,
        """
start = max(spawn_points, key=straight)
car = world.spawn_actor(blueprint_library.find("vehicle.tesla.model3"), start)
ahead = world.get_map().get_waypoint(start.location).next(14.0)[0].transform
ahead.location.z += 0.5
other = world.spawn_actor(blueprint_library.find("vehicle.audi.tt"), ahead)
sensors = {kind: world.spawn_actor(blueprint_library.find("sensor.other." + kind), carla.Transform(), attach_to=car)
           for kind in ("collision", "lane_invasion")}
events = {kind: collect(sensor) for kind, sensor in sensors.items()}
for _ in range(60):
    car.apply_control(carla.VehicleControl(throttle=0.6))
    world.tick()
hit = events["collision"].get(timeout=10)
told_of = [hit.actor.id == car.id, hit.other_actor.id == other.id, hit.normal_impulse.length()]
other.destroy()
for step in range(80):
    car.apply_control(carla.VehicleControl(throttle=0.5, steer=-0.3 if step < 40 else 0.0))
    world.tick()
crossed = events["lane_invasion"].get(timeout=10)
markings = [str(marking.type) for marking in crossed.crossed_lane_markings]
for sensor in sensors.values():
    sensor.stop()
    sensor.destroy()
car.destroy()
world.tick()
left = [actor.type_id for actor in world.get_actors() if actor.type_id.startswith(("vehicle", "sensor"))]
tell([told_of, markings, left])
""",
    )
    (own, others, impulse), markings, left = got
    assert own is True
    assert others is True
    assert impulse > 100.0
    assert markings
    assert left == []


def test_batches_and_the_traffic_manager(server: Served, town: str):
    got = told(
        server,
        town,
        """
SpawnActor, SetAutopilot, FutureActor = carla.command.SpawnActor, carla.command.SetAutopilot, carla.command.FutureActor
traffic_manager = client.get_trafficmanager(int(sys.argv[1]) + 2)
traffic_manager.set_synchronous_mode(True)
traffic_manager.set_random_device_seed(5)
time.sleep(0.2)  # not a tick before the Traffic Manager's thread waits for one: it would hang
world.tick()
blueprint = blueprint_library.find("vehicle.audi.tt")
chosen = spawn_points[2:60:8][:5]
batch = [SpawnActor(blueprint, point).then(SetAutopilot(FutureActor, True, traffic_manager.get_port()))
         for point in chosen]
batch.append(SpawnActor(blueprint, chosen[0]))
responses = client.apply_batch_sync(batch, False)
others = [response.actor_id for response in responses if not response.error]
errors = [response.error for response in responses if response.error]
moved = set()
for _ in range(300):
    time.sleep(0.002)
    world.tick()
    moved |= {number for number in others if world.get_actor(number).get_velocity().length() > 0.5}
responses = client.apply_batch_sync([carla.command.DestroyActor(number) for number in others], False)
time.sleep(0.1)
traffic_manager.shut_down()
world.tick()
left = [actor.id for actor in world.get_actors().filter("vehicle.*")]
tell([errors, len(others), len(moved), [response.error for response in responses], left])
""",
    )
    errors, others, moved, refusals, left = got
    assert errors == ["Spawn failed because of collision at spawn position"]
    assert others == 5
    assert moved >= 4  # within 15 s; one may wait at a light
    assert refusals == [""] * 5
    assert left == []


def test_lights_and_weather_are_as_they_were_set(server: Served, town: str):
    got = told(
        server,
        town,
        """
lights = world.get_actors().filter("traffic.traffic_light")
light = lights[0]
light.set_state(carla.TrafficLightState.Green)
light.set_green_time(4.0)
world.freeze_all_traffic_lights(True)
for _ in range(100):
    world.tick()
frozen = [str(light.get_state()), light.get_green_time(), light.is_frozen(), light.id in
          [other.id for other in light.get_group_traffic_lights()]]
world.freeze_all_traffic_lights(False)
world.set_weather(carla.WeatherParameters(cloudiness=80.0, precipitation=30.0, sun_altitude_angle=70.0))
world.tick()
weather = world.get_weather()
tell([len(lights), frozen, [weather.cloudiness, weather.precipitation, weather.sun_altitude_angle]])
""",
    )
    count, frozen, weather = got
    assert count >= 4
    assert frozen == ["Green", 4.0, True, True]
    assert weather == [80.0, 30.0, 70.0]


def test_a_place_that_is_taken_and_a_blueprint_that_is_not_there(server: Served, town: str):
    got = told(
        server,
        town,
        """
blueprint = blueprint_library.find("vehicle.tesla.model3")
first = world.spawn_actor(blueprint, spawn_points[0])
second = world.try_spawn_actor(blueprint, spawn_points[0])
errors = []
try:
    world.spawn_actor(blueprint, spawn_points[0])
except RuntimeError as error:
    errors.append(str(error))
try:
    blueprint_library.find("vehicle.no.such")
except IndexError:
    errors.append("IndexError")
world.tick()
gone = [first.destroy(), first.is_alive]
tell([second is None, errors, gone])
""",
    )
    assert got[0] is True
    assert "collision at spawn position" in got[1][0]
    assert got[1][1] == "IndexError"
    assert got[2] == [True, False]
