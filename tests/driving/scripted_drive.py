"""Whole episodes of the scripted driver on held-out routes, and whether the car kept its lane."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import carla
import numpy as np

from td3_hpc.config import EnvironmentConfig
from td3_hpc.driving.pure_pursuit import pure_pursuit
from td3_hpc.driving.route import Route, RoutePlanner, RouteTracker
from td3_hpc.driving.worker_handle import EnvironmentWorker


@dataclass(frozen=True)
class Drive:
    """How an episode ended, and how far the car's middle ever was beyond the edge of its lane."""

    episode: dict[str, Any]
    """The environment's summary."""
    beyond_lane_m: float
    """Negative: it never was."""

    @property
    def completed(self) -> bool:
        return bool(self.episode["end_reason"] == "route_completed")

    def __str__(self) -> str:
        ended, reached = self.episode["end_reason"], self.episode["route_completion"]
        return f"{ended} at {reached:.0%}, {self.beyond_lane_m:.2f} m beyond its lane"


def drive_routes(
    config: EnvironmentConfig, opendrive: str, port: int, numbers: Iterable[int], folder: Path
) -> list[Drive]:
    """Drive held-out routes to their ends, in a process of its own: the client library may abort the one it is in.

    `opendrive` is the town's text as the simulator at `port` serves it. Raises BadInput where it has too few routes.
    """
    town = carla.Map("served", opendrive)
    worker = EnvironmentWorker(config, folder / "worker.log", port=port, tm_port=0, timeout_s=60.0)
    try:
        worker.start()
        routes = RoutePlanner(config.town, town, config.route).evaluation_routes
        return [_drive(worker, config, routes[number], town, number) for number in numbers]
    finally:
        worker.close()


def _drive(worker: EnvironmentWorker, config: EnvironmentConfig, route: Route, town: carla.Map, number: int) -> Drive:
    """Routes change no lanes, so that a route's line is its lane's middle."""
    tracker, half_widths = RouteTracker(route), _half_widths(route, town)
    observation, beyond = worker.reset(number, number), -np.inf
    while True:
        worker.send(pure_pursuit(observation, config, target_speed_kmh=30.0))
        result = worker.receive()
        observation = result.observation
        position = tracker.update(*result.info["position"], 0.0)
        half_width = np.interp(position.distance, route.distances, half_widths)
        beyond = max(beyond, abs(position.lateral) - half_width)
        if result.terminated or result.truncated:
            return Drive(result.info["episode"], float(beyond))


def _half_widths(route: Route, town: carla.Map) -> list[float]:
    places = (carla.Location(*(float(value) for value in point)) for point in route.points)
    return [town.get_waypoint(place).lane_width / 2 for place in places]
