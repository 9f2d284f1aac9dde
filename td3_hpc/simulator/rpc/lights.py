"""Traffic lights, and the lights of the map, of which there are none."""

from typing import Any

from td3_hpc.simulator.actors import TrafficLight
from td3_hpc.simulator.rpc.service import Service, finite
from td3_hpc.simulator.standing import boxes_of
from td3_hpc.simulator.traffic_lights import LightGroup
from td3_hpc.simulator.wire import Refused

_STATES = range(5)  # red, yellow, green, off, unknown


class LightCalls:
    def __init__(self, service: Service) -> None:
        self._service = service

    def set_traffic_light_state(self, actor_id: int, state: int) -> None:
        light = self._service.find(actor_id, TrafficLight)
        if state not in _STATES:
            raise Refused(f"a traffic light has no state {state}")
        light.colour, light.elapsed_s = int(state), 0.0

    def set_traffic_light_green_time(self, actor_id: int, seconds: float) -> None:
        duration = _duration(seconds)
        for light in self._phase(actor_id):
            light.green_s = duration

    def set_traffic_light_yellow_time(self, actor_id: int, seconds: float) -> None:
        duration = _duration(seconds)
        for light in self._phase(actor_id):
            light.yellow_s = duration

    def set_traffic_light_red_time(self, actor_id: int, seconds: float) -> None:
        duration = _duration(seconds)
        for light in self._phase(actor_id):
            light.red_s = duration

    def freeze_traffic_light(self, actor_id: int, frozen: bool) -> None:
        self._group(actor_id).freeze(bool(frozen))

    def freeze_all_traffic_lights(self, frozen: bool) -> None:
        for group in self._service.world.light_groups:
            group.freeze(bool(frozen))

    def reset_traffic_light_group(self, actor_id: int) -> None:
        self._group(actor_id).reset()

    def reset_all_traffic_lights(self) -> None:
        for group in self._service.world.light_groups:
            group.reset()

    def get_group_traffic_lights(self, actor_id: int) -> list[int]:
        return [light.id for light in self._group(actor_id).lights]

    def get_light_boxes(self, actor_id: int) -> list[Any]:
        """World boxes of its heads."""
        light = self._service.find(actor_id, TrafficLight)
        boxes = boxes_of(light, self._service.world.town)
        return [[list(box.centre[:3]), list(box.extent), list(box.centre[3:]), actor_id] for box in boxes]

    def query_lights_state(self, client: str) -> list[Any]:
        return []

    def update_lights_state(self, client: str, lights: list[Any], discard: bool = False) -> None:
        pass

    def update_day_night_cycle(self, client: str, active: bool) -> None:
        pass

    def _phase(self, actor_id: int) -> list[TrafficLight]:
        """The lights that are green together with this one: they share its times."""
        return self._group(actor_id).phase_of(self._service.find(actor_id, TrafficLight))

    def _group(self, actor_id: int) -> LightGroup:
        light = self._service.find(actor_id, TrafficLight)
        return next(group for group in self._service.world.light_groups if light in group.lights)


def _duration(seconds: float) -> float:
    (duration,) = finite([seconds], "a traffic light's time")
    if duration < 0.0:
        raise Refused(f"a traffic light's time cannot be {seconds} seconds")
    return duration
