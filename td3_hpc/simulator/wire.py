"""The packed and msgpack shapes of CARLA 0.9.16's wire protocol, little-endian, as its client reads them."""

import struct
from enum import IntEnum
from typing import Any

from td3_hpc.simulator.geometry import Pose


class Refused(Exception):
    """A request that cannot be carried out; its text is what the client's RuntimeError says."""


class SensorType(IntEnum):
    """The sensor registry's numbers, which a stream's payload starts with."""

    COLLISION = 0
    DEPTH = 1
    GNSS = 4
    IMU = 5
    OBSTACLE = 7
    RGB = 13
    SEMANTIC = 14
    INSTANCE = 15
    WORLD = 17


HEADER = struct.Struct("<QQd6f")
"""Sensor type, frame, seconds, transform (x y z pitch yaw roll)."""
EPISODE = struct.Struct("<Qdf3iI")
"""Episode id, platform seconds, delta seconds, map origin, simulation state."""
MAP_CHANGE = 1
"""The simulation state of an episode's first step: clients then ask for the map again."""
IMAGE = struct.Struct("<IIf")
"""Width, height, field of view in degrees; then the pixels."""

_ACTOR = "<IB6f3f3f3f"  # id, state, transform, velocity, angular velocity, acceleration; then 54 bytes by kind
MOTION = struct.Struct(_ACTOR)
ACTOR = struct.Struct(_ACTOR + "54x")
VEHICLE = struct.Struct(_ACTOR + "3f3BifBBIB24x")
"""... throttle, steer, brake, hand brake, reverse, manual, gear, speed limit; light: state, any, id; failure."""
WALKER = struct.Struct(_ACTOR + "4fB37x")
"""... direction, speed, jump."""
TRAFFIC_LIGHT = struct.Struct("<32s4fI2B")
"""After `MOTION`: sign id, green, yellow, red and elapsed seconds, pole index, frozen, state."""
TRAFFIC_SIGN = struct.Struct("<32s22x")
"""After `MOTION`: sign id."""
ACTIVE = 1
"""The state of an actor that lives."""


def token(stream_id: int, port: int) -> bytes:
    """The 24 bytes that tell a client where to subscribe to a stream: at this port of the host that it knows."""
    return struct.pack("<IHBB16x", stream_id, port, 1, 0)


def transform_of(pose: Pose) -> list[list[float]]:
    """`[[x, y, z], [pitch, yaw, roll]]`."""
    return [[pose.x, pose.y, pose.z], [pose.pitch, pose.yaw, pose.roll]]


def bounding_box(
    centre: tuple[float, float, float], extent: tuple[float, float, float], yaw: float = 0.0, actor_id: int = 0
) -> list[Any]:
    """`BoundingBox`: centre and half sizes in metres, yaw in degrees."""
    return [list(centre), list(extent), [0.0, yaw, 0.0], actor_id]
