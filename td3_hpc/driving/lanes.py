"""The lanes of a map as routes need them: centre lines, and what follows each without a jump or a turn on the spot.

What a lane is, and what follows it, is read from the map's OpenDRIVE (`read_lane_graph`); the client library is asked
for places only. Lanes and links along which no car can drive, whatever the file says, are left out.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from td3_hpc.roads.lanes import LaneGraph, LaneKey, LaneSpan, read_lane_graph

FloatArray = npt.NDArray[np.float64]

_SAMPLE_STEP_M = 1.0
_INSET_M = 1e-3  # Exactly on the border the map may answer with the neighbouring section.
_SHORTEST_M = 0.1  # A shorter lane is passed over: what precedes it is followed by what follows it.
_TURN_DEG = 45.0  # Within a step of a lane, and from a lane to the next.
_TIGHTEST_M = 3.0  # Radius of a bend.
_BEND_DEG = 30.0  # Within two steps; less may be the client's rounding.
_JUMP_M = 1.0  # From a lane's end to the next one's start.
_NARROWEST_M = 1.0  # At the place where lanes meet.


@dataclass(frozen=True)
class Lane:
    """A drivable lane of one road section: its centre line in the direction of travel, every metre or less."""

    key: LaneKey
    points: FloatArray
    """(n, 3) metres."""
    angles: FloatArray
    """(n, 3) pitch, yaw (continuous, not wrapped) and roll in degrees."""
    widths: FloatArray
    """(n,) metres."""
    distances: FloatArray
    """(n,) metres from the lane's start."""
    in_junction: bool

    @property
    def length(self) -> float:
        """Metres."""
        return float(self.distances[-1])


class LaneNetwork(NamedTuple):
    """Lanes in the order of their keys."""

    lanes: list[Lane]
    successors: list[list[int]]
    """Of each lane, the indices of the lanes that follow; none for a dead end."""
    left_out: list[tuple[LaneKey, LaneKey]]
    """Which lane follows which by OpenDRIVE, where no car can drive on: a jump, a turn on the spot, too narrow."""

    def gap(self, lane: int, successor: int) -> float:
        """Metres from a lane's end to a successor's start; 0 for a centimetre or less."""
        ends = self.lanes[lane].points[-1, :2], self.lanes[successor].points[0, :2]
        gap = float(np.hypot(*(ends[1] - ends[0])))
        return gap if gap > 0.01 else 0.0


def read_lanes(carla_map: Any) -> LaneNetwork:
    """Every drivable lane of a `carla.Map`, in a fixed order. Raises BadInput for a map without OpenDRIVE."""
    graph = read_lane_graph(carla_map.to_opendrive(), f"map {carla_map.name}")
    found = ((key, _read_lane(carla_map, key, span)) for key, span in sorted(graph.lanes.items()))
    lanes = {key: lane for key, lane in found if lane is not None}
    index = {key: number for number, key in enumerate(lanes)}
    successors: list[list[int]] = [[] for _ in lanes]
    left_out = []
    for key, lane in lanes.items():
        for after in _following(graph, key):
            if after in lanes and _continues(lane, lanes[after]):
                successors[index[key]].append(index[after])
            else:
                left_out.append((key, after))
    return LaneNetwork(list(lanes.values()), successors, left_out)


def distances_along(points: FloatArray) -> FloatArray:
    """(n,) metres from the first of (n, 2 or more) points, along them, in the plane."""
    steps = np.hypot(*np.diff(points[:, :2], axis=0).T)
    return np.concatenate(([0.0], np.cumsum(steps)))


def _following(graph: LaneGraph, key: LaneKey) -> list[LaneKey]:
    """What follows a lane, beyond any that are too short to be driven along, in the order of the keys."""
    found: set[LaneKey] = set()
    seen, waiting = {key}, list(graph.following[key])
    while waiting:
        after = waiting.pop()
        if after in seen:
            if after == key:
                found.add(after)  # a loop of one lane
            continue
        seen.add(after)
        if _is_short(graph.lanes[after]):
            waiting += graph.following[after]
        else:
            found.add(after)
    return sorted(found)


def _is_short(span: LaneSpan) -> bool:
    return abs(span.end - span.start) < _SHORTEST_M


def _read_lane(carla_map: Any, key: LaneKey, span: LaneSpan) -> Lane | None:
    """The centre line of a lane; None where it is too short, or makes turns or jumps that no car can make."""
    if _is_short(span):
        return None
    direction = 1.0 if span.end > span.start else -1.0
    first, last = span.start + direction * _INSET_M, span.end - direction * _INSET_M
    count = max(2, math.ceil(abs(last - first) / _SAMPLE_STEP_M) + 1)
    found = [carla_map.get_waypoint_xodr(key.road, key.lane, float(s)) for s in np.linspace(first, last, count)]
    waypoints = [waypoint for waypoint in found if waypoint is not None and waypoint.section_id == key.section]
    if len(waypoints) < 2:
        return None
    transforms = [waypoint.transform for waypoint in waypoints]
    points = np.array([(t.location.x, t.location.y, t.location.z) for t in transforms])
    angles = np.array([(t.rotation.pitch, t.rotation.yaw, t.rotation.roll) for t in transforms])
    if not (np.isfinite(points).all() and np.isfinite(angles).all()):
        return None
    angles[:, 1] = np.unwrap(angles[:, 1], period=360.0)
    if not _drivable(points, angles[:, 1]):
        return None
    widths = np.array([waypoint.lane_width for waypoint in waypoints])
    return Lane(key, points, angles, widths, distances_along(points), span.in_junction)


def _drivable(points: FloatArray, yaws: FloatArray) -> bool:
    """Whether a car can follow a centre line: no jump, no kink, and no bend that is too tight, or narrower than the
    lane itself, where it runs backwards."""
    steps = np.diff(points[:, :2], axis=0)
    lengths = np.hypot(*steps.T)
    along = np.cos(np.radians(yaws[:-1])) * steps[:, 0] + np.sin(np.radians(yaws[:-1])) * steps[:, 1]
    moves = lengths > 0.05
    forward = bool((along[moves] > 0.5 * lengths[moves]).all())
    turns = bool(np.abs(np.diff(yaws)).max() < _TURN_DEG)
    bend = np.abs(yaws[2:] - yaws[:-2])  # in two steps, since the client's headings are not smooth
    tight = (bend > _BEND_DEG) & (lengths[1:] + lengths[:-1] < _TIGHTEST_M * np.radians(bend))
    return forward and turns and not tight.any() and bool(lengths.max() < 2.5 * _SAMPLE_STEP_M)


def _continues(lane: Lane, after: Lane) -> bool:
    """Whether a car can drive from one lane onto the other."""
    jump = math.dist(lane.points[-1], after.points[0])
    turn = (after.angles[0, 1] - lane.angles[-1, 1] + 180.0) % 360.0 - 180.0
    width = min(lane.widths[-1], after.widths[0])
    return jump <= _JUMP_M and abs(turn) < _TURN_DEG and bool(width >= _NARROWEST_M)
