"""Everything that exists in the world."""

import math
from dataclasses import dataclass, field
from typing import Any

from td3_hpc.simulator.blueprints import VehicleModel
from td3_hpc.simulator.geometry import Pose

RELEASED = (0.0, 0.0, 0.0, False, False, False, 0)
"""VehicleControl with nothing pressed: throttle, steer, brake, hand brake, reverse, manual gear shift, gear."""


@dataclass(eq=False)
class Actor:
    """An actor: sensors, the spectator, props; vehicles, walkers, lights and signs are kinds of their own."""

    id: int
    type_id: str
    uid: int
    attributes: list[Any]
    """[id, type, value] of each, as the client sent them."""
    pose: Pose
    extent: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Half sizes of the bounding box, metres."""
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Centre of the bounding box in the actor's frame, metres."""
    tags: bytes = b""
    parent: "Actor | None" = None
    mount: Pose | None = None
    """Pose in the parent's frame, of an attached actor."""
    stream_id: int = 0
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """World frame, m/s."""
    acceleration: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw_rate: float = 0.0
    """Degrees a second."""

    def attribute(self, name: str, default: str) -> str:
        """The value of a blueprint's attribute."""
        return next((item[2] for item in self.attributes if item[0] == name), default)

    @property
    def speed(self) -> float:
        """Horizontal speed, m/s."""
        return math.hypot(self.velocity[0], self.velocity[1])


@dataclass(eq=False)
class Vehicle(Actor):
    """A vehicle; `pose` is the middle of its footprint, on the ground."""

    model: VehicleModel = field(default_factory=lambda: VehicleModel(4.79, 2.16, 1.49, 1840, 239))
    control: tuple[Any, ...] = RELEASED
    simulates_physics: bool = True
    collides: bool = True
    gravity: bool = True
    constant_velocity: tuple[float, float, float] | None = None
    """Vehicle frame, m/s."""
    lights: int = 0
    light_state: int = 2
    """State of the traffic light that it stands at; green where it stands at none."""
    light_id: int = 0
    speed_limit_kmh: float = 30.0
    physics: list[Any] | None = None
    """VehiclePhysicsControl that the client set."""
    touching: frozenset[int] = frozenset()
    """Ids that it touched in the last tick; 0 stands for scenery."""


@dataclass(eq=False)
class Walker(Actor):
    """A pedestrian, moved as its control says."""

    direction: tuple[float, float, float] = (1.0, 0.0, 0.0)
    walking_speed: float = 0.0
    jump: bool = False


@dataclass(eq=False)
class TrafficLight(Actor):
    """A traffic light; its box is its trigger volume."""

    signal_id: str = ""
    state: int = 0
    green_s: float = 10.0
    yellow_s: float = 3.0
    red_s: float = 2.0
    frozen: bool = False
    elapsed: float = 0.0
    pole_index: int = 0


@dataclass(eq=False)
class TrafficSign(Actor):
    """A stop, yield or speed-limit sign."""

    signal_id: str = ""
