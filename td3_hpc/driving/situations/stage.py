"""A situation in the simulator: its actors, moved along their paths with every tick.

Cars are moved by `set_transform`, without physics, so that what they do is exact on any simulator; who runs into one
runs into something that does not give way. Walkers walk, led by `WalkerControl`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import carla
import numpy as np

from td3_hpc.config.environment import SituationKind
from td3_hpc.driving.blueprints import half_sizes, paint
from td3_hpc.driving.route import Route
from td3_hpc.driving.sensors import CollisionSensor
from td3_hpc.driving.situations.crossroads import find_crossroads
from td3_hpc.driving.situations.drawing import draw_roles
from td3_hpc.driving.situations.role import Motion, Role
from td3_hpc.errors import UserError

CAR, WALKER = "vehicle.tesla.model3", "walker.pedestrian.*"
_STREAM = 0x5E7  # of the generator that an episode's situation is drawn from
_LIFTS_M = (0.5, 1.0)  # above the road, where an actor is spawned
_ABOVE_SCENERY_M = 40.0  # a car that waits beside the road, where something stands, is spawned above and put in place


@dataclass
class _Player:
    """An actor of the world and its role."""

    actor: Any
    motion: Motion


class Stage:
    """The situation of one episode, or none."""

    def __init__(
        self, world: Any, kind: SituationKind | None, roles: Sequence[Role], generator: np.random.Generator
    ) -> None:
        """Spawn the actors, in the roles' order. Raises UserError where a place is taken."""
        self.kind = kind
        self._players = [_spawn(world, role, generator) for role in roles]

    @property
    def actors(self) -> list[Any]:
        """Those that are there, in order."""
        return [player.actor for player in self._players]

    def told(self, collisions: CollisionSensor) -> dict[str, str | None]:
        """What an episode's summary says of it, and of what the ego ran into; nothing where there is no situation."""
        return {"situation": self.kind, "contact": collisions.touched()} if self.kind else {}

    def tick(self, ego_front: float, seconds: float, remove: Callable[[Any], None]) -> None:
        """Before the world's tick of so many seconds: what everybody does in it. `remove` is called with an actor that
        has come to its path's end. ego_front: metres along the route to the ego's front."""
        for player in list(self._players):
            if player.motion.role.actor == "walker":
                _walk(player, ego_front, seconds)
            else:
                player.motion.advance(ego_front, seconds)
                player.actor.set_transform(_transform(player.motion))
            if player.motion.gone:
                self._players.remove(player)
                remove(player.actor)


def set_stage(
    world: Any, carla_map: Any, route: Route, kinds: Sequence[SituationKind], seed: int, number: int | None
) -> Stage:
    """The situation of the episode with this seed, spawned: of the held-out route `number` the kind is fixed, else it
    is drawn. Its generator is its own: all else in the episode is as without it."""
    generator = np.random.default_rng((seed, _STREAM))
    if not kinds:
        return Stage(world, None, [], generator)
    kind = kinds[int(generator.integers(len(kinds))) if number is None else number % len(kinds)]
    roles = draw_roles(kind, route, find_crossroads(carla_map, route), generator)
    return Stage(world, kind, roles, generator)


def _spawn(world: Any, role: Role, generator: np.random.Generator) -> _Player:
    library = world.get_blueprint_library()
    found = sorted(library.filter(CAR if role.actor == "car" else WALKER), key=lambda item: item.id)
    blueprint = found[int(generator.integers(len(found)))]
    paint(blueprint, generator)
    x, y, z, pitch, yaw = role.path.at(role.start)
    for lift in (*_LIFTS_M, _ABOVE_SCENERY_M) if role.actor == "car" else _LIFTS_M:
        place = carla.Transform(carla.Location(x, y, z + lift), carla.Rotation(pitch, yaw, 0.0))
        actor = world.try_spawn_actor(blueprint, place)
        if actor is not None:
            player = _Player(actor, Motion(role, half_sizes(actor)[0]))
            if role.actor == "car":
                actor.set_simulate_physics(False)
                actor.set_transform(_transform(player.motion))
            return player
    raise UserError(f"situation: {blueprint.id} cannot be spawned at x={x:.1f} y={y:.1f}: the place is taken")


def _transform(motion: Motion) -> Any:
    x, y, z, pitch, yaw = motion.role.path.at(motion.along)
    return carla.Transform(carla.Location(x, y, z), carla.Rotation(pitch, yaw, 0.0))


def _walk(player: _Player, ego_front: float, seconds: float) -> None:
    """Lead a walker along its path, which is straight."""
    motion = player.motion
    x, y, _, _, yaw = motion.role.path.at(0.0)
    forward = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    place = player.actor.get_location()
    motion.along = (place.x - x) * forward[0] + (place.y - y) * forward[1]
    speed = motion.wanted(ego_front, seconds)
    player.actor.apply_control(carla.WalkerControl(carla.Vector3D(*forward, 0.0), speed, False))
