"""What the simulator's benchmarks have in common: the server's process, and a client with its Traffic Manager."""

import contextlib
import queue
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import carla

from td3_hpc.driving.traffic_manager_wait import ParkedWait, thread_ids
from td3_hpc.spaces import FRAME_SHAPE
from td3_hpc.supervision.ports import reserve

TOWN = "Brookfield"
CAR = "tesla.model3"
_WAIT_S = 20.0


@contextlib.contextmanager
def running(*command: str) -> Iterator[tuple[int, int]]:
    """A server, `python -m` these words, with ports of its own; gives its process id and first port when ready."""
    with contextlib.closing(reserve(0)) as block:
        words = [sys.executable, "-m", *command, "--port", str(block.first), "--town", TOWN]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as server:
            try:
                assert server.stdout is not None
                server.stdout.readline()
                yield server.pid, block.first
            finally:
                server.terminate()


class Traffic:
    """Vehicles of the client's Traffic Manager; the first one carries a camera, and what else is asked for.

    One in a process: the client library ends with its process.
    """

    def __init__(self, port: int, vehicles: int, kinds: Sequence[str] = (CAR,), sensors: Sequence[str] = ()) -> None:
        """`kinds` of vehicles take turns; `sensors` besides the 84 x 84 RGB camera."""
        client = carla.Client("127.0.0.1", port)
        client.set_timeout(_WAIT_S)
        self.world = client.get_world()
        before = thread_ids()
        self._manager = client.get_trafficmanager(port + 2)
        self._manager.set_synchronous_mode(True)
        self._parked = ParkedWait(before)
        self._parked.wait(_WAIT_S)
        self.world.tick()
        self._manager.set_random_device_seed(1)
        points = self.world.get_map().get_spawn_points()
        random.Random(1).shuffle(points)
        self._library = self.world.get_blueprint_library()
        self._vehicles = [
            self.world.spawn_actor(self._library.find(f"vehicle.{kinds[number % len(kinds)]}"), points[number])
            for number in range(vehicles)
        ]
        self._sensors = [self._sensor(kind) for kind in ("camera.rgb", *sensors)]
        self._pictures: queue.SimpleQueue[carla.Image] = queue.SimpleQueue()
        self._sensors[0].listen(self._pictures.put)
        for sensor in self._sensors[1:]:
            sensor.listen(lambda _: None)
        self._parked.wait(_WAIT_S)
        self.world.tick()
        self._pictures.get(timeout=_WAIT_S)
        for vehicle in self._vehicles:
            vehicle.set_autopilot(True, port + 2)

    def tick(self) -> None:
        """One step, the wait for the Traffic Manager before it, and for the camera's picture after it, included."""
        self._parked.wait(_WAIT_S)
        frame = self.world.tick()
        assert self._pictures.get(timeout=_WAIT_S).frame == frame

    def close(self) -> None:
        """End the Traffic Manager."""
        for sensor in self._sensors:
            sensor.stop()
        self._parked.wait(_WAIT_S)
        self._manager.shut_down()

    def _sensor(self, kind: str) -> Any:
        blueprint = self._library.find(f"sensor.{kind}")
        for name in ("image_size_x", "image_size_y"):
            if blueprint.has_attribute(name):
                blueprint.set_attribute(name, str(FRAME_SHAPE[0]))
        place = carla.Transform(carla.Location(x=1.5, z=2.4))
        return self.world.spawn_actor(blueprint, place, attach_to=self._vehicles[0])
