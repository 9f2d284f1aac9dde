"""A client's session with one simulator: connection, town, synchronous mode, and the Traffic Manager's life.

Two traps of the client library shape this module. Reloading the world under a live Traffic Manager crashes the
process, so the old one is shut down first. A tick that comes before the Traffic Manager's thread is parked can hang
for ever, so every tick waits for it (`parked`). All Traffic Managers of a process share one table and listen to every
world's ticks, so a process holds one session at a time.
"""

import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import carla
import numpy as np
import numpy.typing as npt

from td3_hpc.config.environment import EnvironmentConfig, TrafficConfig
from td3_hpc.driving.sensors import SensorTimeout
from td3_hpc.driving.traffic_manager_wait import ParkedWait, thread_ids
from td3_hpc.errors import BadInput, UserError
from td3_hpc.roads.healing import heal_opendrive
from td3_hpc.roads.reading import read_opendrive

SIMULATOR_VERSION = "0.9.16"
_CLOSE_TIMEOUT_S = 2.0
_FREE_PORTS = range(20000, 32000)  # below the range that the system gives to outgoing connections


class SimulatorLost(UserError):
    """The simulator did not answer in time, or broke off; this process cannot use it again."""


class Session:
    """The connection to the simulator at host:port, ready for episodes.

    Raises UserError for a simulator of another version, BadInput for an unknown town, SimulatorLost when nothing
    answers within timeout_s.
    """

    _open: ClassVar[bool] = False

    def __init__(self, config: EnvironmentConfig, host: str, port: int, tm_port: int, timeout_s: float) -> None:
        if Session._open:
            raise UserError(
                "this process already holds a driving environment; close it first, or use one process per environment"
            )
        self._config, self._host, self._port = config, host, port
        self._timeout_s = timeout_s
        self._wanted_tm_port = self._tm_port = tm_port
        self._manager: Any = None
        self._parked: ParkedWait | None = None
        self._lost = False
        self._used = False
        Session._open = True
        try:
            with self.calls():
                self._connect()
        except BaseException:
            Session._open = False
            raise

    def _connect(self) -> None:
        self._client = carla.Client(self._host, self._port)
        self._client.set_timeout(self._timeout_s)
        version = self._client.get_server_version()
        if version != SIMULATOR_VERSION:
            raise UserError(
                f"the simulator at {self._host}:{self._port} is version {version}, but the carla client of this "
                f"environment is {SIMULATOR_VERSION}; start CARLA {SIMULATOR_VERSION} there"
            )
        self.world = self._client.get_world()
        self._found = self.world.get_settings()
        self._load_town()
        self.map = self.world.get_map()
        self._synchronise()

    def _load_town(self) -> None:
        """Load the configured town unless the simulator is in it already."""
        town = self._config.town
        carla_map = self.world.get_map()
        if town.endswith(".xodr"):
            try:
                text = heal_opendrive(read_opendrive(Path(town)), town).text  # as the embedded simulator serves it
            except BadInput as error:
                raise BadInput(f"environment.town {error}") from None
            if carla_map.to_opendrive() != text:
                self.world = self._client.generate_opendrive_world(text, carla.OpendriveGenerationParameters(), False)
        elif carla_map.name.split("/")[-1] != town:
            available = sorted(name.split("/")[-1] for name in self._client.get_available_maps())
            if town not in available:
                raise BadInput(f"environment.town {town}: the simulator offers {', '.join(available)}")
            self.world = self._client.load_world(town, False)

    def _synchronise(self) -> None:
        settings = self.world.get_settings()
        if not settings.synchronous_mode or settings.fixed_delta_seconds != self._config.fixed_delta_seconds:
            settings.synchronous_mode = True
            settings.fixed_delta_seconds = self._config.fixed_delta_seconds
            self.world.apply_settings(settings)

    def begin_episode(self, seed: int, needs_manager: bool = False) -> None:
        """An empty world, and a new or newly seeded Traffic Manager where one is needed; ends with one tick.

        With `reset: reload` what follows is a function of the seed and of the calls to come, whatever ran before.
        The first episode of a session always reloads: a killed predecessor may have left its actors.
        """
        if self._config.reset == "reload" or not self._used:
            self._used = True
            self._shut_down_manager()
            self.world = self._client.reload_world(False)
            self._synchronise()
        else:
            self.world.reset_all_traffic_lights()
        if (self._config.traffic.vehicles or needs_manager) and self._manager is None:
            self._start_manager()
        self.tick()
        if self._manager is not None:
            self._configure_manager(seed)

    def tick(self) -> int:
        """One step of the world; its frame number."""
        if self._parked is not None:
            self._parked.wait(self._timeout_s)
        return int(self.world.tick(self._timeout_s))

    def drive(self, vehicles: list[Any]) -> None:
        """Hand vehicles to the Traffic Manager, in this order."""
        for vehicle in vehicles:
            vehicle.set_autopilot(True, self._tm_port)

    def drive_along(self, vehicle: Any, points: npt.NDArray[np.float64]) -> None:
        """Hand a vehicle to the Traffic Manager, to follow points (n, 3), in metres."""
        vehicle.set_autopilot(True, self._tm_port)
        self._manager.auto_lane_change(vehicle, False)
        self._manager.set_path(vehicle, [carla.Location(*(float(value) for value in point)) for point in points])

    def destroy(self, actors: list[Any]) -> None:
        """Destroy actors, in this order; an actor that is already gone is no error."""
        self._client.apply_batch_sync([carla.command.DestroyActor(actor.id) for actor in actors], False)

    @contextlib.contextmanager
    def calls(self) -> Iterator[None]:
        """Around calls to the simulator: their time-outs and connection errors become SimulatorLost."""
        if self._lost:
            raise SimulatorLost(f"the simulator at {self._host}:{self._port} was lost; start a new process")
        try:
            yield
        except (TimeoutError, SensorTimeout) as error:
            raise self._lose(str(error)) from error
        except RuntimeError as error:
            if type(error) is not RuntimeError:  # a subclass is a mistake in the program, not the library's report
                raise
            raise self._lose(" ".join(str(error).split())) from error

    def close(self, actors: list[Any]) -> None:
        """Destroy the actors, shut the Traffic Manager down and restore the settings found at the start.

        Does nothing to a simulator that does not answer: a Traffic Manager that notices would abort the process.
        """
        if not Session._open:
            return
        Session._open = False
        if self._lost:
            return
        self._client.set_timeout(_CLOSE_TIMEOUT_S)
        with contextlib.suppress(RuntimeError, TimeoutError):
            self._client.get_server_version()
            self._shut_down_manager()  # first: its last cycle still asks about its vehicles
            self.destroy(actors)
            if not self._found.synchronous_mode:
                self.world.apply_settings(self._found)

    def _lose(self, reason: str) -> SimulatorLost:
        self._lost = True
        return SimulatorLost(f"the simulator at {self._host}:{self._port} is lost: {reason}")

    def _shut_down_manager(self) -> None:
        """Shutting down lets it run one last cycle, which aborts the process where it asks for an actor that is gone:
        the tick before shows it who is still there."""
        if self._manager is None or self._parked is None:
            return
        self.tick()
        self._parked.wait(self._timeout_s)
        self._parked.close()
        self._manager.shut_down()
        self._manager = self._parked = None

    def _start_manager(self) -> None:
        """A new Traffic Manager, synchronous at once, its thread parked."""
        self._tm_port = self._wanted_tm_port or _free_port()
        if not _is_free(self._tm_port):
            raise UserError(
                f"Traffic Manager port {self._tm_port} is in use on this machine; change environment.traffic "
                "(port 0 finds a free one)"
            )
        before = thread_ids()
        self._manager = self._client.get_trafficmanager(self._tm_port)
        self._manager.set_synchronous_mode(True)
        self._parked = ParkedWait(before)
        self._parked.wait(self._timeout_s)

    def _configure_manager(self, seed: int) -> None:
        """Seed and every option: nothing is inherited from an earlier episode."""
        traffic: TrafficConfig = self._config.traffic
        self._manager.set_random_device_seed(seed)
        self._manager.set_global_distance_to_leading_vehicle(traffic.distance_to_leading_m)
        self._manager.global_percentage_speed_difference(traffic.speed_below_limit_percent)
        self._manager.set_hybrid_physics_mode(False)
        self._manager.set_respawn_dormant_vehicles(False)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the library does: closed ones may linger
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    """A port that nobody listens on; drawn by the system's generator, no part of an episode depends on it."""
    for port in random.SystemRandom().sample(_FREE_PORTS, len(_FREE_PORTS)):
        if _is_free(port):
            return port
    raise UserError(f"no free port between {_FREE_PORTS.start} and {_FREE_PORTS.stop - 1} for the Traffic Manager")
