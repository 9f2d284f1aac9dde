"""What the functions of the RPC table work on, and checks of what clients send."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from td3_hpc.simulator import wire
from td3_hpc.simulator.actors import Actor, Vector
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.wire import Refused
from td3_hpc.simulator.world import World

FARTHEST = 1e6
"""Largest coordinate, velocity and so on that is taken: far beyond any town, far within a float32."""

ActorKind = TypeVar("ActorKind", bound=Actor)


class Service:
    """A world, and where its streams and towns are."""

    def __init__(self, world: World, port: int, maps: Path | None) -> None:
        """`port` is the RPC port; streams have the next one."""
        self.world = world
        self.maps = maps
        self._port = port

    def token(self, stream_id: int) -> bytes:
        """Where to subscribe to a stream; empty for an actor without one."""
        return wire.token(stream_id, self._port + 1) if stream_id else b""

    def describe(self, actor: Actor) -> list[Any]:
        """`Actor` on the wire, with the token of a sensor."""
        return self.world.describe(actor, self.token(getattr(actor, "stream_id", 0)))

    def find(self, actor_id: int, kind: type[ActorKind]) -> ActorKind:
        """An actor of a kind. Raises Refused where there is none."""
        actor = self.world.population.by_id.get(actor_id)
        if not isinstance(actor, kind):
            raise Refused(f"actor {actor_id} not found, or it is no {kind.__name__.lower()}")
        return actor


def finite(numbers: Sequence[float], what: str) -> tuple[float, ...]:
    """Numbers as floats. Raises Refused for NaN, infinity and what is absurdly large."""
    if not all(math.isfinite(number) and abs(number) <= FARTHEST for number in numbers):
        raise Refused(f"{what} must be finite numbers of at most {FARTHEST:g}, not {list(numbers)}")
    return tuple(float(number) for number in numbers)


def vector(numbers: Sequence[float], what: str) -> Vector:
    """A Vector3D or Location. Raises Refused."""
    x, y, z = finite(numbers[:3], what)
    return x, y, z


def pose_of(transform: Sequence[Sequence[float]]) -> Pose:
    """The pose of a Transform, `[[x, y, z], [pitch, yaw, roll]]`. Raises Refused."""
    return Pose(*vector(transform[0], "a location"), *vector(transform[1], "a rotation"))
