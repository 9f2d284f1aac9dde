"""What a ray meets: vehicles, walkers, props and scenery as the boxes that collide, and the ground."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import carla

from td3_hpc.simulator.actors import Actor, Vector
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.mounting import axes_of
from td3_hpc.simulator.towns.town import EdgeObject, Town

_STEEPEST = 0.3
"""Slopes of the ground, metres per metre, are less: so far a ray can go without passing it."""
_SHORTEST_STEP = 0.25  # m
_MOST_STEPS = 4000
"""Of one ray over the ground: at 2 m above it over 25 km, in a tenth of a second."""
_TOUCHES = 1e-3
"""A ray that starts so near the ground starts on it, m: clients send places in float32."""
_STRIDE, _AROUND, _LONG = 8.0, 6.0, 2000.0  # The scenery around a ray is looked up in circles, unless it is long, m.
_LANE = carla.LaneType
_GREEN = (_LANE.NONE, _LANE.Median, _LANE.Border, _LANE.Restricted, _LANE.Tram, _LANE.Rail)


class Hit(NamedTuple):
    """Where a ray enters something."""

    distance: float
    """Metres from its start; 0 where it starts inside."""
    label: CityObjectLabel
    thing: Actor | EdgeObject | None
    """None: the ground."""


class Ray(NamedTuple):
    """A ray of limited length."""

    start: Vector
    direction: Vector
    """Of length 1."""
    length: float

    def at(self, distance: float) -> Vector:
        (x, y, z), (dx, dy, dz) = self.start, self.direction
        return x + distance * dx, y + distance * dy, z + distance * dz


def ray_between(start: Vector, end: Vector) -> Ray:
    """The ray from one place to another."""
    length = math.dist(start, end)
    return ray_along(start, (end[0] - start[0], end[1] - start[1], end[2] - start[2]), length)


def ray_along(start: Vector, direction: Vector, length: float) -> Ray:
    """The ray from a place in a direction; without one it has no length."""
    size = math.hypot(*direction)
    if size == 0.0:
        return Ray(start, (0.0, 0.0, -1.0), 0.0)
    return Ray(start, (direction[0] / size, direction[1] / size, direction[2] / size), length)


def hits(ray: Ray, solid: Sequence[Actor], town: Town) -> list[Hit]:
    """Everything that a ray meets, the nearest first."""
    found = [*body_hits(ray, solid), *scenery_hits(ray, town)]
    ground = _ground_hit(ray, town)
    return sorted(found if ground is None else [*found, ground], key=lambda hit: hit.distance)


def body_hits(ray: Ray, solid: Sequence[Actor], radius: float = 0.0) -> Iterator[Hit]:
    """The solid actors that a ray meets, with a ball of a radius around it."""
    for actor in solid:
        if actor.collides:
            distance = _enters(ray, actor.pose, actor.centre, actor.extent, radius)
            if distance is not None:
                yield Hit(distance, CityObjectLabel(actor.tags[0]), actor)


def scenery_hits(ray: Ray, town: Town, radius: float = 0.0) -> Iterator[Hit]:
    """The scenery that a ray meets."""
    everywhere = radius > _AROUND - _STRIDE / 2.0 or ray.length > _LONG
    for thing in town.edge_objects if everywhere else _along(ray, town):
        distance = _enters(ray, thing.box.centre, (0.0, 0.0, 0.0), thing.box.extent, radius)
        if distance is not None:
            yield Hit(distance, thing.label, thing)


def _along(ray: Ray, town: Town) -> Iterable[EdgeObject]:
    """The scenery that a ray passes at less than 2 m."""
    near: dict[int, EdgeObject] = {}
    for number in range(int(ray.length / _STRIDE) + 2):
        x, y, _ = ray.at(min(number * _STRIDE, ray.length))
        near.update((id(thing), thing) for thing in town.edge_objects_near(x, y, _AROUND))
    return near.values()


def _enters(ray: Ray, pose: Pose, centre: Vector, extent: Vector, radius: float) -> float | None:
    """Where a ray enters a box widened by `radius` (slab method); None where it misses it."""
    dx, dy, dz = ray.start[0] - pose.x, ray.start[1] - pose.y, ray.start[2] - pose.z
    rx, ry, rz = ray.direction
    enter, leave = 0.0, ray.length
    for (ax, ay, az), middle, half in zip(axes_of(pose), centre, extent):
        start, slope = ax * dx + ay * dy + az * dz - middle, ax * rx + ay * ry + az * rz
        half += radius
        if abs(slope) < 1e-9:
            if abs(start) > half:
                return None
            continue
        near, far = (-half - start) / slope, (half - start) / slope
        enter, leave = max(enter, min(near, far)), min(leave, max(near, far))
    return enter if enter <= leave else None


def _ground_hit(ray: Ray, town: Town) -> Hit | None:
    """Where a ray first passes the ground, from above or below."""

    def gap(distance: float) -> float:
        x, y, z = ray.at(distance)
        return z - town.ground(x, y, z).z

    before, above = 0.0, gap(0.0)
    if abs(above) <= _TOUCHES and ray.direction[2] <= 0.0:
        return Hit(0.0, _surface(town, ray.start), None)
    side = above if abs(above) > _TOUCHES else ray.direction[2]
    for _ in range(_MOST_STEPS):
        if before >= ray.length:
            break
        stride = max(_SHORTEST_STEP, abs(above) / (abs(ray.direction[2]) + _STEEPEST))
        after = min(before + stride, ray.length)
        above = gap(after)
        if above * side <= 0.0:
            distance = _between(before, after, side, gap)
            return Hit(distance, _surface(town, ray.at(distance)), None)
        before = after
    return None


def _between(low: float, high: float, side: float, gap: Callable[[float], float]) -> float:
    """Where the gap closes between two distances, by bisection, to a tenth of a millimetre."""
    while high - low > 1e-4:
        middle = (low + high) / 2.0
        low, high = (middle, high) if gap(middle) * side > 0.0 else (low, middle)
    return (low + high) / 2.0


def _surface(town: Town, place: Vector) -> CityObjectLabel:
    """What the ground is covered with."""
    waypoint = town.map.get_waypoint(carla.Location(*place), False, _LANE.Any)
    if waypoint is None or waypoint.lane_type in _GREEN:
        return CityObjectLabel.TERRAIN
    return CityObjectLabel.SIDEWALKS if waypoint.lane_type == _LANE.Sidewalk else CityObjectLabel.ROADS
