"""What stands beside the road: traffic lights, signs, stop lines, crosswalks, and buildings and trees as landmarks."""

import math
import zlib
from collections.abc import Iterable, Sequence

import carla
import numpy as np
from numpy.typing import NDArray

from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.scene import Colour, Layer, SceneBuilder
from td3_hpc.simulator.scene_roads import RoadRaster, RoadSection

Array = NDArray[np.float64]

_POLE: Colour = (112, 112, 110)
_HEAD: Colour = (26, 26, 26)
_LAMPS: tuple[Colour, ...] = ((110, 110, 255), (70, 225, 255), (125, 255, 100))  # Red, yellow, green, from the top.
_WHITE: Colour = (236, 236, 236)
_RED: Colour = (40, 40, 200)

# Twice the true size: at 84 x 84 pixels and 90 degrees a true head is a single pixel from the stop line.
_HEAD_HALF = (0.25, 0.5, 1.25)
_HEAD_HEIGHT = 4.3  # Of its middle above the road, m.
_LAMP_RADIUS = 0.36
_FAR_SIDE = 10.0  # A head nearer than this ahead of its stop line gets a second one across the junction, m.
_ACROSS = 20.0

_STRIPE = 0.5  # Of a crosswalk and the gaps in it, m.
_STOP_LINE = 0.45

_WALLS: tuple[Colour, ...] = (
    (150, 176, 198), (112, 134, 176), (176, 178, 180), (138, 160, 150), (98, 120, 148), (170, 190, 214), (146, 132, 124),
    (84, 98, 160),
)  # fmt: skip
_ROOF: Colour = (92, 92, 104)
_WINDOWS: Colour = (96, 84, 74)
_TRUNK: Colour = (52, 72, 92)
_CROWNS: tuple[Colour, ...] = ((52, 104, 62), (44, 120, 84), (66, 96, 48), (60, 132, 110))


class Box:
    """The faces of an upright box: a middle, a yaw in degrees, half extents along, across and up, metres."""

    def __init__(self, middle: Sequence[float] | Array, yaw: float, half: Sequence[float]) -> None:
        c, s = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
        self.middle = np.array(middle, np.float64)
        self.along = np.array([c, s, 0.0]) * half[0]
        self.across = np.array([-s, c, 0.0]) * half[1]
        self.up = np.array([0.0, 0.0, half[2]])

    def sides(self, top: float = 1.0) -> list[Array]:
        """Front, right, rear and left face, (4, 3) each; the upper edges drawn in to the share `top`."""
        turns = [(self.along, self.across), (self.across, -self.along), (-self.along, -self.across),
                 (-self.across, self.along)]  # fmt: skip
        return [
            self.middle + np.stack([out - side - self.up, (out - side) * top + self.up, (out + side) * top + self.up,
                                    out + side - self.up])[::-1]
            for out, side in turns
        ]  # fmt: skip

    def roof(self, top: float = 1.0) -> Array:
        """The upper face, (4, 3)."""
        a, b = self.along * top, self.across * top
        return self.middle + self.up + np.stack([-a - b, a - b, a + b, b - a])


def add_light(
    builder: SceneBuilder, road_map: carla.Map, signal_id: str, pose: Pose, stops: Sequence[tuple[int, int, float]]
) -> None:
    """A traffic light: a head on a pole, facing the traffic that it stops; stop lines across its lanes.

    Where the pole stands at the stop line a second head hangs across the junction, for who waits there to see.

    Args:
        pose: of the pole's foot; its yaw is the direction of that traffic.
        stops: road id, lane id and s of the stop line on each lane.
    """
    light = builder.add_light(signal_id)
    found = [road_map.get_waypoint_xodr(*stop) for stop in stops]
    waypoints = [waypoint for waypoint in found if waypoint is not None]
    _head(builder, road_map, light, pose)
    if not waypoints:
        return
    for waypoint in waypoints:
        _stop_line(builder, waypoint)
    first = waypoints[0].transform
    forward = first.get_forward_vector()
    ahead = (pose.x - first.location.x) * forward.x + (pose.y - first.location.y) * forward.y
    if ahead < _FAR_SIDE:
        shift = _ACROSS - ahead
        across = Pose(pose.x + shift * forward.x, pose.y + shift * forward.y, pose.z, 0.0, first.rotation.yaw, 0.0)
        _head(builder, road_map, light, across)


def _head(builder: SceneBuilder, road_map: carla.Map, light: int, pose: Pose) -> None:
    foot = _ground(road_map, pose)
    middle = np.array([pose.x, pose.y, foot + _HEAD_HEIGHT])
    number = builder.new_object()
    pole_half = (_HEAD_HEIGHT - _HEAD_HALF[2]) / 2.0
    pole = Box((pose.x, pose.y, foot + pole_half), pose.yaw, (0.1, 0.1, pole_half))
    for side in pole.sides():
        builder.quad(side, _POLE, CityObjectLabel.POLES, Layer.UPRIGHT, size=0.35, object_id=number, anchor=middle)
    head = Box(middle, pose.yaw + 180.0, _HEAD_HALF)
    label = CityObjectLabel.TRAFFIC_LIGHT
    for face in (*head.sides(), head.roof()):
        builder.quad(face, _HEAD, label, Layer.UPRIGHT, size=1.0, object_id=number, anchor=middle, rank=1)
    outward, right = head.along / _HEAD_HALF[0], head.across / _HEAD_HALF[1]
    for lamp, colour in enumerate(_LAMPS):
        centre = middle + outward * (_HEAD_HALF[0] + 0.01) + np.array([0.0, 0.0, 0.8 * (1 - lamp)])
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
        if np.cross(corners[1, :2] - corners[0, :2], corners[2, :2] - corners[0, :2]) < 0.0:
            corners = corners[::-1]
        builder.quad(corners, _WHITE, CityObjectLabel.ROAD_LINES, Layer.PAINT, size=_STRIPE)


def add_sign(builder: SceneBuilder, road_map: carla.Map, kind: str, pose: Pose) -> None:
    """A sign on a pole, facing the traffic whose direction is the pose's yaw; `kind` as CARLA's type id."""
    foot, number = _ground(road_map, pose), builder.new_object()
    middle = np.array([pose.x, pose.y, foot + 2.4])
    for side in Box((pose.x, pose.y, foot + 1.1), pose.yaw, (0.05, 0.05, 1.1)).sides():
        builder.quad(side, _POLE, CityObjectLabel.POLES, Layer.UPRIGHT, size=0.15, object_id=number, anchor=middle)
    c, s = math.cos(math.radians(pose.yaw)), math.sin(math.radians(pose.yaw))
    out, right = np.array([-c, -s, 0.0]), np.array([s, -c, 0.0])
    inner = _RED if kind == "traffic.stop" else _WHITE
    outer = _WHITE if kind == "traffic.stop" else _RED
    for rank, (radius, colour) in enumerate(((0.45, outer), (0.36, inner)), start=1):
        for half in _hexagon(middle + out * (0.06 + 0.01 * rank), right, radius):
            builder.quad(
                half, colour, CityObjectLabel.TRAFFIC_SIGNS, Layer.UPRIGHT, size=0.9, object_id=number,
                anchor=middle, rank=rank,
            )  # fmt: skip


def add_landmarks(builder: SceneBuilder, sections: Sequence[RoadSection], raster: RoadRaster) -> None:
    """Buildings along streets with sidewalks, trees along the others: the same town always gets the same ones."""
    taken: set[tuple[int, int]] = set()
    for section in sections:
        if section.in_junction or section.raised:
            continue
        urban = any(surface.layer == Layer.SIDEWALK for surface in section.surfaces)
        step = 22.0 if urban else 16.0
        for at in np.arange(section.s[0] + step / 2.0, section.s[-1], step):
            row = int(np.argmin(np.abs(section.s - at)))
            across = section.borders[row, -1] - section.borders[row, 0]
            across[2] = 0.0
            across /= max(float(np.linalg.norm(across)), 1e-9)
            yaw = math.degrees(math.atan2(-across[0], across[1]))
            for edge, out in ((section.borders[row, 0], -across), (section.borders[row, -1], across)):
                _landmark(builder, raster, taken, edge, out, yaw, urban)


def _landmark(
    builder: SceneBuilder, raster: RoadRaster, taken: set[tuple[int, int]], edge: Array, out: Array, yaw: float, urban: bool
) -> None:  # fmt: skip
    choice = zlib.crc32(f"{edge[0]:.0f} {edge[1]:.0f}".encode())
    deep, wide, tall = 5.0 + choice % 3, 6.0 + choice // 3 % 4, 3.0 + 1.6 * (choice // 12 % 5)
    away = deep + 2.5 + choice // 60 % 3 if urban else 3.5 + choice // 60 % 6
    x, y, _ = edge + out * away
    reach = math.hypot(deep, wide) if urban else 2.2
    spot = (math.floor(x / (2 * reach)), math.floor(y / (2 * reach)))
    neighbours = {(spot[0] + i, spot[1] + j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    if (urban and neighbours & taken) or not raster.clear(float(x), float(y), reach):
        return
    taken.add(spot)
    if urban:
        _building(builder, Box((x, y, builder.base_z + tall), yaw, (wide, deep, tall)), choice)
    else:
        _tree(builder, x, y, choice)


def _building(builder: SceneBuilder, box: Box, choice: int) -> None:
    colour, number, label = _WALLS[choice // 180 % len(_WALLS)], builder.new_object(), CityObjectLabel.BUILDINGS
    for side in box.sides():
        builder.quad(side, colour, label, Layer.UPRIGHT, size=6.0, object_id=number, anchor=box.middle)
        for floor in np.arange(0.12, 0.88, 3.4 / (2.0 * box.up[2])):
            band = _window_band(side, floor, floor + 1.5 / (2.0 * box.up[2]))
            builder.quad(
                band, _WINDOWS, label, Layer.UPRIGHT, size=1.5, object_id=number, anchor=box.middle, rank=1
            )  # fmt: skip
    builder.quad(box.roof(), _ROOF, label, Layer.UPRIGHT, size=6.0, object_id=number, anchor=box.middle)


def _window_band(side: Array, low: float, high: float) -> Array:
    """A strip across a wall between two shares of its height, drawn in a little from its corners."""
    right_low, right_high, left_high, left_low = side
    points = []
    for start, end, share in ((right_low, right_high, low), (right_low, right_high, high), (left_low, left_high, high),
                              (left_low, left_high, low)):  # fmt: skip
        points.append(start + (end - start) * share)
    band = np.stack(points)
    return np.asarray(band + (band.mean(axis=0) - band) * np.array([0.12, 0.12, 0.0]))


def _tree(builder: SceneBuilder, x: float, y: float, choice: int) -> None:
    number, label, yaw = builder.new_object(), CityObjectLabel.VEGETATION, float(choice // 7 % 90)
    height = 2.0 + 0.4 * (choice // 180 % 4)
    middle = (x, y, builder.base_z + 2.0 + height)
    for side in Box((x, y, builder.base_z + 1.0), yaw, (0.2, 0.2, 1.0)).sides():
        builder.quad(side, _TRUNK, label, Layer.UPRIGHT, size=0.5, object_id=number, anchor=middle)
    crown = Box(middle, yaw, (1.9, 1.9, height))
    colour = _CROWNS[choice // 900 % len(_CROWNS)]
    for face in (*crown.sides(0.35), crown.roof(0.35)):
        builder.quad(face, colour, label, Layer.UPRIGHT, size=2.0, object_id=number, anchor=middle, rank=1)
