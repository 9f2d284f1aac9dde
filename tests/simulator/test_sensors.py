"""Sensors through the real client library."""

import itertools
import math

import pytest

from tests.conftest import SimulatorServer
from tests.simulator.protocol import run_client

START = """
world = client.reload_world(False)
library = world.get_blueprint_library()
points = world.get_map().get_spawn_points()
def sensor(name, parent, transform=carla.Transform(), **attributes):
    blueprint = library.find(name)
    for key, value in attributes.items():
        blueprint.set_attribute(key, str(value))
    made = world.spawn_actor(blueprint, transform, attach_to=parent)
    return made, collect(made)
car = world.spawn_actor(library.find("vehicle.tesla.model3"), points[0])
world.tick()
"""


def test_a_collision_is_an_event_for_every_tick_of_contact(hamlet_server: SimulatorServer):
    told = run_client(
        START
        + """
ahead = points[0].location + 14 * points[0].get_forward_vector()
other = world.spawn_actor(library.find("vehicle.audi.tt"), carla.Transform(ahead, points[0].rotation))
other.apply_control(carla.VehicleControl(brake=1.0, hand_brake=True))
made, got = sensor("sensor.other.collision", car)
for _ in range(20):
    world.tick()
car.apply_control(carla.VehicleControl(throttle=1.0))
for _ in range(80):
    last = world.tick()
time.sleep(0.2)
events = [got.get_nowait() for _ in range(got.qsize())]
forward = points[0].get_forward_vector()
impulse = events[0].normal_impulse
tell([{(event.actor.id == car.id, event.other_actor.id == other.id, event.other_actor.type_id) for event in events}
      == {(True, True, "vehicle.audi.tt")}, [event.frame - last for event in events],
      impulse.x * forward.x + impulse.y * forward.y, impulse.length()])
made.stop()
""",
        hamlet_server.port,
    )
    both, frames, along, length = told
    assert both is True
    assert len(frames) > 20
    assert frames == sorted(set(frames))  # one for each tick
    assert list(range(-9, 1)) == frames[-10:]  # it pushes on
    assert along < 0.0
    assert 1e3 < length < 1e5


def test_a_walker_that_is_hit_has_the_opposite_event(hamlet_server: SimulatorServer):
    told = run_client(
        START
        + """
ahead = points[0].location + 8 * points[0].get_forward_vector() + carla.Location(z=1)
walker = world.spawn_actor(library.find("walker.pedestrian.0001"), carla.Transform(ahead))
made = [sensor("sensor.other.collision", one) for one in (car, walker)]
for _ in range(20):
    world.tick()
car.apply_control(carla.VehicleControl(throttle=1.0))
for _ in range(60):
    world.tick()
first = [got.get(timeout=10) for _, got in made]
tell([[event.actor.type_id, event.other_actor.type_id, event.frame,
       [event.normal_impulse.x, event.normal_impulse.y, event.normal_impulse.z]] for event in first])
for one, _ in made:
    one.stop()
""",
        hamlet_server.port,
    )
    (car, hit, frame, push), (walker, by, at, pushed) = told
    assert [car, hit] == ["vehicle.tesla.model3", "walker.pedestrian.0001"]
    assert [walker, by] == [hit, car]
    assert at == frame
    assert pushed == pytest.approx([-part for part in push])
    assert math.hypot(*push) > 1.0


def test_imu_measures_gravity_acceleration_and_north(hamlet_server: SimulatorServer):
    told = run_client(
        START
        + """
made, got = sensor("sensor.other.imu", car)
for _ in range(20):
    world.tick()
rest = [got.get(timeout=10) for _ in range(20)][-1]
car.apply_control(carla.VehicleControl(throttle=1.0))
before = car.get_velocity().length()
world.tick(); world.tick()
moving = [got.get(timeout=10) for _ in range(2)][-1]
tell([[rest.accelerometer.x, rest.accelerometer.y, rest.accelerometer.z], rest.compass, moving.accelerometer.x,
      car.get_transform().rotation.yaw, [rest.gyroscope.z]])
made.stop()
""",
        hamlet_server.port,
    )
    rest, compass, forward, yaw, gyroscope = told
    assert rest == pytest.approx([0.0, 0.0, 9.81], abs=0.05)
    assert compass == pytest.approx(math.radians((yaw + 90.0) % 360.0), abs=0.01)
    assert 2.0 < forward < 6.0
    assert gyroscope == pytest.approx([0.0], abs=1e-3)


def test_a_client_sets_the_gravity_that_imus_measure(hamlet_server: SimulatorServer):
    told = run_client(
        START
        + """
made, got = sensor("sensor.other.imu", car)
found = []
for gravity in (None, 1.62, 9.81):
    if gravity is not None:
        world.set_imui_sensor_gravity(gravity)
    for _ in range(10):
        world.tick()
    found.append([world.get_imui_sensor_gravity(), [got.get(timeout=10) for _ in range(10)][-1].accelerometer.z])
world.set_imui_sensor_gravity(3.0)
tell([found, client.reload_world(False).get_imui_sensor_gravity()])
""",
        hamlet_server.port,
    )
    found, anew = told
    assert [gravity for gravity, _ in found] == pytest.approx([9.81, 1.62, 9.81])
    assert [measured for _, measured in found] == pytest.approx([9.81, 1.62, 9.81], abs=0.05)
    assert anew == pytest.approx(9.81)


def test_gnss_is_the_maps_geolocation(hamlet_server: SimulatorServer):
    told = run_client(
        START
        + """
made, got = sensor("sensor.other.gnss", car)
world.tick()
fix = got.get(timeout=10)
place = world.get_map().transform_to_geolocation(made.get_location())
tell([fix.latitude - place.latitude, fix.longitude - place.longitude, fix.altitude - place.altitude])
made.stop()
""",
        hamlet_server.port,
    )
    assert told == pytest.approx([0.0, 0.0, 0.0], abs=1e-4)


def test_the_obstacle_sensor_sees_what_is_ahead(hamlet_server: SimulatorServer):
    told = run_client(
        START
        + """
def ahead(metres):
    place = points[0].location + metres * points[0].get_forward_vector()
    return carla.Transform(place, points[0].rotation)
eye = carla.Transform(carla.Location(x=2.4, z=0.7))
prop = world.spawn_actor(library.find("static.prop.box01"), ahead(9))
other = world.spawn_actor(library.find("vehicle.audi.tt"), ahead(14))
made = [sensor("sensor.other.obstacle", car, eye, distance=30, only_dynamics=flag) for flag in ("False", "True")]
world.tick(); world.tick()
seen = [got.get(timeout=10) for _, got in made]
backwards = carla.Transform(carla.Location(x=-2.5, z=0.7), carla.Rotation(yaw=180))
behind, silent = sensor("sensor.other.obstacle", car, backwards, distance=5)
world.tick(); world.tick()
thing = min(world.get_environment_objects(), key=lambda thing: thing.transform.location.distance(points[0].location))
middle = thing.bounding_box.location
towards = middle - carla.Location(points[0].location.x, points[0].location.y, middle.z)
far, size = towards.length(), thing.bounding_box.extent
car.set_transform(carla.Transform(middle - (math.hypot(size.x, size.y) + 6) / far * towards,
                                  carla.Rotation(yaw=math.degrees(math.atan2(towards.y, towards.x)))))
car.set_simulate_physics(False)
wall, walls = sensor("sensor.other.obstacle", car, eye, distance=30)
world.tick(); world.tick()
told = [[event.other_actor.type_id, event.distance] for event in (*seen, walls.get(timeout=10))]
tell([told, silent.qsize()])
for each in (*(one for one, _ in made), behind, wall):
    each.stop()
""",
        hamlet_server.port,
    )
    (box, car, scenery), behind = told
    assert box == ["static.prop.box01", pytest.approx(9 - 2.4 - 0.3 - 0.5, abs=0.3)]
    assert car == ["vehicle.audi.tt", pytest.approx(14 - 2.4 - 4.18 / 2 - 0.5, abs=0.3)]
    assert scenery[0].startswith("static.")
    assert 1.0 < scenery[1] < 20.0
    assert behind == 0


def test_crossing_the_middle_line_is_a_lane_invasion(hamlet_server: SimulatorServer):
    told = run_client(
        START
        + """
made, got = sensor("sensor.other.lane_invasion", car)
world.tick(); world.tick()
car.apply_control(carla.VehicleControl(throttle=0.6, steer=-0.25))
for _ in range(60):
    world.tick()
event = got.get(timeout=10)
tell([str(mark.type) for mark in event.crossed_lane_markings])
made.stop()
""",
        hamlet_server.port,
    )
    assert "Broken" in told


def test_cameras_deliver_every_step_with_the_steps_frame(hamlet_server: SimulatorServer):
    told = run_client(
        START
        + """
import numpy
kinds = ["rgb", "depth", "semantic_segmentation", "instance_segmentation"]
place = carla.Transform(carla.Location(x=1.5, z=2.4))
made = [sensor(f"sensor.camera.{kind}", car, place, image_size_x=60, image_size_y=40, fov=100) for kind in kinds]
frames = [world.tick() for _ in range(10)]
report = []
for (camera, got), kind in zip(made, kinds):
    images = [got.get(timeout=10) for _ in range(10)]
    pixels = numpy.frombuffer(images[-1].raw_data, numpy.uint8).reshape(40, 60, 4)
    extra = []
    if kind == "semantic_segmentation":
        extra = sorted({int(tag) for tag in pixels[:, :, 2].flat})
    if kind == "depth":
        metres = (pixels[:, :, 2] + 256.0 * pixels[:, :, 1] + 65536.0 * pixels[:, :, 0]) / 16777215 * 1000
        extra = [float(metres[-1, 30]), float(metres[0, 30])]
    report.append([[image.frame for image in images] == frames, images[-1].width, images[-1].height, images[-1].fov,
                   extra])
    camera.stop()
tell(report)
""",
        hamlet_server.port,
    )
    assert [row[:4] for row in told] == [[True, 60, 40, 100.0]] * 4
    near, sky = told[1][4]
    assert 1.0 < near < 6.0
    assert sky > 900.0
    assert {1, 11} <= set(told[2][4])  # road and sky


def test_sensor_tick_is_kept_to_the_frame(hamlet_server: SimulatorServer):
    told = run_client(
        START
        + """
made, got = sensor("sensor.other.gnss", car, sensor_tick=0.1)
frames = [world.tick() for _ in range(21)]
time.sleep(0.2)
seen = [got.get_nowait().frame for _ in range(got.qsize())]
tell([len(seen), [b - a for a, b in zip(seen, seen[1:])]])
made.stop()
""",
        hamlet_server.port,
    )
    count, gaps = told
    assert count in (10, 11)
    assert gaps == [2] * (count - 1)


def test_a_shorter_step_starves_no_sensor_tick(hamlet_server: SimulatorServer):
    told = run_client(
        START
        + """
made, got = sensor("sensor.other.gnss", car, sensor_tick=0.1)
times = []
settings = world.get_settings()
for step, ticks in ((0.05, 40), (0.01, 50), (0.05, 40)):
    settings.fixed_delta_seconds = step
    world.apply_settings(settings)
    for _ in range(ticks):
        world.tick()
        times.append(world.get_snapshot().timestamp.elapsed_seconds)
time.sleep(0.2)
seen = [got.get_nowait().timestamp for _ in range(got.qsize())]
settings.fixed_delta_seconds = 0.05
world.apply_settings(settings)
tell([times, seen])
made.stop()
""",
        hamlet_server.port,
    )
    times, seen = told
    assert times == sorted(times)
    gaps = [later - time for time, later in itertools.pairwise(seen)]
    assert gaps == pytest.approx([0.1] * len(gaps), abs=0.05)  # to the step
    assert len(seen) == pytest.approx((times[-1] - times[0]) / 0.1, abs=2)


def test_without_rendering_cameras_are_silent_and_others_not(hamlet_server: SimulatorServer):
    told = run_client(
        START
        + """
settings = world.get_settings()
settings.no_rendering_mode = True
world.apply_settings(settings)
camera, pictures = sensor("sensor.camera.rgb", car, image_size_x=20, image_size_y=20)
imu, motions = sensor("sensor.other.imu", car)
for _ in range(5):
    world.tick()
for _ in range(5):
    motions.get(timeout=10)
count = pictures.qsize()
settings.no_rendering_mode = False
world.apply_settings(settings)
world.tick()
pictures.get(timeout=10)
tell(count)
camera.stop(); imu.stop()
""",
        hamlet_server.port,
    )
    assert told == 0
