"""Every kind of situation, drawn on many routes: where it has to be, and the same from the same seed."""

from typing import get_args

import numpy as np
import pytest

from td3_hpc.config import RouteConfig
from td3_hpc.config.environment import SituationKind
from td3_hpc.driving.route import RoutePlanner
from td3_hpc.driving.situations.crossroads import find_crossroads
from td3_hpc.driving.situations.drawing import draw_roles
from td3_hpc.simulator.towns import load_town

KINDS = get_args(SituationKind)
CONFIG = RouteConfig(min_length_m=100, max_length_m=250, evaluation_routes=30)


@pytest.fixture(scope="module", params=["Hamlet", "Brookfield"])
def places(request):
    """Routes with their crossroads."""
    town = load_town(request.param, None).map
    routes = RoutePlanner(request.param, town, CONFIG).evaluation_routes
    return [(route, find_crossroads(town, route)) for route in routes]


def test_crossroads_are_on_the_route_in_its_order(places):
    for route, crossroads in places:
        ends = [end for road in crossroads for end in (road.begin, road.end)]
        assert ends == sorted(ends)
        assert all(0 < end <= route.length for end in ends)
    assert any(road.has_lights for _, crossroads in places for road in crossroads)
    assert any(crossroads for _, crossroads in places)


@pytest.mark.parametrize("kind", KINDS)
def test_a_situation_is_ahead_of_the_ego_and_before_its_goal(places, kind):
    for number, (route, crossroads) in enumerate(places):
        roles = draw_roles(kind, route, crossroads, np.random.default_rng(number))
        for role in roles:
            where = role.crosses if role.crosses is not None else role.start
            assert 12.0 < where < route.length - 5.0, (kind, number, where)
            assert role.start <= role.stop <= role.path.length
        assert roles[-1].near_m <= 1.39 * roles[-1].holds_s, "an ego at 5 km/h is there before it leaves"


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same(places, kind):
    route, crossroads = places[0]
    first, second, other = (draw_roles(kind, route, crossroads, np.random.default_rng(seed)) for seed in (7, 7, 8))

    def numbers(roles):
        return [(role.start, role.stop, role.speed, role.holds_s, *role.path.rows.ravel()) for role in roles]

    assert numbers(first) == numbers(second) != numbers(other)


def test_a_queue_stands_before_a_light_where_the_route_has_one(places):
    at_a_light = 0
    for route, crossroads in places:
        lights = [road.begin for road in crossroads if road.has_lights and road.begin > 60]
        if lights:
            roles = draw_roles("queue_at_light", route, crossroads, np.random.default_rng(0))
            assert roles[0].start == pytest.approx(lights[0] - 4.0)
            gaps = -np.diff([role.start for role in roles])
            assert (gaps > 5.0).all(), "cars do not overlap"
            at_a_light += 1
    assert at_a_light > 2
