"""Traffic lights and the lights of the map."""

from typing import Any

from td3_hpc.simulator import wire
from td3_hpc.simulator.actors import TrafficLight
from td3_hpc.simulator.rpc.service import Service
from td3_hpc.simulator.traffic_lights import LightGroup


class LightCalls:
    def __init__(self, service: Service) -> None:
        self._service = service

    def set_traffic_light_state(self, actor_id: int, state: int) -> Any:
        def switch(light: TrafficLight) -> None:
            light.state = state

        return self._service.change(actor_id, TrafficLight, switch)

    def set_traffic_light_green_time(self, actor_id: int, seconds: float) -> Any:
        return self._set_time(actor_id, "green_s", seconds)

    def set_traffic_light_yellow_time(self, actor_id: int, seconds: float) -> Any:
        return self._set_time(actor_id, "yellow_s", seconds)

    def set_traffic_light_red_time(self, actor_id: int, seconds: float) -> Any:
        return self._set_time(actor_id, "red_s", seconds)

    def reset_traffic_light_group(self, actor_id: int) -> Any:
        group = self._group(actor_id)
        if group is not None:
            group.reset()
        return wire.SUCCESS

    def reset_all_traffic_lights(self) -> Any:
        for group in self._service.world.light_groups:
            group.reset()
        return wire.SUCCESS

    def freeze_all_traffic_lights(self, frozen: bool) -> Any:
        self._service.world.lights_frozen = frozen
        for light in self._service.world.lights.values():
            light.frozen = frozen
        return wire.SUCCESS

    def get_group_traffic_lights(self, actor_id: int) -> Any:
        group = self._group(actor_id)
        return wire.value([light.id for light in group.lights] if group else [])

    def get_light_boxes(self, actor_id: int) -> Any:
        return wire.value([])

    def query_lights_state(self, client: str) -> Any:
        return wire.value([])

    def update_lights_state(self, client: str, lights: list[Any], discard: bool) -> Any:
        return wire.SUCCESS

    def _set_time(self, actor_id: int, name: str, seconds: float) -> Any:
        group = self._group(actor_id)
        if group is None:
            return wire.void_error(f"traffic light {actor_id} not found")
        for light in group.lights:
            setattr(light, name, seconds)
        return wire.SUCCESS

    def _group(self, actor_id: int) -> LightGroup | None:
        groups = self._service.world.light_groups
        return next((group for group in groups if any(light.id == actor_id for light in group.lights)), None)
