"""Traffic lights along a route: which stop lines are its own, and what a red light is to an ego that comes to it."""

import itertools
import math
from types import SimpleNamespace

import carla
import numpy as np
import pytest

from td3_hpc.driving.red_lights import RedLights, StopLine, lights_along
from td3_hpc.driving.route import Anchor, Route

RED, YELLOW, GREEN = (getattr(carla.TrafficLightState, colour) for colour in ("Red", "Yellow", "Green"))


class Light:
    """A light with a state, and stop lines at (x, y, yaw)."""

    def __init__(self, state=RED, *lines):
        self.state, self._lines = state, lines

    def get_state(self):
        return self.state

    def get_stop_waypoints(self):
        return [
            SimpleNamespace(transform=carla.Transform(carla.Location(x, y, 0.0), carla.Rotation(0.0, yaw, 0.0)))
            for x, y, yaw in self._lines
        ]


@pytest.fixture
def along_x():
    """A route of 100 m along the x axis."""
    distances = np.arange(0.0, 101.0, 2.0)
    points = np.column_stack([distances, np.zeros((len(distances), 2))])
    return Route(Anchor(0, 0.0), Anchor(0, 100.0), points, np.zeros_like(points), distances)


def world_of(*lights):
    """A world whose traffic lights these are."""
    return SimpleNamespace(get_actors=lambda: SimpleNamespace(filter=lambda pattern: lights))


def map_with(*junctions):
    """A map whose junctions lie between these x."""

    def get_waypoint(place):
        return SimpleNamespace(is_junction=any(begin <= place.x < end for begin, end in junctions))

    return SimpleNamespace(get_waypoint=get_waypoint)


def test_a_route_s_stop_lines_are_those_on_its_own_lane_in_its_order(along_x):
    later, sooner = Light(RED, (80.0, 0.3, 5.0)), Light(RED, (40.0, 3.5, 0.0), (40.2, 0.0, -10.0))
    against, beside, crossing = (Light(RED, line) for line in ((50.0, 0.0, 180.0), (50.0, 3.5, 0.0), (50.0, 0.0, 90.0)))
    world = world_of(later, against, beside, sooner, crossing)
    found = lights_along(world, map_with(), along_x)
    assert [(line.distance, line.light) for line in found] == [(40.0, sooner), (80.0, later)]


def test_the_line_is_where_the_junction_begins_behind_the_place_that_the_light_names(along_x):
    world = world_of(Light(RED, (20.0, 0.0, 0.0)), Light(RED, (45.0, 0.0, 0.0)))
    found = lights_along(world, map_with((10.0, 15.0), (24.4, 40.0), (90.0, 95.0)), along_x)
    assert [line.distance for line in found] == [24.5, 45.0], "no junction within 30 m: the place itself"


def test_the_gap_is_to_the_next_line_that_stops_the_ego():
    first, second = Light(GREEN), Light(RED)
    lights = RedLights([StopLine(40.0, first), StopLine(80.0, second)])
    assert lights.gap(10.0) == 70.0
    first.state = YELLOW
    assert lights.gap(10.0) == 30.0
    assert lights.gap(40.5) == 39.5, "a line that is passed stops nobody"
    assert lights.gap(81.0) == math.inf


@pytest.mark.parametrize(
    ("fronts", "state", "met", "run"),
    [
        ([20.0, 29.0], RED, 0, 0),
        ([20.0, 31.0, 39.0, 39.0], RED, 1, 0),
        ([38.0, 39.0, 41.0, 45.0], RED, 1, 1),
        ([38.0, 39.0, 41.0], YELLOW, 0, 0),
        ([38.0, 39.0, 41.0], GREEN, 0, 0),
        ([41.0, 39.0, 41.0], RED, 1, 1),
    ],
)
def test_what_counts_as_met_and_as_run(fronts, state, met, run):
    lights = RedLights([StopLine(40.0, Light(state))])
    passes = [lights.passed(before, after) for before, after in itertools.pairwise(fronts)]
    assert lights.told() == {"red_lights_met": met, "red_lights_run": run}
    assert any(passes) == bool(run)


def test_a_light_that_turns_green_was_met_and_not_run():
    light = Light(RED)
    lights = RedLights([StopLine(40.0, light)])
    lights.passed(30.0, 38.0)
    light.state = GREEN
    assert not lights.passed(38.0, 42.0)
    assert lights.told() == {"red_lights_met": 1, "red_lights_run": 0}
