"""Where the ego is and how it moves."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EgoState:
    """The ego in one snapshot: metres, degrees, m/s."""

    x: float
    y: float
    z: float
    yaw: float
    velocity: tuple[float, float]
    speed: float
    """Forward; negative backwards."""


def ego_state(actor: Any) -> EgoState:
    """From the ego's `carla.ActorSnapshot`."""
    transform, velocity = actor.get_transform(), actor.get_velocity()
    place, yaw = transform.location, transform.rotation.yaw
    forward = velocity.x * math.cos(math.radians(yaw)) + velocity.y * math.sin(math.radians(yaw))
    return EgoState(place.x, place.y, place.z, yaw, (velocity.x, velocity.y), forward)
