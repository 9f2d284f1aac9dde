"""Session, settings, map and episode."""

from dataclasses import fields
from typing import Any

from td3_hpc import CARLA_VERSION
from td3_hpc.errors import BadInput
from td3_hpc.simulator import wire
from td3_hpc.simulator.blueprints import library
from td3_hpc.simulator.drawing.weather import Weather
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.rpc.service import Service, finite
from td3_hpc.simulator.settings import FRESH, EpisodeSettings
from td3_hpc.simulator.towns import available_towns, load_town, parse_foreign_town
from td3_hpc.simulator.towns.town import Town
from td3_hpc.simulator.wire import Refused

OPENDRIVE_MAP = "OpenDriveMap"
"""The name under which the client loads the text it has just sent."""
_ALL_LAYERS = 0xFFFF
_LAYERS = {
    0x1: (CityObjectLabel.BUILDINGS,),
    0x80: (CityObjectLabel.POLES,),
    0x100: (CityObjectLabel.WALLS, CityObjectLabel.FENCES, CityObjectLabel.GUARD_RAIL),
}
"""Flags of carla.MapLayer (Buildings, StreetLights, Walls), and the scenery that is theirs."""
_OTHER_LAYERS = {"Decals": 0x2, "Foliage": 0x4, "Ground": 0x8, "ParkedVehicles": 0x10, "Particles": 0x20, "Props": 0x40}


class SessionCalls:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._sent: Town | None = None

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

    def load_new_episode(self, name: str, reset_settings: bool, layers: int = _ALL_LAYERS) -> None:
        """Have a town loaded after the next step, by the last part of its name; '' loads the present one anew.

        Not at once, as in CARLA: the client leaves its old episode after the answer, and what shows the new one comes
        when it listens again. Before that, its threads would change the world while the caller takes the old one down.
        """
        world = self._service.world
        try:
            town = self._town(name.rstrip("/").rpartition("/")[2])
        except BadInput as error:
            raise Refused(f"Map '{name}' not found: {error}") from None
        if reset_settings:
            world.apply_settings(FRESH)
        world.next_town = town.without(frozenset(_of_layers(town, ~layers)))

    def load_map_layer(self, layers: int) -> None:
        """Put scenery back. Raises Refused for a layer that is no scenery of ours."""
        self._show_layers("load_map_layer", layers, shown=True)

    def unload_map_layer(self, layers: int) -> None:
        """Put scenery away; the world goes on."""
        self._show_layers("unload_map_layer", layers, shown=False)

    def _show_layers(self, call: str, layers: int, shown: bool) -> None:
        others = [name for name, flag in _OTHER_LAYERS.items() if layers & flag]
        if others and layers & _ALL_LAYERS != _ALL_LAYERS:
            raise Refused(f"{call}: this simulator's towns have no layer {', '.join(others)}; nothing is changed")
        world = self._service.world
        world.show_scenery(_of_layers(world.town.whole, layers), shown)

    def tick_cue(self) -> int:
        """In asynchronous mode the clock makes the steps, and the client waits for the next one."""
        world = self._service.world
        return world.step() if world.settings.synchronous_mode else world.frame + 1

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
        return self._service.world.imu_gravity

    def set_imui_gravity(self, gravity: float) -> None:
        """What accelerometers take for gravity; vehicles feel the earth's."""
        (self._service.world.imu_gravity,) = finite([gravity], "gravity")

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
        return here.whole if name in ("", here.name) else load_town(name, self._service.maps)


def _of_layers(town: Town, layers: int) -> list[int]:
    """Numbers of the scenery of some layers."""
    labels = [label for flag, those in _LAYERS.items() if layers & flag for label in those]
    return [number for number, thing in enumerate(town.edge_objects, 1) if thing.label in labels]
