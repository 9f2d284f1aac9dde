"""Collisions between vehicles, walkers, props and what stands beside the road: oriented boxes seen from above.

Two boxes overlap unless one of their axes separates them (separating axis theorem; Ericson, Real-Time Collision
Detection, section 4.4.1). The shallowest overlap is undone along its axis, shared by mass, and the approach at the
point of contact becomes an impulse with friction that also turns the vehicles (ibid., Baraff 1997, rigid bodies in the
plane).
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from td3_hpc.simulator.actors import Actor, Vehicle, Walker
from td3_hpc.simulator.geometry import OrientedBox
from td3_hpc.simulator.towns.town import CLEAR, EdgeObject, Town

RESTITUTION = 0.1
FRICTION = 0.3
WALKER_MASS, PROP_MASS = 80.0, 20.0
"""Kilograms."""


class Contact(NamedTuple):
    """A vehicle touches something."""

    vehicle: Vehicle
    other: Actor | EdgeObject
    impulse: tuple[float, float, float]
    """On the vehicle, N s, world frame."""


class _Footprint(NamedTuple):
    """A box seen from above, and its lowest and highest point."""

    x: float
    y: float
    cos: float
    sin: float
    length: float
    width: float
    low: float
    high: float

    def reach_along(self, nx: float, ny: float) -> float:
        """Half of its size along a direction."""
        return self.length * abs(self.cos * nx + self.sin * ny) + self.width * abs(self.cos * ny - self.sin * nx)

    def corners(self) -> Iterator[tuple[float, float]]:
        for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1)):
            ahead, right = a * self.length, b * self.width
            yield self.x + ahead * self.cos - right * self.sin, self.y + ahead * self.sin + right * self.cos

    def contains(self, x: float, y: float) -> bool:
        dx, dy = x - self.x, y - self.y
        return (
            abs(dx * self.cos + dy * self.sin) <= self.length + 1e-9
            and abs(dy * self.cos - dx * self.sin) <= self.width + 1e-9
        )


class _Overlap(NamedTuple):
    nx: float
    ny: float
    """Unit vector from the first box to the second."""
    depth: float


def resolve_collisions(solid: Sequence[Actor], town: Town) -> list[Contact]:
    """Push apart what overlaps among solid actors and the scenery; the contacts of vehicles, in a fixed order."""
    contacts: list[Contact] = []
    for first, second in _near_pairs(solid):
        contacts += _resolve_pair(first, second)
    for actor in solid:
        if isinstance(actor, Vehicle) and actor.collides and actor.simulates_physics:
            x, y, _, _, _, _ = actor.pose
            reach = math.hypot(actor.extent[0], actor.extent[1])
            if reach > CLEAR or not town.is_clear(x, y):
                contacts += _resolve_scenery(actor, town.edge_objects_near(x, y, reach))
    return contacts


def overlaps(box: OrientedBox, solid: Sequence[Actor], scenery: Sequence[EdgeObject] = ()) -> bool:
    """Whether a box overlaps any of the solid actors or of the scenery."""
    footprint, (x, y, *_) = _of_box(box), box.centre
    reach = box.extent[0] + box.extent[1]
    near = (actor for actor in solid if actor.collides and _may_reach(actor, x, y, reach))
    taken = [_of_actor(actor) for actor in near] + [_of_box(thing.box) for thing in scenery]
    return any(_overlap(footprint, other) is not None for other in taken)


def _may_reach(actor: Actor, x: float, y: float, reach: float) -> bool:
    """A square around the actor touches one of half size `reach` around x, y: cheap, and never wrongly false."""
    half = reach + actor.extent[0] + actor.extent[1] + abs(actor.centre[0]) + abs(actor.centre[1])
    return abs(actor.pose[0] - x) <= half and abs(actor.pose[1] - y) <= half


def touches(first: Actor, second: Actor) -> bool:
    """Whether their boxes overlap, whatever is solid of them."""
    return not _clearly_apart(first, second) and _overlap(_of_actor(first), _of_actor(second)) is not None


def mass_of(actor: Actor) -> float:
    """Kilograms."""
    if isinstance(actor, Vehicle):
        return actor.mass
    return WALKER_MASS if isinstance(actor, Walker) else PROP_MASS


def _near_pairs(solid: Sequence[Actor]) -> Iterator[tuple[Actor, Actor]]:
    """Pairs of actors, which come in the order of their ids, whose surrounding circles touch, swept along x."""
    reaches = [actor.extent[0] + actor.extent[1] for actor in solid]
    starts = [actor.pose[0] - reach for actor, reach in zip(solid, reaches)]
    order = sorted(range(len(solid)), key=starts.__getitem__)
    spans = [(starts[k], reaches[k], solid[k]) for k in order]
    for index, (_, reach, first) in enumerate(spans, 1):
        end = first.pose[0] + reach
        for start, other_reach, second in spans[index:]:
            if start > end:
                break
            if abs(first.pose[1] - second.pose[1]) <= reach + other_reach:  # a pair before may have moved them
                yield (first, second) if first.id < second.id else (second, first)


def _resolve_pair(first: Actor, second: Actor) -> list[Contact]:
    if not (isinstance(first, Vehicle) or isinstance(second, Vehicle)):
        return []
    if _clearly_apart(first, second):
        return []
    if not (first.collides and second.collides):
        return []
    a, b = _of_actor(first), _of_actor(second)
    found = _overlap(a, b)
    share_1, share_2 = _inverse_mass(first), _inverse_mass(second)
    if found is None or share_1 + share_2 == 0.0:
        return []
    nx, ny, depth = found
    part = depth / (share_1 + share_2)
    _shift(first, -nx * part * share_1, -ny * part * share_1)
    _shift(second, nx * part * share_2, ny * part * share_2)
    jx, jy = _impulse(first, second, _contact_point(a, b), nx, ny)
    contacts = []
    if isinstance(first, Vehicle):
        contacts.append(Contact(first, second, (-jx, -jy, 0.0)))
    if isinstance(second, Vehicle):
        contacts.append(Contact(second, first, (jx, jy, 0.0)))
    return contacts


def _clearly_apart(first: Actor, second: Actor) -> bool:
    """Whether the circles around two boxes, far from rounding, do not touch."""
    (x, y, *_), (u, v, *_) = first.pose, second.pose
    reach = sum(math.hypot(*actor.extent[:2]) + math.hypot(*actor.centre[:2]) for actor in (first, second))
    return (x - u) * (x - u) + (y - v) * (y - v) > reach * reach + 1e-3


def _resolve_scenery(vehicle: Vehicle, near: Sequence[EdgeObject]) -> list[Contact]:
    contacts = []
    for thing in near:
        a, b = _of_actor(vehicle), _of_box(thing.box)
        found = _overlap(a, b)
        if found is None:
            continue
        nx, ny, depth = found
        _shift(vehicle, -nx * depth, -ny * depth)
        jx, jy = _impulse(vehicle, None, _contact_point(a, b), nx, ny)
        contacts.append(Contact(vehicle, thing, (-jx, -jy, 0.0)))
    return contacts


def _impulse(
    first: Actor, second: Actor | None, point: tuple[float, float], nx: float, ny: float
) -> tuple[float, float]:
    """Apply the impulse of a contact to both; what the second gets, N s. None: something that does not move."""
    tx, ty = -ny, nx
    v1x, v1y = _velocity_at(first, point)
    v2x, v2y = _velocity_at(second, point) if second is not None else (0.0, 0.0)
    approach = (v1x - v2x) * nx + (v1y - v2y) * ny
    if approach <= 0.0:
        return 0.0, 0.0
    slide = (v1x - v2x) * tx + (v1y - v2y) * ty
    along = (1.0 + RESTITUTION) * approach / _yielding(first, second, point, nx, ny)
    across = slide / _yielding(first, second, point, tx, ty)
    across = max(-FRICTION * along, min(FRICTION * along, across))
    jx, jy = along * nx + across * tx, along * ny + across * ty
    _push(first, point, -jx, -jy)
    if second is not None:
        _push(second, point, jx, jy)
    return jx, jy


def _velocity_at(actor: Actor, point: tuple[float, float]) -> tuple[float, float]:
    rx, ry = point[0] - actor.pose.x, point[1] - actor.pose.y
    return actor.velocity[0] - actor.yaw_rate * ry, actor.velocity[1] + actor.yaw_rate * rx


def _yielding(first: Actor, second: Actor | None, point: tuple[float, float], nx: float, ny: float) -> float:
    """Change of the velocity along (nx, ny) at the point by a unit impulse, 1/kg."""
    total = 0.0
    for actor in (first, second):
        if actor is not None:
            lever = (point[0] - actor.pose.x) * ny - (point[1] - actor.pose.y) * nx
            total += _inverse_mass(actor) + lever * lever * _inverse_inertia(actor)
    return total


def _push(actor: Actor, point: tuple[float, float], jx: float, jy: float) -> None:
    if not (isinstance(actor, Vehicle) or actor.simulates_physics):
        return
    share = _inverse_mass(actor)
    vx, vy, vz = actor.velocity
    actor.velocity = (vx + jx * share, vy + jy * share, vz)
    rx, ry = point[0] - actor.pose.x, point[1] - actor.pose.y
    actor.yaw_rate += (rx * jy - ry * jx) * _inverse_inertia(actor)


def _inverse_mass(actor: Actor) -> float:
    if isinstance(actor, Vehicle) and not actor.simulates_physics:
        return 0.0
    return 1.0 / mass_of(actor)


def _inverse_inertia(actor: Actor) -> float:
    """About the vertical, of a box of even density; only vehicles turn."""
    if not isinstance(actor, Vehicle):
        return 0.0
    length, width, _ = actor.extent
    return _inverse_mass(actor) * 3.0 / (length * length + width * width)


def _shift(actor: Actor, dx: float, dy: float) -> None:
    actor.teleport(actor.pose._replace(x=actor.pose.x + dx, y=actor.pose.y + dy))


def _contact_point(a: _Footprint, b: _Footprint) -> tuple[float, float]:
    """The middle of the corners that lie in the other box; of the two boxes where none does."""
    inside = [corner for corner in a.corners() if b.contains(*corner)]
    inside += [corner for corner in b.corners() if a.contains(*corner)]
    if not inside:
        return (a.x + b.x) / 2.0, (a.y + b.y) / 2.0
    xs, ys = zip(*inside)
    return sum(xs) / len(xs), sum(ys) / len(ys)


def _of_actor(actor: Actor) -> _Footprint:
    pose, (length, width, height) = actor.pose, actor.extent
    yaw = math.radians(pose.yaw)
    cos, sin = math.cos(yaw), math.sin(yaw)
    ahead, right, up = actor.centre
    x, y, z = pose.x + ahead * cos - right * sin, pose.y + ahead * sin + right * cos, pose.z + up
    return _Footprint(x, y, cos, sin, length, width, z - height, z + height)


def _of_box(box: OrientedBox) -> _Footprint:
    yaw = math.radians(box.centre.yaw)
    (length, width, height), z = box.extent, box.centre.z
    return _Footprint(box.centre.x, box.centre.y, math.cos(yaw), math.sin(yaw), length, width, z - height, z + height)


def _overlap(a: _Footprint, b: _Footprint) -> _Overlap | None:
    """The shallowest overlap; None where the boxes do not overlap."""
    if a.low > b.high or b.low > a.high:
        return None
    dx, dy = b.x - a.x, b.y - a.y
    best: _Overlap | None = None
    for nx, ny in ((a.cos, a.sin), (-a.sin, a.cos), (b.cos, b.sin), (-b.sin, b.cos)):
        distance = dx * nx + dy * ny
        depth = a.reach_along(nx, ny) + b.reach_along(nx, ny) - abs(distance)
        if depth <= 0.0:
            return None
        if best is None or depth < best.depth:
            best = _Overlap(nx, ny, depth) if distance >= 0.0 else _Overlap(-nx, -ny, depth)
    return best
