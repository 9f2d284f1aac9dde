"""Walkers: they go where their control says, jump, and fall where there is nothing below them."""

import math

from td3_hpc.simulator.actors import AT_REST, Walker
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.physics import GRAVITY
from td3_hpc.simulator.towns.town import Town

JUMP_SPEED = 4.2
"""m/s: Unreal Engine's default for characters."""
_STEP = 0.45
"""Unreal Engine's tallest step that a character takes without falling, m."""


def walk(walker: Walker, town: Town, dt: float) -> None:
    """Advance one walker by `dt` seconds; it can turn in the air too."""
    dx, dy, _ = walker.direction
    length = math.hypot(dx, dy)
    speed = walker.walking_speed if length > 0.0 else 0.0
    if speed == 0.0 and walker.stands and not walker.jump:
        walker.velocity = AT_REST
        return
    vx, vy = (dx / length * speed, dy / length * speed) if speed else (0.0, 0.0)
    x, y, z = walker.pose.x + vx * dt, walker.pose.y + vy * dt, walker.pose.z
    floor = town.ground(x, y, z - walker.extent[2]).z + walker.extent[2]
    vz = 0.0
    if not walker.stands or walker.jump or floor < z - _STEP:
        before = JUMP_SPEED if walker.stands and walker.jump else walker.velocity[2]
        vz = before - (GRAVITY * dt if walker.gravity else 0.0)
        z += (before + vz) / 2.0 * dt
        walker.stands = z <= floor
    if walker.stands:
        z, vz = floor, 0.0
    yaw = math.degrees(math.atan2(dy, dx)) if speed else walker.pose.yaw
    walker.velocity = (vx, vy, vz)
    walker.pose = Pose(x, y, z, 0.0, yaw, 0.0)
