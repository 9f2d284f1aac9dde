"""Walkers and props whose physics a client has switched on: they fall, slide and stop."""

import math

from td3_hpc.simulator.actors import Actor
from td3_hpc.simulator.physics import GRAVITY
from td3_hpc.simulator.towns.town import Town

FRICTION = 0.7
"""Unreal Engine's default between two materials; nothing bounces."""
_ON_GROUND = 1e-3  # m


def step_body(body: Actor, town: Town, dt: float) -> None:
    """Advance one body by `dt` seconds; its box stays upright."""
    if body.parent is not None:
        return
    pose, before = body.pose, body.velocity
    vx, vy, vz = before
    below = body.extent[2] - body.centre[2]  # from its origin down to the lowest point of its box
    ground = town.ground(pose.x, pose.y, pose.z - below)
    if pose.z - below > ground.z + _ON_GROUND or vz > 0.0:
        vz -= GRAVITY * dt if body.gravity else 0.0
    elif body.gravity:
        kept = max(0.0, 1.0 - FRICTION * GRAVITY * dt / max(math.hypot(vx, vy), 1e-9))
        vx, vy = vx * kept, vy * kept
        # Friction's lever is about half of the box's longer side.
        slowed = FRICTION * GRAVITY * dt / max(body.extent[0], body.extent[1], 0.1)
        body.yaw_rate = math.copysign(max(0.0, abs(body.yaw_rate) - slowed), body.yaw_rate)
    x, y, z = pose.x + vx * dt, pose.y + vy * dt, pose.z + (before[2] + vz) / 2.0 * dt
    floor = town.ground(x, y, z - below).z + below
    if z <= floor:
        z, vz = floor, 0.0
    body.velocity = (vx, vy, vz)
    body.acceleration = ((vx - before[0]) / dt, (vy - before[1]) / dt, (vz - before[2]) / dt)
    yaw = pose.yaw + math.degrees(body.yaw_rate) * dt
    body.pose = pose._replace(x=x, y=y, z=z, yaw=math.remainder(yaw, 360.0))
