"""Start, end, asynchronous mode and several clients, with the real client library."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import SimulatorServer, StartServer
from tests.paths import ROOT
from tests.roads.small_roads import lane, road, section, town
from tests.simulator.opendrive_text import Road, hill, opendrive_text
from tests.simulator.protocol import RawClient, run_client


def start(*options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "td3_hpc.simulator", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_with_status_0_even_with_clients(simulator_server: StartServer, number: signal.Signals):
    server = simulator_server("Hamlet")
    with RawClient(server.port) as client, client.world_stream():
        began = time.monotonic()
        server.process.send_signal(number)
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 3.0
    server.stop()
    assert server.started_in_s < 30.0
    assert "Traceback" not in server.log.read_text()


def test_a_taken_port_is_one_line_and_a_remedy(hamlet_server: SimulatorServer):
    result = start("--port", str(hamlet_server.port), "--town", "Hamlet")
    assert result.returncode == 2
    assert f"port {hamlet_server.port}" in result.stderr
    assert "choose another --port" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_address_of_another_machine_is_one_line_and_a_remedy():
    result = start("--host", "192.0.2.1", "--town", "Hamlet", "--port", "29999")
    assert result.returncode == 2
    assert "of 192.0.2.1 cannot be used" in result.stderr
    assert "choose another --host" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_town_names_those_there_are():
    result = start("--town", "Atlantis", "--port", "29999")
    assert result.returncode == 2
    assert "Brookfield, Hamlet" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_damaged_file_is_one_line_that_says_what_is_wrong(tmp_path: Path):
    (tmp_path / "cut.xodr").write_text(opendrive_text([Road(0.0, 0.0, 0.0, 400.0)])[:900])
    result = start("--town", str(tmp_path / "cut.xodr"), "--port", "29999")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "cut.xodr: damaged, not well-formed XML" in result.stderr


@pytest.fixture(scope="module")
def unmarked_server(simulator_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> SimulatorServer:
    """A server of one road whose lanes have no markings."""
    lanes = section(0, lane(2, mark="") + lane(1, mark=""), lane(-1, mark="") + lane(-2, mark=""))
    file = tmp_path_factory.mktemp("towns") / "Unmarked.xodr"
    file.write_text(town(road(1, 400.1, lanes)))
    return simulator_server(str(file))


def test_what_was_healed_is_said_once(unmarked_server: SimulatorServer):
    told = [line for line in unmarked_server.log.read_text().splitlines() if "as served" in line]
    assert len(told) == 2
    assert told[-1].startswith("town Unmarked, as served: lanes without a marking got one of type none (road 1 lane 2,")


def test_a_car_that_crosses_lanes_without_markings_does_not_end_the_client(unmarked_server: SimulatorServer):
    told = run_client(
        """
library = world.get_blueprint_library()
car = world.spawn_actor(library.find("vehicle.tesla.model3"), world.get_map().get_spawn_points()[0])
crossed = []
sensor = world.spawn_actor(library.find("sensor.other.lane_invasion"), carla.Transform(), attach_to=car)
sensor.listen(lambda event: crossed.append(len(event.crossed_lane_markings)))
places = []
for step in range(120):
    car.apply_control(carla.VehicleControl(0.7, -0.25 if step < 60 else 0.25))
    world.tick()
    places.append(world.get_map().get_waypoint(car.get_location()).lane_id)
tell([len(set(places)), len(crossed)])
""",
        unmarked_server.port,
    )
    lanes, crossings = told
    assert lanes > 1, "it crossed into another lane"
    assert crossings >= 1


def test_towns_of_a_carla_installation_are_offered_and_loaded(simulator_server: StartServer, tmp_path: Path):
    folder = tmp_path / "CarlaUE4/Content/Carla/Maps/OpenDrive"
    folder.mkdir(parents=True)
    (folder / "Town07.xodr").write_text(opendrive_text([Road(0.0, 0.0, 0.0, 400.0)]))
    (folder / "Town08.xodr").write_text("<OpenDRIVE>")
    server = simulator_server("Town07", tmp_path)
    told = run_client(
        """
first = world.get_map().name
offered = client.get_available_maps()
second = client.load_world("/Game/Carla/Maps/Hamlet").get_map().name
errors = []
for town in ("Atlantis", "Town08"):
    try:
        client.load_world(town)
    except RuntimeError as error:
        errors.append(str(error))
tell([first, offered, second, errors, client.load_world("Town07").get_map().name])
""",
        server.port,
    )
    first, offered, second, errors, third = told
    assert offered == [f"/Game/Carla/Maps/{name}" for name in ("Brookfield", "Hamlet", "Town07", "Town08")]
    assert [first, second, third] == [f"Carla/Maps/{name}" for name in ("Town07", "Hamlet", "Town07")]
    assert "Map 'Atlantis' not found" in errors[0]
    assert "Town08.xodr: " in errors[1]
    server.stop()


def test_asynchronous_mode_runs_by_itself_at_the_pace_of_real_time(hamlet_server: SimulatorServer):
    told = run_client(
        """
settings = world.get_settings()
settings.synchronous_mode, settings.fixed_delta_seconds = False, None
world.apply_settings(settings)
first = world.wait_for_tick()
began = time.monotonic()
while (last := world.wait_for_tick()).timestamp.elapsed_seconds < first.timestamp.elapsed_seconds + 1.0:
    pass
took = time.monotonic() - began
settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
world.apply_settings(settings)
frame = world.get_snapshot().frame
time.sleep(0.3)
seconds = last.timestamp.elapsed_seconds - first.timestamp.elapsed_seconds
tell([took, seconds, last.frame - first.frame, world.get_snapshot().frame - frame, world.tick() - frame])
""",
        hamlet_server.port,
    )
    took, seconds, frames, without_tick, with_tick = told
    assert seconds >= 1.0
    assert took > 0.85 * seconds
    assert frames == round(seconds / 0.05)
    assert without_tick == 0
    assert with_tick == 1


def test_two_clients_share_one_world(hamlet_server: SimulatorServer):
    told = run_client(
        """
client.reload_world(False)
world = client.get_world()
other_client = carla.Client("127.0.0.1", int(sys.argv[1]))
other_client.set_timeout(20.0)
other = other_client.get_world()
car = world.spawn_actor(world.get_blueprint_library().find("vehicle.audi.tt"), world.get_map().get_spawn_points()[0])
by_id = other.get_actor(car.id).type_id
frames = [world.tick(), other.tick(), world.tick()]
for _ in range(400):  # the other's stream may come later
    seen = other.get_snapshot().frame
    if seen >= frames[2]:
        break
    time.sleep(0.05)
listed = [actor.id for actor in other.get_actors().filter("vehicle.*")] == [car.id]
other.get_actor(car.id).destroy()
world.tick()
tell([by_id, frames[2] - frames[0], seen == frames[2], listed, len(world.get_actors().filter("vehicle.*"))])
""",
        hamlet_server.port,
    )
    assert told == ["vehicle.audi.tt", 2, True, True, 0]


def test_a_world_made_of_opendrive_text(simulator_server: StartServer):
    text = opendrive_text([Road(0.0, 0.0, 0.3, 400.0, elevation=hill(100.0, 200.0, 300.0, 8.0))])
    server = simulator_server("Hamlet")
    told = run_client(
        f"""
world = client.generate_opendrive_world({text!r}, carla.OpendriveGenerationParameters(), False)
town_map = world.get_map()
car = world.spawn_actor(world.get_blueprint_library().find("vehicle.tesla.model3"), town_map.get_spawn_points()[0])
world.tick()
settings = world.get_settings().synchronous_mode
try:
    client.generate_opendrive_world("<OpenDRIVE></OpenDRIVE>")
    refused = ""
except RuntimeError as error:
    refused = str(error)
tell([town_map.name, len(town_map.get_spawn_points()), settings, refused, world.get_map().name])
""",
        server.port,
    )
    name, points, synchronous, refused, still = told
    assert name == still == "Carla/Maps/OpenDriveMap"
    assert points > 10
    assert synchronous is True
    assert refused
    server.stop()


def test_loading_with_a_reset_leaves_the_world_asynchronous(simulator_server: StartServer):
    server = simulator_server("Hamlet")
    told = run_client(
        """
before = world.get_settings().synchronous_mode
world = client.load_world("Brookfield")
settings = world.get_settings()
tell([before, world.get_map().name, settings.synchronous_mode, settings.fixed_delta_seconds])
""",
        server.port,
    )
    assert told == [True, "Carla/Maps/Brookfield", False, None] or told == [True, "Carla/Maps/Brookfield", False, 0.0]
    server.stop()


@pytest.fixture(scope="module")
def fresh_server(simulator_server: StartServer) -> SimulatorServer:
    """Started as a user starts it."""
    return simulator_server("Hamlet", options=())


def test_a_fresh_server_is_asynchronous_as_carla_is(fresh_server: SimulatorServer):
    told = run_client(
        """
settings = world.get_settings()
seen, before = [], world.wait_for_tick()
number = world.on_tick(lambda snapshot: seen.append(snapshot.frame))
library, points = world.get_blueprint_library(), world.get_map().get_spawn_points()
car = world.spawn_actor(library.find("vehicle.tesla.model3"), points[0])
walker = world.spawn_actor(library.find("walker.pedestrian.0001"), points[1])
eye = library.find("sensor.camera.rgb")
eye.set_attribute("image_size_x", "32")
eye.set_attribute("image_size_y", "24")
camera = world.spawn_actor(eye, carla.Transform(carla.Location(x=1.5, z=2.0)), attach_to=car)
meter = world.spawn_actor(library.find("sensor.other.imu"), carla.Transform(), attach_to=car)
pictures, motions = collect(camera), collect(meter)
manager = client.get_trafficmanager(int(sys.argv[2]))
for _ in range(2):
    world.wait_for_tick()  # the Traffic Manager forgets a car that its world does not show yet
car.set_autopilot(True, int(sys.argv[2]))
walker.apply_control(carla.WalkerControl(carla.Vector3D(1.0, 0.0, 0.0), 1.4))
world.wait_for_tick()
starts = [actor.get_location() for actor in (car, walker)]
until = world.get_snapshot().timestamp.elapsed_seconds + 3.0
while world.wait_for_tick().timestamp.elapsed_seconds < until:
    pass
ways = [actor.get_location().distance(start) for actor, start in zip((car, walker), starts)]
car.set_autopilot(False, int(sys.argv[2]))
world.remove_on_tick(number)
frames = [pictures.get(timeout=20).frame for _ in range(3)]
manager.shut_down()
tell([settings.synchronous_mode, settings.fixed_delta_seconds, before.timestamp.delta_seconds, ways, len(seen),
      seen == sorted(seen), frames == sorted(frames), motions.qsize()])
""",
        fresh_server.port,
        str(fresh_server.port + 70),
    )
    synchronous, step, delta, (driven, walked), calls, in_order, pictures_in_order, motions = told
    assert synchronous is False
    assert not step
    assert delta == pytest.approx(0.05)
    assert driven > 1.0, "the Traffic Manager does not drive"
    assert walked == pytest.approx(1.4 * 3.0, abs=0.5), "the walker does not walk"
    assert calls > 20, "on_tick misses steps"
    assert in_order
    assert pictures_in_order
    assert motions > 20, "the IMU measured at fewer than 20 of 60 steps"


def test_two_clients_switch_the_mode_both_ways(fresh_server: SimulatorServer):
    told = run_client(
        """
other = carla.Client(os.environ["CARLA_HOST"], int(sys.argv[1]))
other.set_timeout(20.0)
theirs = other.get_world()
settings = theirs.get_settings()
settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.1
world.apply_settings(settings)
still = world.get_snapshot().frame  # which the call has waited for
time.sleep(0.3)
stood = world.get_snapshot().frame - still
ticked = [theirs.tick(), world.tick()]
while theirs.get_snapshot().frame < ticked[1]:
    time.sleep(0.01)
step = theirs.get_snapshot().timestamp.delta_seconds
settings.synchronous_mode, settings.fixed_delta_seconds = False, None
theirs.apply_settings(settings)
last = world.wait_for_tick()
later = world.wait_for_tick()
goes_on, synchronous = later.frame > last.frame, world.get_settings().synchronous_mode
tell([stood, ticked[0] - still, ticked[1] - still, step, goes_on, synchronous])
""",
        fresh_server.port,
    )
    stood, first, second, step, goes_on, synchronous = told
    assert stood == 0, "time went on in synchronous mode"
    assert (first, second) == (1, 2)
    assert step == pytest.approx(0.1)
    assert goes_on
    assert synchronous is False


def test_a_synchronous_start_stands_still_until_a_tick(simulator_server: StartServer):
    server = simulator_server("Hamlet", options=("--synchronous",))
    with RawClient(server.port) as client:
        synchronous, _, step, *_ = client.call("get_episode_settings")
        time.sleep(0.2)
        assert [client.call("tick_cue") for _ in range(2)] == [1, 2]
    assert synchronous is True
    assert step == [True, 0.05]
    server.stop()
