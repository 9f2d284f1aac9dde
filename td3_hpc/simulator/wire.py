"""The packed and msgpack shapes of CARLA 0.9.16's wire protocol, little-endian, as its client reads them."""

import socket
import struct
from enum import IntEnum
from typing import Any

from td3_hpc.simulator.geometry import Pose

VERSION = "0.9.16"


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


#: Sensor type, frame, timestamp, transform (x y z pitch yaw roll).
HEADER = struct.Struct("<QQd6f")
#: Episode id, platform timestamp, delta seconds, map origin, simulation state.
EPISODE = struct.Struct("<Qdf3iI")
#: Actor id, state, transform, velocity, angular velocity, acceleration.
ACTOR = struct.Struct("<IB6f3f3f3f")
#: Throttle, steer, brake, hand brake, reverse, manual, gear, speed limit, light state, has light, light id, failure.
VEHICLE = struct.Struct("<3f3BifBBIB")
#: Sign id, green, yellow, red and elapsed seconds, pole index, frozen, state.
TRAFFIC_LIGHT = struct.Struct("<32s4fI2B")
WALKER = struct.Struct("<4fB")
#: Width, height, field of view.
IMAGE = struct.Struct("<IIf")
ACTOR_STATE_BYTES = 119
ACTIVE = 1

SUCCESS = [[False]]


def value(result: Any) -> list[Any]:
    """A successful `Response<T>`."""
    return [[1, result]]


def error(message: str) -> list[Any]:
    """A failed `Response<T>`: RuntimeError(message) in the client."""
    return [[0, [message]]]


def void_error(message: str) -> list[Any]:
    """A failed `Response<void>`."""
    return [[True, [message]]]


def token(stream_id: int, host: str, port: int) -> bytes:
    """The 24 bytes that tell a client where to subscribe to a stream."""
    return struct.pack("<IHBB", stream_id, port, 1, 1) + socket.inet_aton(host) + bytes(12)


def pose_of(transform: Any) -> Pose:
    """A Pose from `[[x, y, z], [pitch, yaw, roll]]`."""
    (x, y, z), (pitch, yaw, roll) = transform
    return Pose(float(x), float(y), float(z), float(pitch), float(yaw), float(roll))


def transform_of(pose: Pose) -> list[list[float]]:
    """`[[x, y, z], [pitch, yaw, roll]]` from a Pose."""
    return [[pose.x, pose.y, pose.z], [pose.pitch, pose.yaw, pose.roll]]
