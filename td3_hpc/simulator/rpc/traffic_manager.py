"""The registry of Traffic Managers, which run inside clients."""

from typing import Any

_MOST = 1000


class TrafficManagerCalls:
    def __init__(self) -> None:
        self._running: dict[int, list[Any]] = {}

    def is_traffic_manager_running(self, port: int) -> bool:
        return port in self._running

    def get_traffic_manager_running(self, port: int) -> list[Any]:
        """Address and port."""
        return self._running.get(port, ["", 0])

    def add_traffic_manager_running(self, info: list[Any]) -> bool:
        address, port = str(info[0]), int(info[1])
        if port in self._running or len(self._running) >= _MOST:
            return False
        self._running[port] = [address, port]
        return True

    def destroy_traffic_manager(self, port: int) -> bool:
        return self._running.pop(port, None) is not None
