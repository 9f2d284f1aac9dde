"""A town: what the rest of the simulator asks about the roads of one OpenDRIVE file."""

import copy
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import carla
import numpy as np

from td3_hpc.roads.healing import OpenDrive
from td3_hpc.simulator.geometry import OrientedBox, Pose
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.towns.lane_search import LaneSearch

GREEN_S, YELLOW_S, ALL_RED_S = 10.0, 3.0, 2.0
"""CARLA's times of a traffic light: each phase of a junction is green, then yellow, then all are red."""


class LanePlace(NamedTuple):
    """A place on a lane, as `carla.Map.get_waypoint_xodr` takes it."""

    road_id: int
    lane_id: int
    s: float
    """Metres from the road's start."""


@dataclass(frozen=True, slots=True)
class TrafficLightSite:
    """Where a traffic light stands and what it stops."""

    signal_id: str
    """Id of the signal in the OpenDRIVE text."""
    pose: Pose
    """Foot of the pole; yaw = direction of the traffic that it stops."""
    actor_yaw: float
    """Of the actor, as CARLA turns it: 90° more than the signal's, so that its x axis points across the road."""
    junction_id: int
    """OpenDRIVE id of its junction, -1 where it stands at none."""
    stop_places: tuple[LanePlace, ...]
    """The stop line on every incoming lane."""
    stop_boxes: tuple[OrientedBox, ...]
    """One for each stop place: a vehicle whose middle is in it sees this light."""
    trigger: OrientedBox
    """The box around all stop boxes: CARLA's `trigger_volume`."""
    affected_lanes: tuple[LanePlace, ...]
    """Begin of each lane behind the stop line (on a junction's connecting roads) that it controls."""


class SignalGroup(NamedTuple):
    """The traffic lights of one junction, which take turns."""

    junction_id: int
    phases: tuple[tuple[str, ...], ...]
    """Signal ids that are green together, in the order of their turns; every signal is in exactly one."""


@dataclass(frozen=True, slots=True)
class SignSite:
    """A sign beside the road."""

    signal_id: str
    kind: str
    """CARLA's type id: 'traffic.stop', 'traffic.yield', 'traffic.speed_limit.<km/h>'."""
    pose: Pose
    """Foot of the pole; yaw = direction of the traffic that reads it."""
    actor_yaw: float
    """As a traffic light's."""
    trigger: OrientedBox
    """On the lanes that it is for: at the stop line of a stop or yield sign, beside a speed limit."""
    stop_places: tuple[LanePlace, ...] = ()
    """The lanes that it is for, where it stands."""


class GiveWayJunction(NamedTuple):
    """A junction where stop or yield signs stand, or what such a sign speaks of where there is no junction."""

    roads: frozenset[int]
    """Ids of the connecting roads in it."""
    signed: tuple[OrientedBox, ...]
    """On the lanes before it that have a sign."""
    unsigned: tuple[OrientedBox, ...]
    """On the other lanes that lead into it; none where it has traffic lights too."""


class Ground(NamedTuple):
    """The surface at a place."""

    z: float
    """Height, metres."""
    slope_x: float
    """Rise along the world's x, metres per metre."""
    slope_y: float
    road_id: int
    lane_id: int
    s: float
    """Nearest place on a lane."""

    def tilt(self, yaw: float) -> tuple[float, float]:
        """Pitch and roll, degrees, of a car that stands here with this yaw."""
        c, s = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
        pitch = math.degrees(math.atan(self.slope_x * c + self.slope_y * s))
        return pitch, -math.degrees(math.atan(self.slope_y * c - self.slope_x * s))


class EdgeObject(NamedTuple):
    """Something solid beside the road."""

    box: OrientedBox
    label: CityObjectLabel
    colour: tuple[int, int, int]
    """BGR."""


class Town:
    """One OpenDRIVE file, ready to drive in. Made by `load_town`; nothing in it changes."""

    def __init__(self, name: str, opendrive: OpenDrive, road_map: carla.Map, facts: "Facts") -> None:
        """`road_map` is the wheel's own map of the text of `opendrive`; `name` its file's stem, such as 'Town01'."""
        self.name = name
        self.opendrive = opendrive.text
        self.healed = opendrive.healed
        """What was healed in the text, a line for each kind."""
        self.map = road_map
        self.spawn_points = facts.spawn_points
        """On driving lanes outside junctions, 0.3 m above the road, heading along the lane."""
        self.traffic_lights = facts.traffic_lights
        self.signal_groups = facts.signal_groups
        """One for each junction with lights."""
        self.signs = facts.signs
        self.give_way = facts.give_way
        self.speed_limit_kmh = facts.speed_limits
        """Of road id, lane id and s: the speed limit at a place on a lane, km/h."""
        self._find_edge_objects = facts.edge_objects
        self._roads: ET.Element | None = opendrive.root  # until the search is made
        self._lanes: LaneSearch | None = None
        self.whole = self
        """This town with all of its edge objects."""
        self.hidden: frozenset[int] = frozenset()
        """Which of the whole town's edge objects are left out, numbered from 1."""

    @cached_property
    def edge_objects(self) -> tuple[EdgeObject, ...]:
        """What stands beside the roads. Found when it is first asked for: seconds in a large town."""
        return self._find_edge_objects()

    @cached_property
    def _edges(self) -> dict[tuple[int, int], list["_Met"]]:
        return _index(self.edge_objects)

    @cached_property
    def _beside(self) -> set[tuple[int, int]]:
        return _beside(self.edge_objects)

    def find_edge_objects(self) -> None:
        """Find what stands beside the roads now, not at the first question."""
        _ = self._edges, self._beside

    def without(self, hidden: frozenset[int]) -> "Town":
        """The whole town less some of its edge objects, by number."""
        if hidden == self.hidden:
            return self
        if not hidden:
            return self.whole
        town = copy.copy(self.whole)
        objects = enumerate(self.whole.edge_objects, 1)
        town.hidden, town.edge_objects = hidden, tuple(thing for number, thing in objects if number not in hidden)
        town._edges, town._beside = _index(town.edge_objects), _beside(town.edge_objects)
        return town

    @property
    def full_name(self) -> str:
        """The name that `carla.Map.name` shows: 'Carla/Maps/Town01'."""
        return f"Carla/Maps/{self.name}"

    def ground(self, x: float, y: float, z: float) -> Ground:
        """The surface under a place; where roads cross above each other the one nearest to z. 10 to 35 us."""
        return _ground(self._nearest(x, y, z), x, y)

    def grounds(self, places: Sequence[tuple[float, float, float]]) -> list[Ground]:
        """The same for many places (x, y, z) at once, in less time."""
        if self._roads is not None:
            self._lanes, self._roads = LaneSearch(self.map, self._roads), None
        assert self._lanes is not None
        return [
            _ground(waypoint or self._nearest(x, y, z), x, y)
            for waypoint, (x, y, z) in zip(self._lanes.find(places), places)
        ]

    def _nearest(self, x: float, y: float, z: float) -> carla.Waypoint:
        return self.map.get_waypoint(carla.Location(x, y, z), True, carla.LaneType.Any)

    def edge_objects_near(self, x: float, y: float, radius: float) -> list[EdgeObject]:
        """The edge objects that a circle around a point may touch, metres; `radius` at most 6."""
        here = self._edges.get((math.floor(x / _CELL), math.floor(y / _CELL)), ())
        return [thing for thing, place, reach in here if math.dist((x, y), place) <= radius + reach]

    def is_clear(self, x: float, y: float) -> bool:
        """Whether no edge object is within `CLEAR` of a point; False also where that is nearly so."""
        return (x // _FINE_CELL, y // _FINE_CELL) not in self._beside


def _ground(waypoint: carla.Waypoint, x: float, y: float) -> Ground:
    """The plane through a waypoint, at a place."""
    transform = waypoint.transform
    place, rotation = transform.location, transform.rotation
    yaw, rise = math.radians(rotation.yaw), math.tan(math.radians(rotation.pitch))
    slope_x, slope_y = rise * math.cos(yaw), rise * math.sin(yaw)
    z = place.z + slope_x * (x - place.x) + slope_y * (y - place.y)
    # Not Ground(...), which takes three times as long: this is asked for every vehicle at every step.
    return tuple.__new__(Ground, (z, slope_x, slope_y, waypoint.road_id, waypoint.lane_id, waypoint.s))


class Facts(NamedTuple):
    """What is read from an OpenDRIVE file besides its map."""

    spawn_points: tuple[Pose, ...]
    traffic_lights: tuple[TrafficLightSite, ...]
    signal_groups: tuple[SignalGroup, ...]
    signs: tuple[SignSite, ...]
    give_way: tuple[GiveWayJunction, ...]
    edge_objects: Callable[[], tuple[EdgeObject, ...]]
    """Finds them."""
    speed_limits: Callable[[int, int, float], float]
    """Of road id, lane id and s, km/h."""


_CELL = 4.0  # m
_MARGIN = 6.0  # How far from a cell's border an object may be and still be found from within it, m.
CLEAR = 3.0
"""No car reaches farther from its middle, m."""
_FINE_CELL = 2.0  # m


_Met = tuple[EdgeObject, tuple[float, float], float]


def _beside(objects: tuple[EdgeObject, ...]) -> set[tuple[int, int]]:
    """The fine cells within `CLEAR` of any object, and some more."""
    cells: set[tuple[int, int]] = set()
    for thing in objects:
        (x, y, _, _, yaw, _), (length, width, _) = thing.box.centre, thing.box.extent
        away = math.hypot(length, width) + CLEAR + _FINE_CELL
        columns, rows = (
            np.arange(math.floor((place - away) / _FINE_CELL), math.floor((place + away) / _FINE_CELL) + 1)
            for place in (x, y)
        )
        column, row = (axis.ravel() for axis in np.meshgrid(columns, rows))
        dx, dy = (column + 0.5) * _FINE_CELL - x, (row + 0.5) * _FINE_CELL - y
        cos, sin = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
        ahead = np.maximum(np.abs(dx * cos + dy * sin) - length, 0.0)
        right = np.maximum(np.abs(dy * cos - dx * sin) - width, 0.0)
        near = np.hypot(ahead, right) <= CLEAR + _FINE_CELL
        cells.update(zip(column[near].tolist(), row[near].tolist()))
    return cells


def _index(objects: tuple[EdgeObject, ...]) -> dict[tuple[int, int], list[_Met]]:
    """Which objects may be met in each cell, with the place and the radius of each."""
    cells: dict[tuple[int, int], list[_Met]] = {}
    for thing in objects:
        reach = math.hypot(thing.box.extent[0], thing.box.extent[1])
        x, y, away = thing.box.centre.x, thing.box.centre.y, reach + _MARGIN
        for column in range(math.floor((x - away) / _CELL), math.floor((x + away) / _CELL) + 1):
            for row in range(math.floor((y - away) / _CELL), math.floor((y + away) / _CELL) + 1):
                cells.setdefault((column, row), []).append((thing, (x, y), reach))
    return cells
