"""Session, settings, map and episode."""

from dataclasses import fields
from typing import Any

from td3_hpc import CARLA_VERSION
from td3_hpc.errors import BadInput
from td3_hpc.simulator import wire
from td3_hpc.simulator.blueprints import library
from td3_hpc.simulator.drawing.weather import Weather
from td3_hpc.simulator.rpc.service import Service, finite
from td3_hpc.simulator.settings import EpisodeSettings
from td3_hpc.simulator.towns import available_towns, load_town, parse_foreign_town
from td3_hpc.simulator.towns.town import Town
from td3_hpc.simulator.vehicle import GRAVITY
from td3_hpc.simulator.wire import Refused

OPENDRIVE_MAP = "OpenDriveMap"
"""The name under which the client loads the text it has just sent."""


class SessionCalls:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._sent: Town | None = None
        self._gravity = GRAVITY

    def version(self) -> str:
        return CARLA_VERSION

    def get_episode_info(self) -> list[Any]:
        world = self._service.world
        return [world.episode_id, [self._service.token(world.stream_id)]]

    def get_sensor_token(self, stream_id: int) -> list[Any]:
        """Asked just before the client subscribes; the next step waits for it."""
        self._service.world.streams.await_subscriber(stream_id)
        return [self._service.token(stream_id)]

    def get_episode_settings(self) -> list[Any]:
        return self._service.world.settings.to_wire()

    def set_episode_settings(self, settings: list[Any]) -> int:
        """The number of the current frame: a later one would make the client wait."""
        self._service.world.apply_settings(EpisodeSettings.from_wire(settings))
        return self._service.world.frame

    def get_required_files(self, folder: str = "") -> list[str]:
        return []

    def get_map_info(self) -> list[Any]:
        town = self._service.world.town
        return [town.full_name, [wire.transform_of(pose) for pose in town.spawn_points]]

    def get_map_data(self) -> str:
        return self._service.world.town.opendrive

    def get_navigation_mesh(self) -> bytes:
        return b""

    def get_available_maps(self) -> list[str]:
        return [f"/Game/Carla/Maps/{name}" for name in available_towns(self._service.maps)]

    def copy_opendrive_to_file(self, text: str, parameters: list[Any]) -> None:
        """The first half of `generate_opendrive_world`; the parameters are for meshes, which there are not."""
        try:
            self._sent = parse_foreign_town(OPENDRIVE_MAP, text)
        except BadInput as error:
            raise Refused(str(error)) from None

    def load_new_episode(self, name: str, reset_settings: bool, layers: int = 0) -> None:
        """Load a town by the last part of its name; '' loads the present one anew."""
        world = self._service.world
        try:
            town = self._town(name.rstrip("/").rpartition("/")[2])
        except BadInput as error:
            raise Refused(f"Map '{name}' not found: {error}") from None
        if reset_settings:
            world.apply_settings(world.settings.reset())
        world.load(town)
        world.prepare_pictures()

    def load_map_layer(self, layers: int) -> None:
        pass

    def unload_map_layer(self, layers: int) -> None:
        pass

    def tick_cue(self) -> int:
        """In asynchronous mode nothing: the clock makes the steps."""
        world = self._service.world
        return world.step() if world.settings.synchronous_mode else world.frame

    def get_actor_definitions(self) -> list[Any]:
        return [blueprint.definition() for blueprint in library().values()]

    def get_spectator(self) -> list[Any]:
        return self._service.describe(self._service.world.spectator)

    def get_weather_parameters(self) -> list[float]:
        weather = self._service.world.weather
        return [getattr(weather, field.name) for field in fields(weather)]  # astuple() takes twenty times as long

    def set_weather_parameters(self, parameters: list[float]) -> None:
        self._service.world.weather = Weather(*finite(parameters, "weather parameters"))

    def get_imui_gravity(self) -> float:
        return self._gravity

    def set_imui_gravity(self, gravity: float) -> None:
        """Kept for the client; the IMU measures the gravity that vehicles feel."""
        (self._gravity,) = finite([gravity], "gravity")

    def set_annotations_traverse_translucency(self, enabled: bool) -> None:
        pass

    def set_ignored_vehicles(self, sensor_id: int, vehicles: list[int]) -> None:
        raise Refused("this simulator's sensors see every vehicle")

    def are_gbuffers_enabled(self, sensor_id: int) -> bool:
        return False

    def is_sensor_enabled_for_ros(self, stream_id: int) -> bool:
        return False

    def _town(self, name: str) -> Town:
        here = self._service.world.town
        if name == OPENDRIVE_MAP and self._sent is not None:
            return self._sent
        return here if name in ("", here.name) else load_town(name, self._service.maps)
