"""Routes: a planner over the lanes of a map, held-out evaluation routes, and the ego's progress along a route."""

import heapq
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from td3_hpc.config.environment import RouteConfig
from td3_hpc.driving.lanes import FloatArray, Lane, LaneNetwork, distances_along, read_lanes
from td3_hpc.errors import BadInput
from td3_hpc.spaces import WAYPOINTS

ANCHOR_SPACING_M = 10.0
"""Distance between two places on a lane where a route may start or end."""
GOAL_RADIUS_M = 2.0
"""A route is completed when the ego's projection is this close to its end."""
_ANCHOR_WIDTH_M = 2.0  # Of the lane where a route may start or end.
_EVALUATION_SEED = 2050  # the held-out routes are a property of the map and the configuration, never of a run
_SEARCH_BACK_M = 5.0
_SEARCH_AHEAD_M = 20.0


@dataclass(frozen=True)
class Anchor:
    """A place where a route may start or end: a lane's index and metres from its start."""

    lane: int
    offset: float


@dataclass(frozen=True)
class Route:
    """Waypoints every `waypoint_spacing_m` along lanes, from a start to a goal; only the last gap differs."""

    start: Anchor
    goal: Anchor
    points: FloatArray
    """(n, 3) metres."""
    angles: FloatArray
    """(n, 3) pitch, yaw (continuous, not wrapped) and roll in degrees."""
    distances: FloatArray
    """(n,) metres from the start."""
    beyond: FloatArray = field(default_factory=lambda: np.empty((0, 4)))
    """(m, 4) metres from the start, x, y and yaw of the waypoints past the goal; none where the lane ends there."""

    @property
    def length(self) -> float:
        """Metres."""
        return float(self.distances[-1])

    def place(self, distances: FloatArray) -> FloatArray:
        """(3, m) x, y (metres) and yaw (degrees, continuous) at m distances from the start, held at both ends; the
        waypoints past the goal count."""
        along, *columns = self._line
        return np.stack([np.interp(distances, along, column) for column in columns])

    def outline(self) -> list[list[float]]:
        """x and y (metres) of at most 100 points from start to goal."""
        x, y, _ = self.place(np.linspace(0.0, self.length, min(100, len(self.distances)))).round(1)
        return np.stack([x, y], axis=1).tolist()  # type: ignore[no-any-return]

    @cached_property
    def _line(self) -> FloatArray:
        """(4, n + m) metres from the start, x, y and yaw."""
        to_the_goal = np.column_stack([self.distances, self.points[:, :2], self.angles[:, 1]])
        return np.concatenate([to_the_goal, self.beyond]).T


@dataclass(frozen=True)
class RoutePosition:
    """Where the ego is relative to its route."""

    distance: float
    """Metres from the start to the ego's projection on the route."""
    lateral: float
    """Metres from the route to the ego, positive to the right."""
    heading_error: float
    """Degrees in [-180, 180): the ego's yaw minus the route's."""


class RouteTracker:
    """The ego's position along a route, searched near the last one, so that a route may cross or touch itself."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self._distance = 0.0
        self._vectors = np.diff(route.points[:, :2], axis=0)
        self._squares = np.maximum((self._vectors**2).sum(axis=1), 1e-12)

    @property
    def completed(self) -> bool:
        """The goal is reached."""
        return self._distance >= self.route.length - GOAL_RADIUS_M

    def update(self, x: float, y: float, yaw_deg: float) -> RoutePosition:
        """The position of an ego at x, y (metres) that faces yaw_deg."""
        route = self.route
        first = int(np.searchsorted(route.distances, self._distance - _SEARCH_BACK_M, side="right")) - 1
        last = int(np.searchsorted(route.distances, self._distance + _SEARCH_AHEAD_M))
        window = slice(max(first, 0), min(max(last, 1), len(self._vectors)))
        offsets = np.array((x, y)) - route.points[window, :2]
        shares = np.clip((offsets * self._vectors[window]).sum(axis=1) / self._squares[window], 0.0, 1.0)
        gaps = ((offsets - shares[:, None] * self._vectors[window]) ** 2).sum(axis=1)
        best = int(np.argmin(gaps))
        index = window.start + best
        step = route.distances[index + 1] - route.distances[index]
        self._distance = float(route.distances[index] + shares[best] * step)
        route_x, route_y, route_yaw = (float(value) for value in route.place(np.array(self._distance)))
        yaw = math.radians(route_yaw)
        lateral = -math.sin(yaw) * (x - route_x) + math.cos(yaw) * (y - route_y)
        return RoutePosition(self._distance, lateral, (yaw_deg - route_yaw + 180.0) % 360.0 - 180.0)


class RoutePlanner:
    """Shortest routes along the lanes of a map, without lane changes.

    The first `evaluation_routes` draws of a fixed generator are the held-out evaluation routes; training routes are
    drawn from the caller's generator and never start or end where an evaluation route starts or ends. Raises BadInput
    when the map has not enough routes of the configured length.
    """

    def __init__(self, town: str, carla_map: Any, config: RouteConfig, network: LaneNetwork | None = None) -> None:
        """`network`: the map's lanes, where they have been read already."""
        self._town, self._config = town, config
        self._network = read_lanes(carla_map) if network is None else network
        self._lanes, self._successors = self._network.lanes, self._network.successors
        self._anchors = [anchor for index, lane in enumerate(self._lanes) for anchor in _anchors(index, lane)]
        self._held_out: set[Anchor] = set()
        self.evaluation_routes: list[Route] = []
        generator = np.random.default_rng(_EVALUATION_SEED)
        for _ in range(config.evaluation_routes):
            route = self._draw(generator)
            self._held_out |= {route.start, route.goal}
            self.evaluation_routes.append(route)
        self._draw(generator)  # raises now, not at the first episode, where training would have no route left

    def training_route(self, generator: np.random.Generator) -> Route:
        """A route drawn from the generator."""
        return self._draw(generator)

    def _draw(self, generator: np.random.Generator) -> Route:
        """A start, uniformly; then a goal, uniformly among those at a distance that the configuration allows."""
        anchors = [anchor for anchor in self._anchors if anchor not in self._held_out]
        for index in generator.permutation(len(anchors)):
            start = anchors[index]
            lane_distances, previous = self._search(start)
            goals = [anchor for anchor in anchors if self._in_range(self._distance(start, anchor, lane_distances))]
            if goals:
                goal = goals[int(generator.integers(len(goals)))]
                return self._build(start, goal, previous)
        config = self._config
        raise BadInput(
            f"town {self._town}: not enough routes of {config.min_length_m:g} to {config.max_length_m:g} m for "
            f"{config.evaluation_routes} evaluation routes and training; change environment.route"
        )

    def _in_range(self, distance: float) -> bool:
        return self._config.min_length_m <= distance <= self._config.max_length_m

    def _distance(self, start: Anchor, goal: Anchor, lane_distances: dict[int, float]) -> float:
        if goal.lane == start.lane and goal.offset >= start.offset:
            return goal.offset - start.offset
        return lane_distances.get(goal.lane, math.inf) + goal.offset

    def _search(self, start: Anchor) -> tuple[dict[int, float], dict[int, int]]:
        """Dijkstra: metres from the start to each lane's start, up to the longest route; each lane's predecessor."""
        distances: dict[int, float] = {}
        previous: dict[int, int] = {}
        first = self._lanes[start.lane].length - start.offset
        gap = self._network.gap
        queue = [(first + gap(start.lane, lane), lane, start.lane) for lane in self._successors[start.lane]]
        heapq.heapify(queue)
        while queue:
            distance, lane, origin = heapq.heappop(queue)
            if lane in distances or distance > self._config.max_length_m:
                continue
            distances[lane], previous[lane] = distance, origin
            for successor in self._successors[lane]:
                reached = distance + self._lanes[lane].length + gap(lane, successor)
                heapq.heappush(queue, (reached, successor, lane))
        return distances, previous

    def _build(self, start: Anchor, goal: Anchor, previous: dict[int, int]) -> Route:
        if goal.lane == start.lane and goal.offset >= start.offset:
            pieces = [_piece(self._lanes[start.lane], start.offset, goal.offset)]
        else:
            path = [goal.lane]
            while previous[path[-1]] != start.lane:
                path.append(previous[path[-1]])
            pieces = [_piece(self._lanes[start.lane], start.offset, math.inf)]
            pieces += [_piece(self._lanes[lane], 0.0, math.inf) for lane in reversed(path[1:])]
            pieces.append(_piece(self._lanes[goal.lane], 0.0, goal.offset))
        return _resample(start, goal, pieces, self._onward(goal), self._config.waypoint_spacing_m)

    def _onward(self, goal: Anchor) -> list[FloatArray]:
        """The lanes past a goal as far as its waypoints reach, straight on where there is a choice."""
        lane, offset, left = goal.lane, goal.offset, (WAYPOINTS + 1) * self._config.waypoint_spacing_m
        pieces = []
        while True:
            pieces.append(_piece(self._lanes[lane], offset, offset + left))
            left -= self._lanes[lane].length - offset
            if left <= 0 or not self._successors[lane]:
                return pieces
            lane, offset = min(self._successors[lane], key=self._turn), 0.0

    def _turn(self, lane: int) -> float:
        """Degrees between a lane's ends."""
        yaws = self._lanes[lane].angles[:, 1]
        return abs(float(yaws[-1] - yaws[0]))


def _anchors(index: int, lane: Lane) -> list[Anchor]:
    """Places on a lane outside junctions, half a spacing away from its ends, where it is wide enough for a car."""
    if lane.in_junction:
        return []
    margin = ANCHOR_SPACING_M / 2
    offsets = np.arange(margin, lane.length - margin + 1e-9, ANCHOR_SPACING_M)
    widths = np.interp(offsets, lane.distances, lane.widths)
    return [Anchor(index, float(offset)) for offset in offsets[widths >= _ANCHOR_WIDTH_M]]


def _piece(lane: Lane, start: float, end: float) -> FloatArray:
    """(n, 6) points and angles of a lane between two distances from its start."""
    end = min(end, lane.length)
    inner = lane.distances[(lane.distances > start) & (lane.distances < end)]
    where = np.concatenate(([start], inner, [end]))
    columns = np.concatenate((lane.points, lane.angles), axis=1).T
    return np.stack([np.interp(where, lane.distances, column) for column in columns], axis=1)


def _resample(start: Anchor, goal: Anchor, pieces: list[FloatArray], onward: list[FloatArray], spacing: float) -> Route:
    """The pieces joined and resampled every `spacing` metres; the last gap is whatever is left, 0.1 m at least. So is
    what lies past the goal, from the goal on."""
    along, joined = _join(pieces)
    where = np.append(np.arange(0.0, along[-1] - 0.1, spacing), along[-1])
    rows = _at(where, along, joined)
    further, joined = _join([rows[-1:], *onward])
    past = np.arange(spacing, min(further[-1], WAYPOINTS * spacing) + 1e-9, spacing)
    beyond = np.column_stack([where[-1] + past, _at(past, further, joined)[:, [0, 1, 4]]])
    return Route(start, goal, rows[:, :3], rows[:, 3:], where, beyond)


def _join(pieces: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """(n,) metres along the joined pieces, and their rows (n, 6), yaw continuous, no place twice."""
    joined = np.concatenate(pieces)
    joined[:, 4] = np.unwrap(joined[:, 4], period=360.0)
    along = distances_along(joined)
    keep = np.concatenate(([True], np.diff(along) > 1e-6))
    return along[keep], joined[keep]


def _at(where: FloatArray, along: FloatArray, rows: FloatArray) -> FloatArray:
    return np.stack([np.interp(where, along, column) for column in rows.T], axis=1)
