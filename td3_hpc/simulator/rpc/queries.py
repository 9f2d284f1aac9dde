"""Questions about the scenery, and drawing for people, which nobody sees here."""

from typing import Any

from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.rpc.service import Service, vector
from td3_hpc.simulator.towns.town import EdgeObject

_ANY = 255


class QueryCalls:
    def __init__(self, service: Service) -> None:
        self._service = service

    def get_all_level_BBs(self, label: int) -> list[Any]:
        """World boxes of the scenery of a label."""
        return [_box(thing) for _, thing in self._scenery(label)]

    def get_environment_objects(self, label: int) -> list[Any]:
        return [
            [
                [list(thing.box.centre[:3]), [0.0, thing.box.centre.yaw, 0.0]],
                _box(thing),
                number,
                _name(number),
                thing.label,
            ]
            for number, thing in self._scenery(label)
        ]

    def enable_environment_objects(self, numbers: list[int], enabled: bool) -> None:
        pass

    def get_names_of_all_objects(self) -> list[str]:
        return [_name(number) for number, _ in self._scenery(_ANY)]

    def project_point(self, start: list[float], direction: list[float], distance: float) -> list[Any]:
        """The road below a place, for a downward direction; nothing in any other."""
        x, y, z = vector(start, "a location")
        ground = self._service.world.town.ground(x, y, z)
        hit = direction[2] < 0 and 0 <= z - ground.z <= distance
        return [hit, [[x, y, ground.z], int(CityObjectLabel.ROADS)]]

    def cast_ray(self, start: list[float], end: list[float]) -> list[Any]:
        """Where a ray meets the road at its end's place, if it passes its height there."""
        (_, _, top), (x, y, z) = vector(start, "a location"), vector(end, "a location")
        ground = self._service.world.town.ground(x, y, min(top, z))
        if not min(top, z) <= ground.z <= max(top, z):
            return []
        return [[[x, y, ground.z], int(CityObjectLabel.ROADS)]]

    def draw_debug_shape(self, shape: list[Any]) -> None:
        pass

    def clear_debug_shape(self) -> None:
        pass

    def clear_debug_string(self) -> None:
        pass

    def _scenery(self, label: int) -> list[tuple[int, EdgeObject]]:
        things = enumerate(self._service.world.town.edge_objects, 1)
        return [(number, thing) for number, thing in things if label in (_ANY, thing.label)]


def _box(thing: EdgeObject) -> list[Any]:
    return [list(thing.box.centre[:3]), list(thing.box.extent), [0.0, thing.box.centre.yaw, 0.0], 0]


def _name(number: int) -> str:
    return f"scenery_{number}"
