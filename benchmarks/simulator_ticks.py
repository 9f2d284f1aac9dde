"""Ticks per second of the embedded simulator through the unmodified client: an 84 x 84 camera, ten moving vehicles."""

import contextlib
import queue
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import carla

from td3_hpc.driving.traffic_manager_wait import ParkedWait, thread_ids
from td3_hpc.spaces import FRAME_SHAPE
from td3_hpc.supervision.ports import reserve

TOWN, VEHICLES, WARM_UP, ROUNDS, TICKS = "Brookfield", 10, 200, 5, 600
PROMISED = 300


def main() -> None:
    """Print the median and the slowest of a few rounds."""
    with contextlib.closing(reserve(0)) as block:
        command = [sys.executable, "-m", "td3_hpc.simulator", "--port", str(block.first), "--town", TOWN]
        server = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            server.stdout.readline()
            rates = _drive(block.first)
        finally:
            server.terminate()
            server.wait()
    print(
        f"  {TOWN}, {VEHICLES} vehicles of the Traffic Manager, one 84 x 84 picture every tick: "
        f"{statistics.median(rates):.0f} ticks/s (slowest of {ROUNDS} rounds {min(rates):.0f}, promised {PROMISED})"
    )


def _drive(port: int) -> list[float]:
    """Ticks per second of each round; every tick waits for its own picture."""
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(20.0)
    world = client.get_world()
    before = thread_ids()
    manager = client.get_trafficmanager(port + 2)
    manager.set_synchronous_mode(True)
    parked = ParkedWait(before)
    parked.wait(10.0)
    world.tick()
    manager.set_random_device_seed(1)
    points = world.get_map().get_spawn_points()
    random.Random(1).shuffle(points)
    library = world.get_blueprint_library()
    vehicles = [world.spawn_actor(library.find("vehicle.tesla.model3"), point) for point in points[:VEHICLES]]
    blueprint = library.find("sensor.camera.rgb")
    for name in ("image_size_x", "image_size_y"):
        blueprint.set_attribute(name, str(FRAME_SHAPE[0]))
    camera = world.spawn_actor(blueprint, carla.Transform(carla.Location(x=1.5, z=2.4)), attach_to=vehicles[0])
    pictures: queue.SimpleQueue[carla.Image] = queue.SimpleQueue()
    camera.listen(pictures.put)
    parked.wait(10.0)
    world.tick()
    pictures.get(timeout=10)
    for vehicle in vehicles:
        vehicle.set_autopilot(True, port + 2)

    def tick() -> None:
        parked.wait(10.0)
        frame = world.tick()
        assert pictures.get(timeout=10).frame == frame

    rates = [_rate(tick, count) for count in (WARM_UP, *[TICKS] * ROUNDS)][1:]
    camera.stop()
    parked.wait(10.0)
    manager.shut_down()
    return rates


def _rate(tick: Callable[[], None], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        tick()
    return count / (time.perf_counter() - began)
