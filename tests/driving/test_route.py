"""Routes: along the lanes, of the lengths asked for, held-out ones apart; the ego's progress along them."""

import math

import carla
import numpy as np
import pytest

from td3_hpc.config import RouteConfig
from td3_hpc.driving.route import GOAL_RADIUS_M, Anchor, Route, RoutePlanner, RouteTracker
from td3_hpc.errors import BadInput
from td3_hpc.roads.healing import heal_opendrive
from td3_hpc.roads.reading import read_opendrive
from td3_hpc.simulator.towns import load_town
from tests.conftest import CARLA_TOWNS, need_map
from tests.roads.small_roads import back, lane, road, section, to, town

CONFIG = RouteConfig(min_length_m=60, max_length_m=200, evaluation_routes=10)
SHORT = RouteConfig(min_length_m=10, max_length_m=60, evaluation_routes=3)


@pytest.fixture(scope="module", params=["Hamlet", "Brookfield"])
def carla_map(request):
    return load_town(request.param, None).map


@pytest.fixture(scope="module")
def planner(carla_map):
    return RoutePlanner("town", carla_map, CONFIG)


def draw(planner, seed, count=40):
    generator = np.random.default_rng(seed)
    return [planner.training_route(generator) for _ in range(count)]


def test_routes_have_the_lengths_asked_for(planner):
    for route in planner.evaluation_routes + draw(planner, 1):
        assert CONFIG.min_length_m - 1 <= route.length <= CONFIG.max_length_m + 1


def test_waypoints_are_evenly_spaced_on_drivable_lanes_in_driving_direction(planner, carla_map):
    for route in planner.evaluation_routes + draw(planner, 2, 10):
        gaps = np.hypot(*np.diff(route.points[:, :2], axis=0).T)
        spacing = CONFIG.waypoint_spacing_m
        assert np.all((gaps[:-1] > 0.9 * spacing) & (gaps[:-1] < spacing + 0.01))
        assert gaps[-1] < spacing + 0.11, "the last gap takes up what is left"
        tangents = np.degrees(np.arctan2(*np.diff(route.points[:, :2], axis=0).T[::-1]))[:-1]
        errors = (tangents - (route.angles[:-2, 1] + route.angles[1:-1, 1]) / 2 + 180) % 360 - 180
        assert np.abs(errors).max() < 10
        for x, y, z in route.points:
            waypoint = carla_map.get_waypoint(carla.Location(x, y, z))
            centre = waypoint.transform.location
            assert math.hypot(centre.x - x, centre.y - y) < 0.3


def test_the_same_generator_draws_the_same_routes_and_another_does_not(planner):
    first, again, other = draw(planner, 3, 5), draw(planner, 3, 5), draw(planner, 4, 5)
    assert [route.points.tobytes() for route in first] == [route.points.tobytes() for route in again]
    assert [route.points.tobytes() for route in first] != [route.points.tobytes() for route in other]


def test_training_never_starts_or_ends_where_evaluation_does(planner):
    held_out = {anchor for route in planner.evaluation_routes for anchor in (route.start, route.goal)}
    assert len(planner.evaluation_routes) >= 10
    assert len(held_out) == 2 * len(planner.evaluation_routes)
    drawn = {anchor for route in draw(planner, 5, 300) for anchor in (route.start, route.goal)}
    assert not drawn & held_out
    assert len(drawn) > 20


def test_evaluation_routes_depend_on_the_map_alone(planner, carla_map):
    again = RoutePlanner("town", carla_map, CONFIG).evaluation_routes
    fewer = RoutePlanner("town", carla_map, CONFIG.model_copy(update={"evaluation_routes": 3})).evaluation_routes
    expected = [route.points.tobytes() for route in planner.evaluation_routes]
    assert [route.points.tobytes() for route in again] == expected
    assert [route.points.tobytes() for route in fewer] == expected[:3]


def test_default_lengths_work_in_the_default_town():
    planner = RoutePlanner("Brookfield", load_town("Brookfield", None).map, RouteConfig())
    assert all(149 < route.length < 401 for route in planner.evaluation_routes)


def test_past_its_goal_a_route_goes_on_along_lanes(planner):
    """50 m of waypoints without a jump or a sharp turn; the town has no dead end."""
    for route in planner.evaluation_routes + draw(planner, 9, 20):
        assert route.beyond.shape == (25, 4)
        line = np.concatenate([route.points[-2:, :2], route.beyond[:, 1:3]])
        steps = np.diff(line, axis=0)
        assert np.hypot(*steps[1:].T) == pytest.approx(np.full(25, 2.0), abs=0.1)
        headings = np.degrees(np.arctan2(*steps.T[::-1]))
        assert np.abs((np.diff(headings) + 180) % 360 - 180).max() < 45.0
        turned = (route.beyond[:, 3] - headings[1:] + 180) % 360 - 180
        assert np.abs(turned).max() < 25.0


def test_at_a_dead_end_a_route_goes_no_farther_than_its_lane():
    planner = RoutePlanner("m", carla.Map("m", town(road(1, 300.1))), CONFIG)
    near_the_end = [r for r in planner.evaluation_routes + draw(planner, 2, 40) if r.goal.offset > 252.0]
    assert near_the_end
    for route in near_the_end:
        assert len(route.beyond) == (299.998 - route.goal.offset) // 2
        farthest = route.place(np.array([route.length + 50.0]))[:2, 0]
        assert farthest == pytest.approx(route.beyond[-1, 1:3])


def test_a_town_too_small_for_the_lengths_is_bad_input(carla_map):
    config = RouteConfig(min_length_m=90_000, max_length_m=100_000)
    with pytest.raises(BadInput, match=r"not enough routes of 90000 to 100000 m.*change environment\.route"):
        RoutePlanner("Somewhere", carla_map, config)


def test_as_many_evaluation_routes_as_would_leave_none_for_training_are_bad_input():
    with pytest.raises(BadInput, match="not enough routes"):
        RoutePlanner("Hamlet", load_town("Hamlet", None).map, CONFIG.model_copy(update={"evaluation_routes": 10_000}))


# --- other people's roads


def sharpest_turn(route: Route) -> float:
    headings = np.degrees(np.arctan2(*np.diff(route.points[:, :2], axis=0).T[::-1]))
    return float(np.abs((np.diff(headings) + 180) % 360 - 180).max())


TWO_SECTIONS = town(
    road(1, 600.1, section(0, lane(1, to(1)), lane(-1, to(-1))) + section(200, lane(1, back(1)), lane(-1, back(-1))))
)


@pytest.mark.parametrize("text", [TWO_SECTIONS, town(road(1, 300.1))], ids=["two sections", "a dead end"])
def test_routes_neither_turn_back_nor_jump_nor_outgrow_their_limits(text: str):
    planner = RoutePlanner("m", carla.Map("m", text), CONFIG)
    for route in planner.evaluation_routes + draw(planner, 6):
        assert sharpest_turn(route) < 1.0
        assert np.hypot(*np.diff(route.points[:, :2], axis=0).T).max() < CONFIG.waypoint_spacing_m + 0.11
        assert route.length <= CONFIG.max_length_m + 0.05


def test_routes_do_not_start_where_a_lane_is_narrower_than_a_car():
    taper = '<width sOffset="0" a="3.5" b="-0.0175" c="0" d="0"/>'
    planner = RoutePlanner("m", carla.Map("m", town(road(1, 200.5, section(0, "", lane(-1, width=taper))))), SHORT)
    assert max(route.goal.offset for route in planner.evaluation_routes + draw(planner, 7)) < 90.0


@pytest.mark.parametrize("name", [*CARLA_TOWNS, "rr_figure8_lights"])
def test_no_route_of_other_peoples_maps_turns_back(carla_maps, name):
    need_map(carla_maps, name)
    text = heal_opendrive(read_opendrive(carla_maps / f"{name}.xodr"), name).text
    planner = RoutePlanner(name, carla.Map(name, text), RouteConfig())
    for route in planner.evaluation_routes + draw(planner, 8, 100):
        assert sharpest_turn(route) < 60.0
        assert np.linalg.norm(np.diff(route.points, axis=0), axis=1).max() < 2 * RouteConfig().waypoint_spacing_m


# --- progress, on routes made by hand


def made_route(points) -> Route:
    xyz = np.array([(x, y, 0.0) for x, y in points])
    steps = np.diff(xyz[:, :2], axis=0)
    yaw = np.degrees(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0])))
    angles = np.zeros((len(xyz), 3))
    angles[:, 1] = np.append(yaw, yaw[-1])
    distances = np.concatenate(([0.0], np.cumsum(np.hypot(*steps.T))))
    return Route(Anchor(0, 0.0), Anchor(0, distances[-1]), xyz, angles, distances)


def test_position_beside_a_straight_route():
    tracker = RouteTracker(made_route([(2.0 * k, 5.0) for k in range(51)]))
    position = tracker.update(3.0, 6.5, 370.0)
    assert position.distance == pytest.approx(3.0)
    assert position.lateral == pytest.approx(1.5)  # y grows to the right
    assert position.heading_error == pytest.approx(10.0)
    assert tracker.update(2.0, 4.0, -30.0).lateral == pytest.approx(-1.0)
    assert tracker.update(2.0, 4.0, -30.0).heading_error == pytest.approx(-30.0)


def test_completed_within_the_goal_radius():
    tracker = RouteTracker(made_route([(2.0 * k, 0.0) for k in range(6)]))
    tracker.update(10.0 - GOAL_RADIUS_M - 0.1, 0.0, 0.0)
    assert not tracker.completed
    tracker.update(10.0 - GOAL_RADIUS_M + 0.1, 0.0, 0.0)
    assert tracker.completed


def test_progress_does_not_jump_where_a_route_crosses_itself():
    """A figure of eight through the origin: the crossing is passed twice, 120 m apart."""
    angle = np.linspace(0, 2 * math.pi, 201)
    points = np.stack((60 * np.sin(angle), 30 * np.sin(2 * angle)), axis=1)
    route = made_route(points)
    tracker = RouteTracker(route)
    for distance in np.arange(0.0, route.length, 1.0):
        x, y, yaw = (float(value) for value in route.place(np.array(distance)))
        position = tracker.update(x, y, yaw)
        assert position.distance == pytest.approx(distance, abs=0.5)
        assert abs(position.lateral) < 0.1


def test_progress_stays_with_an_ego_that_turns_back():
    tracker = RouteTracker(made_route([(2.0 * k, 0.0) for k in range(51)]))
    for x in [*range(40), *range(40, 10, -1)]:
        assert tracker.update(float(x), 0.0, 0.0).distance == pytest.approx(x)
