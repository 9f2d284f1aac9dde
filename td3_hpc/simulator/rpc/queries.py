"""Questions about the scenery, drawing for people, and what this simulator does not have."""

from typing import Any

from td3_hpc.simulator import wire
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.rpc.service import Service

NO_RECORDER = "this simulator has no recorder"


class QueryCalls:
    def __init__(self, service: Service) -> None:
        self._service = service

    def get_all_level_BBs(self, label: int) -> Any:  # noqa: N802 - the protocol's name
        boxes = [thing.box for thing in self._service.world.town.edge_objects if label in (255, thing.label)]
        return wire.value([[list(box.centre[:3]), list(box.extent), [0.0, box.centre.yaw, 0.0], 0] for box in boxes])

    def get_environment_objects(self, label: int) -> Any:
        return wire.value([])

    def get_names_of_all_objects(self) -> Any:
        return wire.value([])

    def project_point(self, start: list[float], direction: list[float], distance: float) -> Any:
        """The road below a place, for a downward direction."""
        ground = self._service.world.town.ground(*start)
        hit = direction[2] < 0 and 0 <= start[2] - ground.z <= distance
        return wire.value([hit, [[start[0], start[1], ground.z], int(CityObjectLabel.ROADS)]])

    def cast_ray(self, start: list[float], end: list[float]) -> Any:
        ground = self._service.world.town.ground(end[0], end[1], min(start[2], end[2]))
        if not min(start[2], end[2]) <= ground.z <= max(start[2], end[2]):
            return wire.value([])
        return wire.value([[[end[0], end[1], ground.z], int(CityObjectLabel.ROADS)]])

    def draw_debug_shape(self, shape: list[Any]) -> Any:
        return wire.SUCCESS

    def clear_debug_shape(self) -> Any:
        return wire.SUCCESS

    def clear_debug_string(self) -> Any:
        return wire.SUCCESS

    def start_recorder(self, name: str, additional_data: bool) -> Any:
        return wire.error(NO_RECORDER)

    def stop_recorder(self) -> Any:
        return wire.void_error(NO_RECORDER)

    def replay_file(self, *arguments: Any) -> Any:
        return wire.error(NO_RECORDER)
