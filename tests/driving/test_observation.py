"""The vector at places worked out by hand; the stack of frames."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from td3_hpc.driving.observation.registry import PARTS
from td3_hpc.driving.observation.vector import WAYPOINT_MARGIN, observation_vector
from td3_hpc.driving.route import Anchor, Route, RoutePosition
from td3_hpc.spaces import OBSERVATION, WAYPOINTS, first_stack, gymnasium_spaces, next_stack

SPACING = 2.0


def straight_route(length: float = 100.0) -> Route:
    """Along +x from the origin."""
    distances = np.arange(0.0, length + 1, SPACING)
    points = np.stack((distances, np.zeros_like(distances), np.zeros_like(distances)), axis=1)
    return Route(Anchor(0, 0.0), Anchor(0, length), points, np.zeros_like(points), distances)


def vector(x=0.0, y=0.0, yaw=0.0, speed=0.0):
    return observation_vector(straight_route(), RoutePosition(x, y, yaw), SPACING, x, y, yaw, speed)


def waypoints(values):
    """(25, 2) metres in the ego frame."""
    ranges = np.arange(1, WAYPOINTS + 1) * SPACING + WAYPOINT_MARGIN
    return values[3:].reshape(WAYPOINTS, 2) * ranges[:, None]


def test_kinematic_entries_and_their_ranges():
    values = vector(x=4.0, y=1.0, yaw=9.0, speed=0.4)
    assert values[:3] == pytest.approx([0.4, 0.5, 0.2])
    assert vector(y=-2.5)[1] == -1.0
    assert vector(yaw=90.0)[2] == 1.0
    assert vector(speed=1.5)[0] == 1.0


def test_waypoints_ahead_on_a_straight_route():
    ahead = waypoints(vector(x=10.5, y=1.0))
    assert ahead[:, 0] == pytest.approx(SPACING * np.arange(1, WAYPOINTS + 1), rel=1e-5)
    assert ahead[:, 1] == pytest.approx(np.full(WAYPOINTS, -1.0), rel=1e-5)  # the route lies to the left


def test_waypoints_turn_with_the_ego():
    ahead = waypoints(vector(yaw=90.0))
    assert ahead[:, 0] == pytest.approx(np.zeros(WAYPOINTS), abs=1e-5)
    assert ahead[:, 1] == pytest.approx(-SPACING * np.arange(1, WAYPOINTS + 1), rel=1e-5)


def test_where_the_lane_ends_at_the_goal_the_waypoints_are_the_goal():
    ahead = waypoints(vector(x=90.0))
    assert ahead[4:, 0] == pytest.approx(np.full(WAYPOINTS - 4, 10.0), rel=1e-5)


def test_past_the_goal_the_waypoints_follow_the_lane():
    past = SPACING * np.arange(1, WAYPOINTS + 1)
    beyond = np.column_stack([100.0 + past, np.full(WAYPOINTS, 100.0), past, np.full(WAYPOINTS, 90.0)])
    route = replace(straight_route(), beyond=beyond)
    ahead = waypoints(observation_vector(route, RoutePosition(90.0, 0.0, 0.0), SPACING, 90.0, 0.0, 0.0, 0.4))
    assert ahead[:5, 0] == pytest.approx([2.0, 4.0, 6.0, 8.0, 10.0], rel=1e-5)
    assert ahead[5:, 0] == pytest.approx(np.full(20, 10.0), rel=1e-5)
    assert ahead[5:, 1] == pytest.approx(past[:20], rel=1e-5)


@given(
    st.floats(-1e4, 1e4),
    st.floats(-1e4, 1e4),
    st.floats(-180, 180),
    st.floats(-100, 100),
    st.floats(0, 100),
    st.floats(-100, 100),
    st.floats(-180, 180),
)
def test_always_inside_the_space(x, y, yaw, speed, distance, lateral, heading):
    position = RoutePosition(distance, lateral, heading)
    values = observation_vector(straight_route(), position, SPACING, x, y, yaw, speed)
    assert gymnasium_spaces()[0]["vector"].contains(values)


@given(st.floats(0, 90), st.floats(-3.9, 3.9), st.floats(-180, 180))
def test_no_waypoint_is_clipped_within_the_margin(x, y, yaw):
    assert np.hypot(*waypoints(vector(x, y, yaw)).T)[0] == pytest.approx(np.hypot(SPACING, y), rel=1e-3)
    assert np.abs(vector(x, y, yaw)[3:]).max() < 1.0


def test_every_entry_has_a_part_that_makes_it():
    assert set(PARTS) == {entry.name for entry in OBSERVATION}


def test_frames_are_stacked_newest_last():
    frames = [np.full((84, 84), number, np.uint8) for number in range(6)]
    stack = first_stack(frames[0])
    assert stack[:, 0, 0].tolist() == [0, 0, 0, 0]
    seen = []
    for frame in frames[1:]:
        stack = next_stack(stack, frame)
        seen.append(stack)
    assert [image[:, 0, 0].tolist() for image in seen] == [
        [0, 0, 0, 1], [0, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5],
    ]  # fmt: skip
    assert seen[0].shape == (4, 84, 84)
    assert seen[0].dtype == np.uint8
