"""A first session as CARLA's own documentation teaches it, written from that documentation alone."""

import pytest

from tests.conftest import SimulatorServer, StartServer
from tests.simulator.protocol import run_client

FIRST_STEPS = """
world = client.load_world(sys.argv[2])
settings = world.get_settings()
settings.synchronous_mode = True
settings.fixed_delta_seconds = 0.05
world.apply_settings(settings)

blueprint_library = world.get_blueprint_library()
vehicle_bp = random.choice(blueprint_library.filter("vehicle.*.*"))
vehicle_bp = blueprint_library.filter("model3")[0]
color = random.choice(vehicle_bp.get_attribute("color").recommended_values)
vehicle_bp.set_attribute("color", color)
vehicle_bp.set_attribute("role_name", "hero")
spawn_points = world.get_map().get_spawn_points()
ego_vehicle = world.spawn_actor(vehicle_bp, spawn_points[0])
ego_vehicle.set_autopilot(False)

camera_bp = blueprint_library.find("sensor.camera.rgb")
camera_bp.set_attribute("image_size_x", "160")
camera_bp.set_attribute("image_size_y", "120")
camera_bp.set_attribute("fov", "110")
camera = world.spawn_actor(camera_bp, carla.Transform(carla.Location(z=2)), attach_to=ego_vehicle)
images = queue.Queue()
camera.listen(images.put)
collisions, invasions = [], []
collision_sensor = world.spawn_actor(
    blueprint_library.find("sensor.other.collision"), carla.Transform(), attach_to=ego_vehicle)
collision_sensor.listen(collisions.append)
lane_sensor = world.spawn_actor(
    blueprint_library.find("sensor.other.lane_invasion"), carla.Transform(), attach_to=ego_vehicle)
lane_sensor.listen(invasions.append)
world.tick()
images.get(timeout=10)

SpawnActor, SetAutopilot, FutureActor = carla.command.SpawnActor, carla.command.SetAutopilot, carla.command.FutureActor
traffic_manager = client.get_trafficmanager(int(sys.argv[3]))
traffic_manager.set_synchronous_mode(True)
time.sleep(0.2)
batch = [SpawnActor(blueprint_library.find("vehicle.audi.tt"), point).then(
    SetAutopilot(FutureActor, True, traffic_manager.get_port())) for point in spawn_points[20:60:8]]
batch.append(SpawnActor(blueprint_library.find("vehicle.audi.tt"), spawn_points[0]))
responses = client.apply_batch_sync(batch, False)
others = [response.actor_id for response in responses if not response.error]
errors = [response.error for response in responses if response.error]

frames = []
start = ego_vehicle.get_location()
for _ in range(80):
    ego_vehicle.apply_control(carla.VehicleControl(throttle=0.7, steer=-0.12))
    time.sleep(0.002)
    frame = world.tick()
    image = images.get(timeout=10)
    frames.append(image.frame == frame)
actors = world.get_actors()
moved = sum(actors.find(number).get_velocity().length() > 0.5 for number in others)
weather = carla.WeatherParameters(cloudiness=80.0, precipitation=30.0, sun_altitude_angle=70.0)
world.set_weather(weather)
shown = world.get_weather().cloudiness
light = actors.filter("traffic.traffic_light")[0]
light.set_state(carla.TrafficLightState.Green)
time.sleep(0.01)
world.tick()
nearest = world.get_map().get_waypoint(ego_vehicle.get_location(), project_to_road=True)
client.apply_batch_sync([carla.command.DestroyActor(number) for number in others], True)
camera.stop()
collision_sensor.stop()
lane_sensor.stop()
for actor in (camera, collision_sensor, lane_sensor, ego_vehicle):
    actor.destroy()
world.tick()
left = [actor.type_id for actor in world.get_actors() if actor.type_id.startswith(("vehicle", "sensor"))]
tell({
    "map": world.get_map().name, "frames": all(frames), "distance": start.distance(nearest.transform.location),
    "size": [image.width, image.height, image.fov], "errors": errors, "others": len(others), "moved": moved,
    "cloudiness": shown, "light": str(light.get_state()), "left": left,
    "events": len(collisions) + len(invasions), "color": ego_vehicle.attributes["color"] == color,
    "maps": [name.rpartition("/")[2] for name in client.get_available_maps()],
})
traffic_manager.shut_down()
"""


@pytest.fixture(scope="module")
def server(simulator_server: StartServer):
    started = simulator_server("Hamlet")
    yield started
    started.stop()


@pytest.mark.parametrize("town", ["Hamlet", "Brookfield"])
def test_first_steps_in_every_own_town(server: SimulatorServer, town: str):
    told = run_client(FIRST_STEPS, server.port, town, str(server.port + 2))
    assert told["map"] == f"Carla/Maps/{town}"
    assert told["maps"] == ["Brookfield", "Hamlet"]
    assert told["frames"] is True
    assert told["distance"] > 8.0
    assert told["size"] == [160, 120, 110.0]
    assert told["errors"] == ["Spawn failed because of collision at spawn position"]
    assert told["others"] == 5
    assert told["moved"] >= 2  # the others wait at a light
    assert told["cloudiness"] == 80.0
    assert told["light"] == "Green"
    assert told["left"] == []
    assert told["events"] > 0
    assert told["color"] is True
