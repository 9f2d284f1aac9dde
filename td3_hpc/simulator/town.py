"""A town: what the rest of the simulator asks about the roads of one OpenDRIVE file."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import carla

from td3_hpc.simulator.geometry import OrientedBox, Pose
from td3_hpc.simulator.labels import CityObjectLabel

if TYPE_CHECKING:
    from td3_hpc.simulator.scene import Scene

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
    trigger: OrientedBox
    """On the lanes that it is for: at the stop line of a stop or yield sign, beside a speed limit."""
    stop_places: tuple[LanePlace, ...] = ()
    """The lanes that it is for, where it stands."""


class Ground(NamedTuple):
    """The surface at a place."""

    z: float
    """Height, metres."""
    slope_x: float
    """Rise along the world's x, metres per metre."""
    slope_y: float
    lane_type: carla.LaneType
    """Type of the lane there; NONE beside the outermost lane."""
    off_lane: float
    """Distance to the edge of the nearest lane, metres; 0 on a lane."""
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


@dataclass
class Town:
    """One OpenDRIVE file, ready to drive in. Made by `towns.load_town`; nothing in it changes.

    Attributes:
        name: file stem, such as 'Town01'.
        opendrive: the file's text.
        map: the wheel's own map of it.
        spawn_points: on driving lanes outside junctions, 0.3 m above the road, heading along the lane.
        signal_groups: one for each junction with lights.
    """

    name: str
    opendrive: str
    map: carla.Map
    spawn_points: tuple[Pose, ...]
    traffic_lights: tuple[TrafficLightSite, ...]
    signal_groups: tuple[SignalGroup, ...]
    signs: tuple[SignSite, ...]
    edge_objects: tuple[EdgeObject, ...]

    @property
    def full_name(self) -> str:
        """The name that `carla.Map.name` shows: 'Carla/Maps/Town01'."""
        return f"Carla/Maps/{self.name}"

    def ground(self, x: float, y: float, z: float) -> Ground:
        """The surface under a place; where roads cross above each other the one nearest to z. About 5 us."""
        raise NotImplementedError

    def speed_limit_kmh(self, road_id: int, lane_id: int, s: float) -> float:
        """Speed limit at a place on a lane, km/h."""
        raise NotImplementedError

    def edge_objects_near(self, x: float, y: float, radius: float) -> list[EdgeObject]:
        """The edge objects that a circle around a point may touch, metres."""
        raise NotImplementedError

    @cached_property
    def scene(self) -> "Scene":
        """What cameras see of the town; built at first use."""
        raise NotImplementedError
