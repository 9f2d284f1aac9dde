"""Collisions between vehicles, walkers, props and what stands beside the road: oriented boxes seen from above.

Two boxes overlap unless one of their axes separates them (separating axis theorem; Ericson, Real-Time Collision
Detection, section 4.4.1). The shallowest overlap is resolved along its axis, shared by mass, and the approach speed is
turned into an impulse.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from td3_hpc.simulator.actors import Actor, Vehicle
from td3_hpc.simulator.geometry import OrientedBox
from td3_hpc.simulator.town import EdgeObject, Town

RESTITUTION = 0.1


class Contact(NamedTuple):
    """A vehicle has touched something."""

    vehicle: Vehicle
    other: Actor | None
    """None for scenery."""
    scenery: EdgeObject | None
    impulse: tuple[float, float, float]
    """On the vehicle, N s."""


class _Footprint(NamedTuple):
    x: float
    y: float
    cos: float
    sin: float
    length: float
    width: float
    low: float
    high: float


def resolve_collisions(movers: Sequence[Actor], town: Town) -> list[Contact]:
    """Push apart what overlaps among `movers` (in the order of their ids) and the scenery; the contacts made."""
    contacts: list[Contact] = []
    vehicles = [actor for actor in movers if isinstance(actor, Vehicle)]
    for index, first in enumerate(movers):
        for second in movers[index + 1 :]:
            reach = first.extent[0] + first.extent[1] + second.extent[0] + second.extent[1]
            dx, dy = second.pose.x - first.pose.x, second.pose.y - first.pose.y
            if abs(dx) > reach or abs(dy) > reach:
                continue
            if isinstance(first, Vehicle) or isinstance(second, Vehicle):
                contacts += _resolve_pair(first, second)
    for vehicle in vehicles:
        if vehicle.collides and vehicle.simulates_physics:
            contacts += _resolve_scenery(vehicle, town)
    return contacts


def overlaps(box: OrientedBox, movers: Sequence[Actor]) -> bool:
    """Whether a box overlaps any of the movers."""
    footprint = _of_box(box)
    return any(_separation(footprint, _of_actor(actor)) is not None for actor in movers)


def _resolve_pair(first: Actor, second: Actor) -> list[Contact]:
    for actor in (first, second):
        if isinstance(actor, Vehicle) and not actor.collides:
            return []
    found = _separation(_of_actor(first), _of_actor(second))
    if found is None:
        return []
    (nx, ny), depth = found  # from first to second
    inverse_1, inverse_2 = _inverse_mass(first), _inverse_mass(second)
    total = inverse_1 + inverse_2
    if total == 0:
        return []
    _shift(first, -nx * depth * inverse_1 / total, -ny * depth * inverse_1 / total)
    _shift(second, nx * depth * inverse_2 / total, ny * depth * inverse_2 / total)
    approach = (first.velocity[0] - second.velocity[0]) * nx + (first.velocity[1] - second.velocity[1]) * ny
    impulse = max(0.0, (1 + RESTITUTION) * approach / total)
    _push(first, -nx * impulse, -ny * impulse)
    _push(second, nx * impulse, ny * impulse)
    contacts = []
    if isinstance(first, Vehicle):
        contacts.append(Contact(first, second, None, (-nx * impulse, -ny * impulse, 0.0)))
    if isinstance(second, Vehicle):
        contacts.append(Contact(second, first, None, (nx * impulse, ny * impulse, 0.0)))
    return contacts


def _resolve_scenery(vehicle: Vehicle, town: Town) -> list[Contact]:
    contacts = []
    reach = math.hypot(vehicle.extent[0], vehicle.extent[1])
    for thing in town.edge_objects_near(vehicle.pose.x, vehicle.pose.y, reach):
        found = _separation(_of_actor(vehicle), _of_box(thing.box))
        if found is None:
            continue
        (nx, ny), depth = found
        _shift(vehicle, -nx * depth, -ny * depth)
        approach = vehicle.velocity[0] * nx + vehicle.velocity[1] * ny
        impulse = max(0.0, (1 + RESTITUTION) * approach * vehicle.model.mass)
        _push(vehicle, -nx * impulse, -ny * impulse)
        contacts.append(Contact(vehicle, None, thing, (-nx * impulse, -ny * impulse, 0.0)))
    return contacts


def _inverse_mass(actor: Actor) -> float:
    if isinstance(actor, Vehicle):
        return 1 / actor.model.mass if actor.simulates_physics else 0.0
    return 1 / 80 if actor.type_id.startswith("walker.") else 1 / 20


def _shift(actor: Actor, dx: float, dy: float) -> None:
    actor.pose = actor.pose._replace(x=actor.pose.x + dx, y=actor.pose.y + dy)


def _push(actor: Actor, jx: float, jy: float) -> None:
    if isinstance(actor, Vehicle):
        inverse = _inverse_mass(actor)
        vx, vy, vz = actor.velocity
        actor.velocity = (vx + jx * inverse, vy + jy * inverse, vz)


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


def _separation(a: _Footprint, b: _Footprint) -> tuple[tuple[float, float], float] | None:
    """Axis from a to b of the shallowest overlap and its depth, metres; None where they do not overlap."""
    if a.low > b.high or b.low > a.high:
        return None
    dx, dy = b.x - a.x, b.y - a.y
    best: tuple[tuple[float, float], float] | None = None
    for nx, ny in ((a.cos, a.sin), (-a.sin, a.cos), (b.cos, b.sin), (-b.sin, b.cos)):
        reach = sum(
            box.length * abs(box.cos * nx + box.sin * ny) + box.width * abs(-box.sin * nx + box.cos * ny)
            for box in (a, b)
        )
        distance = dx * nx + dy * ny
        depth = reach - abs(distance)
        if depth <= 0:
            return None
        if best is None or depth < best[1]:
            sign = 1.0 if distance >= 0 else -1.0
            best = (sign * nx, sign * ny), depth
    return best
