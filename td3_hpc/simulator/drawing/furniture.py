"""What guides the traffic: lights, signs, stop lines, crosswalks."""

import math
from collections.abc import Iterable

import carla
import numpy as np
from numpy.typing import NDArray

from td3_hpc.simulator.drawing.landmarks import Box
from td3_hpc.simulator.drawing.scene import Colour, Layer, SceneBuilder
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.towns.town import LanePlace, SignSite, TrafficLightSite

Array = NDArray[np.float64]

_POLE: Colour = (112, 112, 110)
_HEAD: Colour = (26, 26, 26)
_LAMPS: tuple[Colour, ...] = ((110, 110, 255), (70, 225, 255), (125, 255, 100))  # Red, yellow, green, from the top.
_WHITE: Colour = (236, 236, 236)
_RED: Colour = (40, 40, 200)

# Twice the true size: at 84 x 84 pixels and 90 degrees a true head is a single pixel from the stop line.
HEAD_HALF = (0.25, 0.5, 1.25)
BOARD_HALF = (0.08, 0.45, 0.45)
_BOARD_HEIGHT = 2.4  # Of the middle of a sign's board above the road, m.
HEAD_HEIGHT = 4.3  # Of its middle above the road, m.
_LAMP_RADIUS = 0.36
_FAR_SIDE = 10.0  # A head nearer than this ahead of its stop line gets a second one across the junction, m.
_ACROSS = 20.0

_STRIPE = 0.5  # Of a crosswalk and the gaps in it, m.
_STOP_LINE = 0.45


def add_light(builder: SceneBuilder, road_map: carla.Map, site: TrafficLightSite) -> None:
    """A head on a pole, facing the traffic that it stops, and stop lines across that traffic's lanes.

    Where the pole stands at the stop line a second head hangs across the junction, for who waits there to see.
    """
    light = builder.add_light(site.signal_id)
    near, *across = heads(road_map, site)
    _head(builder, light, near)
    _stops(builder, road_map, site.stop_places)
    for head in across:
        _head(builder, light, head)


def heads(road_map: carla.Map, site: TrafficLightSite) -> list[Pose]:
    """The middle of each head of a light; it faces against the pose's yaw."""
    feet = [site.pose]
    waypoints = _waypoints(road_map, site.stop_places)
    if waypoints:
        first = waypoints[0].transform
        ahead, _ = site.pose._replace(yaw=first.rotation.yaw).offset_of(first.location.x, first.location.y)
        if -ahead < _FAR_SIDE:
            feet.append(site.pose._replace(yaw=first.rotation.yaw).ahead(_ACROSS + ahead))
    return [pose._replace(z=_ground(road_map, pose) + HEAD_HEIGHT) for pose in feet]


def board(road_map: carla.Map, pose: Pose) -> Pose:
    """The middle of the board of a sign whose foot is at `pose`."""
    return pose._replace(z=_ground(road_map, pose) + _BOARD_HEIGHT)


def _waypoints(road_map: carla.Map, places: Iterable[LanePlace]) -> list[carla.Waypoint]:
    found = [road_map.get_waypoint_xodr(*place) for place in places]
    return [waypoint for waypoint in found if waypoint is not None]


def _stops(builder: SceneBuilder, road_map: carla.Map, places: Iterable[LanePlace]) -> None:
    """Stop lines on the lanes."""
    for waypoint in _waypoints(road_map, places):
        _stop_line(builder, waypoint)


def _head(builder: SceneBuilder, light: int, pose: Pose) -> None:
    foot = pose.z - HEAD_HEIGHT
    middle = np.array([pose.x, pose.y, pose.z])
    number = builder.new_object()
    pole_half = (HEAD_HEIGHT - HEAD_HALF[2]) / 2.0
    pole = Box((pose.x, pose.y, foot + pole_half), pose.yaw, (0.1, 0.1, pole_half))
    for side in pole.sides():
        builder.quad(side, _POLE, CityObjectLabel.POLES, Layer.UPRIGHT, size=0.35, object_id=number, anchor=middle)
    head = Box(middle, pose.yaw + 180.0, HEAD_HALF)
    label = CityObjectLabel.TRAFFIC_LIGHT
    for face in (*head.sides(), head.roof()):
        builder.quad(face, _HEAD, label, Layer.UPRIGHT, size=1.0, object_id=number, anchor=middle, rank=1)
    outward, right = head.along / HEAD_HALF[0], head.across / HEAD_HALF[1]
    for lamp, colour in enumerate(_LAMPS):
        centre = middle + outward * (HEAD_HALF[0] + 0.01) + np.array([0.0, 0.0, 0.8 * (1 - lamp)])
        for half in _hexagon(centre, right, _LAMP_RADIUS):
            builder.quad(
                half, colour, label, Layer.UPRIGHT, size=2 * _LAMP_RADIUS, lamp=3 * light + lamp,
                object_id=number, anchor=middle, rank=2,
            )  # fmt: skip


def _hexagon(centre: Array, right: Array, radius: float) -> Iterable[Array]:
    """A hexagon facing across `right`, as its lower and upper half."""
    up = np.array([0.0, 0.0, 1.0])
    for sign in (-1.0, 1.0):
        wide = [centre + right * radius, centre - right * radius]
        narrow = [centre - right * radius * 0.5, centre + right * radius * 0.5]
        corners = np.stack([*wide, *(point + up * (sign * radius * 0.87) for point in narrow)])
        yield corners if sign < 0 else corners[::-1]


def _ground(road_map: carla.Map, pose: Pose) -> float:
    """Height of the road nearest to a pose, metres."""
    waypoint = road_map.get_waypoint(carla.Location(pose.x, pose.y, pose.z))
    return float(waypoint.transform.location.z) if waypoint is not None else pose.z


def _stop_line(builder: SceneBuilder, waypoint: carla.Waypoint) -> None:
    transform = waypoint.transform
    forward, right = _axes(transform)
    middle = np.array([transform.location.x, transform.location.y, transform.location.z])
    along, across = forward * _STOP_LINE, right * (waypoint.lane_width / 2.0 - 0.1)
    corners = np.stack([middle - along - across, middle - across, middle + across, middle - along + across])
    builder.quad(corners, _WHITE, CityObjectLabel.ROAD_LINES, Layer.PAINT, size=_STOP_LINE)


def _axes(transform: carla.Transform) -> tuple[Array, Array]:
    f, r = transform.get_forward_vector(), transform.get_right_vector()
    return np.array([f.x, f.y, f.z]), np.array([r.x, r.y, r.z])


def add_crosswalks(builder: SceneBuilder, road_map: carla.Map) -> None:
    """Zebra stripes on every crosswalk of the map, along the traffic."""
    ring: list[Array] = []
    for location in road_map.get_crosswalks():
        point = np.array([location.x, location.y, location.z])
        if len(ring) >= 3 and float(np.abs(point - ring[0]).max()) < 1e-3:
            if len(ring) == 4:
                _zebra(builder, road_map, ring)
            ring = []
        else:
            ring.append(point)


def _zebra(builder: SceneBuilder, road_map: carla.Map, ring: list[Array]) -> None:
    a, b, c, d = ring
    if np.linalg.norm(b - a) + np.linalg.norm(c - d) < np.linalg.norm(c - b) + np.linalg.norm(d - a):
        a, b, c, d = b, c, d, a
    for point in (a, b, c, d):
        point[2] = _ground(road_map, Pose(point[0], point[1], point[2], 0.0, 0.0, 0.0))
    count = max(int(np.linalg.norm(b - a) / (2 * _STRIPE)), 1)
    for k in range(count):
        low, high = (k + 0.25) / count, (k + 0.75) / count
        corners = np.stack([a + (b - a) * low, a + (b - a) * high, d + (c - d) * high, d + (c - d) * low])
        if np.cross(corners[1] - corners[0], corners[2] - corners[0])[2] < 0.0:
            corners = corners[::-1]
        builder.quad(corners, _WHITE, CityObjectLabel.ROAD_LINES, Layer.PAINT, size=_STRIPE)


def add_sign(builder: SceneBuilder, road_map: carla.Map, site: SignSite) -> None:
    """A sign on a pole, facing its traffic; with a stop line where it says stop."""
    pose = site.pose
    foot, number = _ground(road_map, pose), builder.new_object()
    middle = np.array([pose.x, pose.y, foot + 2.4])
    for side in Box((pose.x, pose.y, foot + 1.1), pose.yaw, (0.05, 0.05, 1.1)).sides():
        builder.quad(side, _POLE, CityObjectLabel.POLES, Layer.UPRIGHT, size=0.15, object_id=number, anchor=middle)
    c, s = math.cos(math.radians(pose.yaw)), math.sin(math.radians(pose.yaw))
    out, right = np.array([-c, -s, 0.0]), np.array([s, -c, 0.0])
    stop = site.kind == "traffic.stop"
    if stop:
        _stops(builder, road_map, site.stop_places)
    inner, outer = (_RED, _WHITE) if stop else (_WHITE, _RED)
    for rank, (radius, colour) in enumerate(((0.45, outer), (0.36, inner)), start=1):
        for half in _hexagon(middle + out * (0.06 + 0.01 * rank), right, radius):
            builder.quad(
                half, colour, CityObjectLabel.TRAFFIC_SIGNS, Layer.UPRIGHT, size=0.9, object_id=number,
                anchor=middle, rank=rank,
            )  # fmt: skip
