"""Rotations in three dimensions: what is mounted on a vehicle moves and tilts with it."""

import math

from td3_hpc.simulator.geometry import Pose

Vector = tuple[float, float, float]


def axes_of(pose: Pose) -> tuple[Vector, Vector, Vector]:
    """Unit vectors forward, right and up of a pose, in the world's frame (CARLA's order: yaw, pitch, roll)."""
    cy, sy = math.cos(math.radians(pose.yaw)), math.sin(math.radians(pose.yaw))
    cp, sp = math.cos(math.radians(pose.pitch)), math.sin(math.radians(pose.pitch))
    cr, sr = math.cos(math.radians(pose.roll)), math.sin(math.radians(pose.roll))
    return (
        (cp * cy, cp * sy, sp),
        (cy * sp * sr - sy * cr, sy * sp * sr + cy * cr, -cp * sr),
        (-cy * sp * cr - sy * sr, cy * sr - sy * sp * cr, cp * cr),
    )


def mounted(parent: Pose, mount: Pose) -> Pose:
    """The world pose of something fixed at `mount` in the parent's frame."""
    if parent.pitch == 0.0 and parent.roll == 0.0:
        place = parent.ahead(mount.x, mount.y, mount.z)
        return Pose(place.x, place.y, place.z, mount.pitch, parent.yaw + mount.yaw, mount.roll)
    axes = axes_of(parent)
    x, y, z = _combine(axes, (mount.x, mount.y, mount.z))
    forward, right, up = (_combine(axes, axis) for axis in axes_of(mount))
    pitch = math.degrees(math.asin(max(-1.0, min(1.0, forward[2]))))
    if abs(forward[2]) < 0.999999:
        yaw, roll = math.atan2(forward[1], forward[0]), math.atan2(-right[2], up[2])
    else:  # straight up or down: yaw and roll turn about the same axis
        yaw, roll = math.atan2(-right[0], right[1]), 0.0
    return Pose(parent.x + x, parent.y + y, parent.z + z, pitch, math.degrees(yaw), math.degrees(roll))


def seen_from(pose: Pose, vector: Vector) -> Vector:
    """A vector of the world in the frame of a pose."""
    forward, right, up = axes_of(pose)
    return (_dot(forward, vector), _dot(right, vector), _dot(up, vector))


def _combine(axes: tuple[Vector, Vector, Vector], weights: Vector) -> Vector:
    (fx, fy, fz), (rx, ry, rz), (ux, uy, uz) = axes
    f, r, u = weights
    return (f * fx + r * rx + u * ux, f * fy + r * ry + u * uy, f * fz + r * rz + u * uz)


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
