"""What the client library's Traffic Manager does not survive by itself: a tick's wake-up that is lost, a world anew."""

import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from td3_hpc.simulator import traffic_manager
from tests.conftest import SimulatorServer, StartServer
from tests.simulator.opendrive_text import Road, opendrive_text
from tests.simulator.protocol import RawClient, run_client

LOSES_ONE = """
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
/* std::condition_variable::notify_one(); the script's thread calls it once a tick, for the Traffic Manager's thread. */
void _ZNSt18condition_variable10notify_oneEv(pthread_cond_t *variable) {
    static int calls;
    if (syscall(SYS_gettid) == getpid() && ++calls == atoi(getenv("LOSES"))) return;
    pthread_cond_signal(variable);
}
"""
"""Takes the place of the library's own: the LOSES-th notification of the script's thread is lost."""

DRIVES = """
client.reload_world(False)
settings = world.get_settings()
settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
world.apply_settings(settings)
manager = client.get_trafficmanager(int(sys.argv[2]))
manager.set_synchronous_mode(True)
time.sleep(0.2)
world.tick()
manager.set_random_device_seed(5)
blueprint = world.get_blueprint_library().find("vehicle.tesla.model3")
cars = [world.spawn_actor(blueprint, point) for point in world.get_map().get_spawn_points()[:4]]
world.tick()
for car in cars:
    car.set_autopilot(True, int(sys.argv[2]))
waited = []
for _ in range(60):
    began = time.monotonic()
    world.tick()
    waited.append(time.monotonic() - began)
    time.sleep(0.002)  # nothing but the planned loss
places = [[car.get_location().x, car.get_location().y] for car in cars]
tell({"places": places, "longest": max(waited)})
"""


@pytest.fixture(scope="module")
def server(simulator_server: StartServer) -> SimulatorServer:
    return simulator_server("Hamlet")


def test_a_lost_wake_up_costs_time_and_changes_nothing(
    server: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: the library's notification cannot be lost at will")
    source, library = tmp_path / "loses.c", tmp_path / "loses.so"
    source.write_text(LOSES_ONE)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True, timeout=60)
    undisturbed = run_client(DRIVES, server.port, str(server.port + 60))
    assert "woken" not in server.log.read_text()
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("LOSES", "40")
    disturbed = run_client(DRIVES, server.port, str(server.port + 60))
    assert "lost a tick's wake-up" in server.log.read_text()
    assert "; woken" in server.log.read_text()
    assert disturbed["longest"] > 1.9 * traffic_manager.SILENT_FOR_S, "no wake-up was lost: the test tests nothing"
    assert disturbed["places"] == undisturbed["places"], "the cars go another way after a wake-up that was lost"


def test_a_traffic_manager_that_cannot_be_reached_is_said_and_the_client_is_served(server: SimulatorServer) -> None:
    with RawClient(server.port) as client:
        client.fresh()
        assert client.call("add_traffic_manager_running", ["127.0.0.1", 1]) is True  # nobody listens on port 1
        frame = client.call("tick_cue")
        deadline = time.monotonic() + 10 * traffic_manager.SILENT_FOR_S
        while "not woken" not in server.log.read_text():
            assert time.monotonic() < deadline, "the silence was not noticed"
            time.sleep(0.05)
        assert client.call("tick_cue") == frame + 1
        client.call("destroy_traffic_manager", 1)


def test_a_client_that_is_stopped_as_a_whole_has_lost_nothing(server: SimulatorServer) -> None:
    before = server.log.read_text()
    with RawClient(server.port) as client, socket.create_server(("127.0.0.1", 0)) as stopped:
        client.fresh()
        port = stopped.getsockname()[1]
        assert client.call("add_traffic_manager_running", ["127.0.0.1", port]) is True
        client.call("tick_cue")
        stopped.settimeout(10 * traffic_manager.SILENT_FOR_S)
        connection, _ = stopped.accept()  # and answers nothing, as a process after SIGSTOP
        with connection:
            assert b"health_check_remote_TM" in connection.recv(4096)
            connection.settimeout(1.5 * traffic_manager.SILENT_FOR_S)
            with pytest.raises(TimeoutError):
                connection.recv(4096)
            client.call("destroy_traffic_manager", port)
    assert server.log.read_text() == before


def test_calls_of_the_cycle_and_a_client_without_one_wake_nobody(server: SimulatorServer) -> None:
    before = server.log.read_text()
    with RawClient(server.port) as client, RawClient(server.port) as other:
        client.fresh()
        assert client.call("add_traffic_manager_running", ["127.0.0.1", 2]) is True
        client.call("tick_cue")
        client.call("get_vehicle_light_states")  # the thread's first call
        other.call("tick_cue")  # of a client whose Traffic Manager it is not
        time.sleep(2.5 * traffic_manager.SILENT_FOR_S)
        client.call("destroy_traffic_manager", 2)
    assert server.log.read_text() == before


LOADS = """
def drive():
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    world.apply_settings(settings)
    library, points = world.get_blueprint_library(), world.get_map().get_spawn_points()
    cars = [world.spawn_actor(library.find("vehicle.tesla.model3"), points[number]) for number in (0, 7, 20)]
    world.tick()
    starts = [car.get_location() for car in cars]
    for car in cars:
        car.set_autopilot(True, int(sys.argv[2]))
    for _ in range(40):
        world.tick()
    return [world.get_map().name, max(car.get_location().distance(start) for car, start in zip(cars, starts))]
settings = world.get_settings()
settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
world.apply_settings(settings)
manager = client.get_trafficmanager(int(sys.argv[2]))
manager.set_synchronous_mode(True)
found = [drive()]
for load in (lambda: client.reload_world(False), lambda: client.load_world("Crossing", False), client.reload_world):
    world = load()
    found.append(drive())
tell(found)
"""
"""As the Leaderboard and ScenarioRunner: one Traffic Manager for all worlds."""


def test_a_traffic_manager_drives_on_in_a_world_that_is_loaded_anew(simulator_server: StartServer, tmp_path: Path):
    (tmp_path / "Crossing.xodr").write_text(opendrive_text([Road(0.0, 0.0, 0.0, 800.0)]))
    server = simulator_server("Hamlet", tmp_path)
    for attempt in range(3):
        found = run_client(LOADS, server.port, str(server.port + 61 + attempt))
        assert [name.rpartition("/")[2] for name, _ in found] == ["Hamlet", "Hamlet", "Crossing", "Crossing"]
        assert min(metres for _, metres in found) > 1.0
        with RawClient(server.port) as client:
            client.fresh("Hamlet")
    server.stop()


def test_a_load_waits_for_a_traffic_manager_that_is_awake_which_then_waits_for_the_new_episode(server: SimulatorServer):
    with RawClient(server.port) as client:
        client.fresh()
        token = client.call("get_episode_info")[1][0]
        assert client.call("add_traffic_manager_running", ["127.0.0.1", 3]) is True
        for _ in range(5):
            client.call("get_episode_settings")  # as an asynchronous one does, in every cycle
        client.send(100, "load_new_episode", "", False, 65535)
        client.send(101, "get_weather_parameters")  # still in its cycle
        assert client.receive()[1] == 101
        client.send(102, "get_episode_settings")
        assert client.receive()[1] == 100
        client.send(103, "get_episode_info")
        assert client.receive()[1] == 103
        client.send(104, "get_sensor_token", *struct.unpack("<I", token[:4]))
        assert [client.receive()[1], client.receive()[1]] == [104, 102]
        client.call("destroy_traffic_manager", 3)


LOADS_ASYNCHRONOUSLY = """
manager = client.get_trafficmanager(int(sys.argv[2]))
found = []
for load in range(3):
    library, points = world.get_blueprint_library(), world.get_map().get_spawn_points()
    cars = [world.spawn_actor(library.find("vehicle.tesla.model3"), points[number]) for number in (0, 7, 20)]
    world.wait_for_tick()
    world.wait_for_tick()
    starts = [car.get_location() for car in cars]
    for car in cars:
        car.set_autopilot(True, int(sys.argv[2]))
    for _ in range(40):
        world.wait_for_tick()
    found.append(max(car.get_location().distance(start) for car, start in zip(cars, starts)))
    world = client.reload_world()
tell(found)
"""


def test_an_asynchronous_traffic_manager_drives_on_too(simulator_server: StartServer):
    server = simulator_server("Hamlet", options=())
    assert min(run_client(LOADS_ASYNCHRONOUSLY, server.port, str(server.port + 64))) > 0.5
    server.stop()


PLAIN = """
settings = world.get_settings()
settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
world.apply_settings(settings)
manager = client.get_trafficmanager(int(sys.argv[2]))
manager.set_synchronous_mode(True)
library, points = world.get_blueprint_library(), world.get_map().get_spawn_points()
cars = [world.try_spawn_actor(library.find("vehicle.tesla.model3"), point) for point in points[::40]]
for car in [car for car in cars if car is not None][:16]:
    car.set_autopilot(True, int(sys.argv[2]))
longest = 0.0
for _ in range(int(sys.argv[3])):
    began = time.monotonic()
    world.tick()
    longest = max(longest, time.monotonic() - began)
tell(longest)
"""


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_plain_script_never_hangs(simulator_server: StartServer) -> None:
    """20,000 ticks as fast as they come, with nothing between them; without the server's help they seldom all come."""
    server = simulator_server("Brookfield", options=())
    longest = run_client(PLAIN, server.port, str(server.port + 60), "20000", timeout=3500)
    said = server.log.read_text()
    server.stop()
    assert "not woken" not in said
    assert (longest > 1.9 * traffic_manager.SILENT_FOR_S) == ("; woken" in said), (
        f"longest tick {longest:.1f} s: {said}"
    )
