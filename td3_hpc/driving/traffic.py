"""NPC cars near the ego's start, drawn from the episode's generator."""

from typing import Any

import numpy as np

from td3_hpc.config.environment import TrafficConfig
from td3_hpc.driving.blueprints import paint

_CLEAR_OF_EGO_M = 12.0


def spawn_traffic(
    world: Any, spawn_points: list[Any], ego_start: Any, config: TrafficConfig, generator: np.random.Generator
) -> list[Any]:
    """Cars at the map's spawn points, in the order drawn; fewer where too few points are free.

    Points within `near_ego_m` of the ego's start (a `carla.Location`) come first, shuffled, then the others by
    distance.
    """
    distances = np.array([point.location.distance(ego_start) for point in spawn_points])
    order = [int(index) for index in np.argsort(distances, kind="stable") if distances[index] > _CLEAR_OF_EGO_M]
    near = [index for index in order if distances[index] <= config.near_ego_m]
    shuffled = [near[int(index)] for index in generator.permutation(len(near))]
    blueprints = sorted(
        (item for item in world.get_blueprint_library().filter("vehicle.*") if _is_car(item)), key=lambda item: item.id
    )
    vehicles: list[Any] = []
    for index in shuffled + order[len(near) :]:
        if len(vehicles) == config.vehicles:
            break
        blueprint = blueprints[int(generator.integers(len(blueprints)))]
        blueprint.set_attribute("role_name", "autopilot")
        paint(blueprint, generator)
        vehicle = world.try_spawn_actor(blueprint, spawn_points[index])
        if vehicle is not None:
            vehicles.append(vehicle)
    return vehicles


def _is_car(blueprint: Any) -> bool:
    return not blueprint.has_attribute("base_type") or blueprint.get_attribute("base_type").as_str() == "car"
