"""A whole episode of the scripted driver on a held-out route, and whether the car kept its lane."""

from dataclasses import dataclass
from typing import Any

import carla
import numpy as np

from td3_hpc.driving.environment import DrivingEnv
from td3_hpc.driving.pure_pursuit import pure_pursuit
from td3_hpc.driving.route import Route, RouteTracker


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


def drive_route(env: DrivingEnv, town: carla.Map, number: int) -> Drive:
    """Drive held-out route `number` to its end. Routes change no lanes, so that a route's line is its lane's middle."""
    route = env.planner.evaluation_routes[number]
    tracker, half_widths = RouteTracker(route), _half_widths(route, town)
    observation, _ = env.reset(seed=number, options={"route": number})
    beyond = -np.inf
    while True:
        observation, _, terminated, truncated, info = env.step(pure_pursuit(observation))
        position = tracker.update(*info["position"], 0.0)
        half_width = np.interp(position.distance, route.distances, half_widths)
        beyond = max(beyond, abs(position.lateral) - half_width)
        if terminated or truncated:
            return Drive(info["episode"], float(beyond))


def number_training_routes(env: DrivingEnv, count: int) -> None:
    """Let training routes be driven by number too, after the held-out ones."""
    generator = np.random.default_rng(0)
    env.planner.evaluation_routes += [env.planner.training_route(generator) for _ in range(count)]


def _half_widths(route: Route, town: carla.Map) -> list[float]:
    places = (carla.Location(*(float(value) for value in point)) for point in route.points)
    return [town.get_waypoint(place).lane_width / 2 for place in places]
