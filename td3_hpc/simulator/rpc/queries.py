"""Questions about the scenery, and drawing for people, which nobody sees here."""

from typing import Any

from td3_hpc.simulator.geometry import OrientedBox
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.rays import Ray, hits, ray_along, ray_between
from td3_hpc.simulator.rpc.service import Service, finite, vector
from td3_hpc.simulator.standing import boxes_of
from td3_hpc.simulator.towns.town import EdgeObject

_ANY = 255


class QueryCalls:
    def __init__(self, service: Service) -> None:
        self._service = service

    def get_all_level_BBs(self, label: int) -> list[Any]:
        """World boxes of everything of a label that stands or moves."""
        world = self._service.world
        boxes = [_box(thing.box, 0) for thing in world.town.edge_objects if label in (_ANY, thing.label)]
        for actor in world.population.by_id.values():
            if label in (_ANY, *actor.tags):
                boxes += [_box(box, actor.id) for box in boxes_of(actor, world.town)]
        return boxes

    def get_environment_objects(self, label: int) -> list[Any]:
        return [
            [
                [list(thing.box.centre[:3]), [0.0, thing.box.centre.yaw, 0.0]],
                _box(thing.box, 0),
                number,
                _name(number),
                thing.label,
            ]
            for number, thing in self._scenery(label)
        ]

    def enable_environment_objects(self, numbers: list[int], enabled: bool) -> None:
        """Put scenery away, or back: then nothing sees it or collides with it."""
        self._service.world.show_scenery(numbers, bool(enabled))

    def get_names_of_all_objects(self) -> list[str]:
        return [_name(number) for number, _ in self._scenery(_ANY)]

    def project_point(self, start: list[float], direction: list[float], distance: float) -> list[Any]:
        """The first thing that a ray meets."""
        (length,) = finite([distance], "a distance")
        met = self._met(ray_along(vector(start, "a location"), vector(direction, "a direction"), max(length, 0.0)))
        return [True, met[0]] if met else [False, [[0.0, 0.0, 0.0], int(CityObjectLabel.NONE)]]

    def cast_ray(self, start: list[float], end: list[float]) -> list[Any]:
        """Everything that a ray meets, the nearest first."""
        return self._met(ray_between(vector(start, "a location"), vector(end, "a location")))

    def _met(self, ray: Ray) -> list[Any]:
        world = self._service.world
        found = hits(ray, world.population.solid, world.town)
        return [[list(ray.at(hit.distance)), int(hit.label)] for hit in found]

    def draw_debug_shape(self, shape: list[Any]) -> None:
        pass

    def clear_debug_shape(self) -> None:
        pass

    def clear_debug_string(self) -> None:
        pass

    def _scenery(self, label: int) -> list[tuple[int, EdgeObject]]:
        things = enumerate(self._service.world.town.whole.edge_objects, 1)
        return [(number, thing) for number, thing in things if label in (_ANY, thing.label)]


def _box(box: OrientedBox, actor_id: int) -> list[Any]:
    pose = box.centre
    return [list(pose[:3]), list(box.extent), list(pose[3:]), actor_id]


def _name(number: int) -> str:
    return f"scenery_{number}"
