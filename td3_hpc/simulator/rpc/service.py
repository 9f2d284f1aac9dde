"""What the functions of the RPC table work on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from td3_hpc.simulator import wire
from td3_hpc.simulator.actors import Actor
from td3_hpc.simulator.world import World


class Service:
    """A world, and where its streams and towns are."""

    def __init__(self, world: World, host: str, port: int, maps: Path | None) -> None:
        self.world = world
        self.host, self.port, self.maps = host, port, maps

    def token(self, stream_id: int) -> bytes:
        """Where to subscribe to a stream; empty for an actor without one."""
        return wire.token(stream_id, self.host, self.port + 1) if stream_id else b""

    def describe(self, actor: Actor) -> list[Any]:
        return self.world.describe(actor, self.token(actor.stream_id))

    def change(self, actor_id: int, kind: type[Any], change: Callable[[Any], None]) -> list[Any]:
        """Apply a change to an actor of a kind; the answer of a function that returns nothing."""
        actor = self.world.actors.get(actor_id)
        if not isinstance(actor, kind):
            return wire.void_error(f"actor {actor_id} not found, or not a {kind.__name__.lower()}")
        change(actor)
        return wire.SUCCESS

    def read(self, actor_id: int, kind: type[Any], read: Callable[[Any], Any]) -> list[Any]:
        """The answer of a function that tells something of an actor of a kind."""
        actor = self.world.actors.get(actor_id)
        if not isinstance(actor, kind):
            return wire.error(f"actor {actor_id} not found, or not a {kind.__name__.lower()}")
        return wire.value(read(actor))
