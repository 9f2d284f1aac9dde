"""The roles of each kind of situation, drawn on a route from the episode's generator."""

from collections.abc import Callable, Sequence

import numpy as np

from td3_hpc.config.environment import SituationKind
from td3_hpc.driving.route import Route
from td3_hpc.driving.situations.crossroads import Crossroads
from td3_hpc.driving.situations.path import across, beside
from td3_hpc.driving.situations.role import Role

NEAR_M = 20.0
"""An ego within this is waited for: who creeps up at 5 km/h needs 14.4 s."""
_HOLDS_S = (16.0, 24.0)
_FIRST_M, _LAST_M = 45.0, 130.0  # where on the route, from its start
_BEFORE_GOAL_M = 15.0
_QUEUE_GAP_M = 7.0  # from car to car


def draw_roles(
    kind: SituationKind, route: Route, crossroads: Sequence[Crossroads], generator: np.random.Generator
) -> list[Role]:
    """Who takes part in a situation of this kind, and how. Every kind draws for itself: none depends on the others."""
    return _KINDS[kind](route, crossroads, generator)


def _stopped_car(route: Route, crossroads: Sequence[Crossroads], generator: np.random.Generator) -> list[Role]:
    place = _anywhere(route, generator)
    return [_on_route(route, start=place, stop=place, holds_s=generator.uniform(*_HOLDS_S))]


def _slow_car(route: Route, crossroads: Sequence[Crossroads], generator: np.random.Generator) -> list[Role]:
    """At 2.5 km/h: who follows at 5 km/h from 12 m behind meets it after 17 s."""
    place = _anywhere(route, generator)
    return [_on_route(route, start=place, stop=place, creeps=0.7, near_m=12.0, holds_s=generator.uniform(20.0, 26.0))]


def _braking_car(route: Route, crossroads: Sequence[Crossroads], generator: np.random.Generator) -> list[Role]:
    place = _anywhere(route, generator)
    speed, holds_s = generator.uniform(4.0, 7.0), generator.uniform(*_HOLDS_S)
    return [_on_route(route, start=20.0, stop=place, speed=speed, holds_s=holds_s)]


def _queue_at_light(route: Route, crossroads: Sequence[Crossroads], generator: np.random.Generator) -> list[Role]:
    """Two or three cars at a light, else at a junction, else anywhere; they start one after another."""
    cars = int(generator.integers(2, 4))
    holds_s, anywhere = generator.uniform(*_HOLDS_S), _anywhere(route, generator)
    lines = [road.begin - 4.0 for road in sorted(crossroads, key=lambda road: not road.has_lights)]
    line = next((line for line in lines if line - cars * _QUEUE_GAP_M > _FIRST_M / 2), anywhere)
    return [
        _on_route(
            route,
            start=line - ahead * _QUEUE_GAP_M,
            stop=line - ahead * _QUEUE_GAP_M,
            near_m=NEAR_M + (cars - 1 - ahead) * _QUEUE_GAP_M,
            holds_s=holds_s + ahead,
        )
        for ahead in range(cars)
    ]


def _crossing_car(route: Route, crossroads: Sequence[Crossroads], generator: np.random.Generator) -> list[Role]:
    """It drives across the junction as the ego comes, and is caught there; without a junction, across the road."""
    anywhere, from_right = _anywhere(route, generator), bool(generator.integers(2))
    middles = [(road.begin + road.end) / 2 for road in crossroads]
    place = next((middle for middle in middles if middle > _FIRST_M), anywhere)
    return [
        Role(
            "car",
            across(route, place, 16.0, from_right),
            start=16.0 - 9.0,
            stop=16.0,
            speed=generator.uniform(4.0, 6.0),
            leaves=6.0,
            holds_s=generator.uniform(*_HOLDS_S),
            near_m=NEAR_M,
            wakes_m=generator.uniform(16.0, 22.0),
            crosses=place,
        )
    ]


def _parked_car(route: Route, crossroads: Sequence[Crossroads], generator: np.random.Generator) -> list[Role]:
    """Half in the lane, half beside it."""
    place = _anywhere(route, generator)
    lateral, holds_s = generator.uniform(1.4, 1.8), generator.uniform(*_HOLDS_S)
    return [_on_route(route, lateral=lateral, start=place, stop=place, holds_s=holds_s)]


def _pedestrian(route: Route, crossroads: Sequence[Crossroads], generator: np.random.Generator) -> list[Role]:
    """Steps off the kerb as the ego comes, stands in the lane, and goes on."""
    place, from_right = _anywhere(route, generator), bool(generator.integers(2))
    speed = generator.uniform(1.2, 1.8)
    return [
        Role(
            "walker",
            across(route, place, 6.0, from_right),
            start=6.0 - 3.5,
            stop=6.0 + generator.uniform(-0.5, 0.5),
            speed=speed,
            leaves=speed,
            holds_s=generator.uniform(*_HOLDS_S),
            near_m=NEAR_M,
            wakes_m=generator.uniform(15.0, 18.0),
            crosses=place,
        )
    ]


_KINDS: dict[SituationKind, Callable[[Route, Sequence[Crossroads], np.random.Generator], list[Role]]] = {
    "stopped_car": _stopped_car,
    "slow_car": _slow_car,
    "braking_car": _braking_car,
    "queue_at_light": _queue_at_light,
    "crossing_car": _crossing_car,
    "parked_car": _parked_car,
    "pedestrian": _pedestrian,
}


def _anywhere(route: Route, generator: np.random.Generator) -> float:
    last = max(_FIRST_M, min(route.length - _BEFORE_GOAL_M, _LAST_M))
    return float(generator.uniform(_FIRST_M, last))


def _on_route(
    route: Route,
    *,
    start: float,
    stop: float,
    holds_s: float,
    speed: float = 0.0,
    creeps: float = 0.0,
    near_m: float = NEAR_M,
    lateral: float = 0.0,
) -> Role:
    """A car on the ego's route, which drives off along it."""
    path = beside(route, lateral)
    return Role("car", path, start, stop, speed, leaves=10.0, holds_s=holds_s, near_m=near_m, creeps=creeps)
