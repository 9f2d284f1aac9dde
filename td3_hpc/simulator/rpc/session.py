"""Session, settings, map and episode."""

from dataclasses import astuple
from typing import Any

from td3_hpc.errors import BadInput
from td3_hpc.simulator import wire
from td3_hpc.simulator.blueprints import library
from td3_hpc.simulator.rpc.service import Service
from td3_hpc.simulator.towns import available_towns, load_town, parse_town
from td3_hpc.simulator.weather import Weather

OPENDRIVE_MAP = "OpenDriveMap"
"""The name under which the client loads the text it has just sent."""


class SessionCalls:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._sent_opendrive: str | None = None

    def version(self) -> Any:
        return wire.value(wire.VERSION)

    def get_episode_info(self) -> Any:
        world = self._service.world
        return wire.value([world.episode_id, [self._service.token(world.stream_id)]])

    def get_sensor_token(self, stream_id: int) -> Any:
        return wire.value([self._service.token(stream_id)])

    def get_episode_settings(self) -> Any:
        return wire.value(self._service.world.settings)

    def set_episode_settings(self, settings: list[Any]) -> Any:
        world = self._service.world
        world.settings = settings
        world.streams.synchronous = world.synchronous
        return wire.value(world.frame)

    def get_required_files(self, folder: str = "") -> Any:
        return wire.value([])

    def get_map_info(self) -> Any:
        town = self._service.world.town
        return wire.value([town.full_name, [wire.transform_of(pose) for pose in town.spawn_points]])

    def get_map_data(self) -> Any:
        return wire.value(self._service.world.town.opendrive)

    def get_navigation_mesh(self) -> Any:
        return wire.value(b"")

    def get_available_maps(self) -> Any:
        return wire.value([f"/Game/Carla/Maps/{name}" for name in available_towns(self._service.maps)])

    def copy_opendrive_to_file(self, text: str, parameters: list[Any]) -> Any:
        try:
            parse_town(OPENDRIVE_MAP, text)
        except BadInput as error:
            return wire.void_error(str(error))
        self._sent_opendrive = text
        return wire.SUCCESS

    def load_new_episode(self, name: str, reset_settings: bool, layers: int = 0) -> Any:
        world = self._service.world
        wanted = name.rstrip("/").rpartition("/")[2]
        try:
            if not wanted or wanted == world.town.name != OPENDRIVE_MAP:
                town = world.town
            elif wanted == OPENDRIVE_MAP and self._sent_opendrive is not None:
                town = parse_town(OPENDRIVE_MAP, self._sent_opendrive)
            else:
                town = load_town(wanted, self._service.maps)
        except BadInput as error:
            return wire.void_error(str(error))
        if reset_settings:
            world.settings = [False, False, [False], *world.settings[3:]]
            world.streams.synchronous = False
        world.load(town)
        return wire.SUCCESS

    def load_map_layer(self, layers: int) -> Any:
        return wire.SUCCESS

    def unload_map_layer(self, layers: int) -> Any:
        return wire.SUCCESS

    def tick_cue(self) -> Any:
        world = self._service.world
        return wire.value(world.step() if world.synchronous else world.frame)

    def get_actor_definitions(self) -> Any:
        return wire.value([blueprint.definition() for blueprint in library().values()])

    def get_spectator(self) -> Any:
        return wire.value(self._service.describe(self._service.world.spectator))

    def get_weather_parameters(self) -> Any:
        return wire.value(list(astuple(self._service.world.weather)))

    def set_weather_parameters(self, parameters: list[float]) -> Any:
        self._service.world.weather = Weather(*parameters)
        return wire.SUCCESS

    def is_sensor_enabled_for_ros(self, stream_id: int) -> Any:
        return wire.value(False)
