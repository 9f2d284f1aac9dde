"""The registry of Traffic Managers, which run inside clients."""

from typing import Any

from td3_hpc.simulator import wire


class TrafficManagerCalls:
    def __init__(self) -> None:
        self._running: dict[int, list[Any]] = {}

    def is_traffic_manager_running(self, port: int) -> Any:
        return wire.value(port in self._running)

    def get_traffic_manager_running(self, port: int) -> Any:
        return wire.value(self._running.get(port, ["", 0]))

    def add_traffic_manager_running(self, info: list[Any]) -> Any:
        if info[1] in self._running:
            return wire.value(False)
        self._running[info[1]] = info
        return wire.value(True)

    def destroy_traffic_manager(self, port: int) -> Any:
        return wire.value(self._running.pop(port, None) is not None)
