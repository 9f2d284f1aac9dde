"""Everything that exists in the world, and its state as the clients' snapshots hold it."""

import math
from dataclasses import dataclass, field
from typing import Any

from td3_hpc.simulator import wire
from td3_hpc.simulator.blueprints import VehicleModel
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.physics import Mechanics, VehiclePhysics, mechanics_of, standard_physics
from td3_hpc.simulator.towns.town import Ground

Vector = tuple[float, float, float]
AT_REST: Vector = (0.0, 0.0, 0.0)
GREEN = 2
_DEGREES = 180.0 / math.pi
_TAKES_OFF = 0.1
"""m/s by which a vehicle leaves the ground: less is the ground's own slope."""


@dataclass(eq=False, slots=True)
class Actor:
    """An actor: the spectator and props; the other kinds derive from it."""

    id: int
    type_id: str
    pose: Pose
    uid: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    """Every attribute of its blueprint."""
    attributes_sent: list[Any] = field(default_factory=list)
    """[id, type, value] of each, for clients."""
    extent: Vector = (0.0, 0.0, 0.0)
    """Half sizes of the bounding box, metres."""
    centre: Vector = (0.0, 0.0, 0.0)
    """Centre of the bounding box in the actor's frame, metres."""
    box_yaw: float = 0.0
    """Degrees by which the bounding box is turned in the actor's frame."""
    tags: bytes = b""
    """CityObjectLabels."""
    parent: "Actor | None" = None
    mount: Pose | None = None
    """Pose in the parent's frame, of an attached actor."""
    velocity: Vector = AT_REST
    """World frame, m/s."""
    acceleration: Vector = AT_REST
    """m/s²; gravity is not in it."""
    yaw_rate: float = 0.0
    """Radians a second, clockwise from above."""
    tilting: tuple[float, float] = (0.0, 0.0)
    """The turn about the world's x and y, radians a second: a vehicle's body on its springs."""
    simulates_physics: bool = False
    """Whether velocities, impulses and gravity move it."""
    gravity: bool = True
    collides: bool = True

    def halt(self) -> None:
        """Nothing of it moves any more."""
        self.velocity, self.acceleration, self.yaw_rate, self.tilting = AT_REST, AT_REST, 0.0, (0.0, 0.0)

    @property
    def speed(self) -> float:
        """Horizontal speed, m/s."""
        return math.hypot(self.velocity[0], self.velocity[1])

    def teleport(self, pose: Pose) -> None:
        """Move it at once; it keeps its velocity."""
        self.pose = pose

    def state(self) -> bytes:
        """Its 119 bytes of a snapshot."""
        return wire.ACTOR.pack(*self._motion())

    def bounding_box(self) -> list[Any]:
        """`BoundingBox` on the wire."""
        return wire.bounding_box(self.centre, self.extent, self.box_yaw, self.id)

    def _motion(self) -> tuple[float, ...]:
        return (
            self.id, wire.ACTIVE, *self.pose, *self.velocity, *self._turning(), *self.acceleration
        )  # fmt: skip

    def _turning(self) -> Vector:
        """Degrees a second."""
        x, y = self.tilting
        return x * _DEGREES, y * _DEGREES, self.yaw_rate * _DEGREES


@dataclass(eq=False, slots=True)
class Fixture(Actor):
    """What belongs to the town: it hardly ever moves, so the bytes of its motion are kept."""

    _kept: tuple[tuple[float, ...], bytes] = ((), b"")

    def _packed_motion(self) -> bytes:
        motion = self._motion()
        if motion != self._kept[0]:
            self._kept = motion, wire.MOTION.pack(*motion)
        return self._kept[1]


@dataclass(eq=False, slots=True)
class FrictionTrigger(Actor):
    """A box in which tyres have another friction."""

    friction: float = 0.0


@dataclass(slots=True)
class VehicleControl:
    """What a driver does, in the order of the wire; pedals 0 to 1, steering -1 (left) to 1."""

    throttle: float = 0.0
    steer: float = 0.0
    brake: float = 0.0
    hand_brake: bool = False
    reverse: bool = False
    manual_gear_shift: bool = False
    gear: int = 0
    """The one asked for; it counts with `manual_gear_shift`, and then more than `reverse`."""


@dataclass(slots=True)
class AckermannTarget:
    """What a client asks of the Ackermann controller."""

    steer: float
    """Angle of the front wheels, radians, positive to the right."""
    steer_speed: float
    """Radians a second; 0: at once."""
    speed: float
    """m/s, negative backwards."""
    acceleration: float
    """m/s²; 0: as the controller sees fit."""


@dataclass(eq=False, slots=True)
class Vehicle(Actor):
    """A vehicle; `pose` is the middle of its footprint, on the ground."""

    model: VehicleModel = field(default_factory=lambda: VehicleModel(4.79, 2.16, 1.49, 1840, 239))
    physics: VehiclePhysics = field(init=False)
    """Changed by `obey` alone."""
    mechanics: Mechanics = field(init=False)
    control: VehicleControl = field(default_factory=VehicleControl)
    ackermann: AckermannTarget | None = None
    ackermann_gains: tuple[float, ...] = (0.15, 0.0, 0.25, 0.01, 0.0, 0.01)
    """Speed kp ki kd, acceleration kp ki kd."""
    simulates_physics: bool = True
    constant_velocity: Vector | None = None
    """Vehicle frame, m/s."""
    lights: int = 0
    """VehicleLightState flags."""
    light_state: int = GREEN
    """State of the traffic light that it stands at; green where it stands at none."""
    light_id: int = 0
    gave_way_at: int | None = None
    """Which junction it has come to at a stop or yield sign, until it is across."""
    speed_limit_kmh: float = 30.0
    is_sticky: bool = True
    """Whether a control lasts until the next one; else it lasts one step."""
    is_commanded: bool = False
    """Whether a control has come since the last step."""
    wheel_angles: dict[tuple[str, int], float] = field(default_factory=dict)
    """Degrees about an axis ('steer', 'pitch') that a client gave a wheel, by its number, while physics was off."""
    ground: Ground | None = None
    """The surface below it after its last step; None after a teleport."""
    velocity_before: Vector = AT_REST
    """A step ago."""
    airborne: bool = False
    """Thrown up, and not come down yet."""
    gear: int = 1
    """The one engaged: -1 reverse, 0 neutral, 1 and up forward."""
    engine_speed: float = 0.0
    """Radians a second."""
    shifting_s: float = 0.0
    """Until the box has shifted."""
    tyre_force: tuple[float, float] = (0.0, 0.0)
    """In the last step, ahead and to the right, divided by the mass, m/s²."""
    lean: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """The body's on its springs: pitch (nose up) and its rate, roll (right side down) and its rate; rad and rad/s."""
    held_with: tuple[float, bool, bool, bool, int] | None = None
    """What of the control holds it, at rest altogether; None while anything moves."""
    friction_trigger: FrictionTrigger | None = None
    """The one that it is in."""
    outer_friction: tuple[float, ...] | None = None
    """Of its tyres, outside of the friction trigger."""

    def __post_init__(self) -> None:
        self.obey(standard_physics(self.model))

    def halt(self) -> None:
        """See `Actor`."""
        Actor.halt(self)
        self.velocity_before, self.engine_speed = AT_REST, 0.0

    @property
    def mass(self) -> float:
        """Kilograms."""
        return self.mechanics.mass

    def obey(self, physics: VehiclePhysics) -> None:
        """Move by these values from the next step on."""
        self.physics, self.mechanics, self.held_with = physics, mechanics_of(physics, self.model), None

    def state(self) -> bytes:
        held, gear = self.control, self.gear
        return wire.VEHICLE.pack(
            self.id, wire.ACTIVE, *self.pose, *self.velocity, *self._turning(), *self.acceleration,
            held.throttle, held.steer, held.brake, held.hand_brake, gear < 0,
            held.manual_gear_shift, gear, self.speed_limit_kmh, self.light_state, self.light_id != 0,
            self.light_id, 0,
        )  # fmt: skip

    def teleport(self, pose: Pose) -> None:
        """Move it at once, onto ground not known yet; it keeps its velocity."""
        self.pose, self.ground = pose, None

    def command(self, control: VehicleControl | None, ackermann: AckermannTarget | None = None) -> None:
        """Obey from the next step on."""
        self.control, self.ackermann, self.is_commanded = control or self.control, ackermann, True

    def take_off(self) -> None:
        """Leave the ground, where its velocity points away from it."""
        (vx, vy, vz), ground = self.velocity, self.ground
        along_ground = ground.slope_x * vx + ground.slope_y * vy if ground is not None else 0.0
        self.airborne = self.airborne or vz > max(along_ground, 0.0) + _TAKES_OFF


@dataclass(eq=False, slots=True)
class Walker(Actor):
    """A pedestrian, moved as its control says; `pose` is the middle of its body."""

    direction: Vector = (1.0, 0.0, 0.0)
    walking_speed: float = 0.0
    """m/s"""
    jump: bool = False
    stands: bool = False
    """Found to be on the ground, in the last step."""

    def teleport(self, pose: Pose) -> None:
        """Move it at once, to where it may fall from."""
        self.pose, self.stands = pose, False

    def state(self) -> bytes:
        return wire.WALKER.pack(*self._motion(), *self.direction, self.walking_speed, self.jump)


@dataclass(eq=False, slots=True)
class Sensor(Actor):
    """A sensor; it measures only while somebody listens."""

    stream_id: int = 0
    """0 for a sensor that the client computes."""
    due_s: float = 0.0
    """When it measures next, where it has a `sensor_tick`."""


@dataclass(eq=False, slots=True)
class TrafficLight(Fixture):
    """A traffic light; its box is its trigger volume."""

    signal_id: str = ""
    colour: int = 0
    """0 red, 1 yellow, 2 green, 3 off."""
    green_s: float = 10.0
    yellow_s: float = 3.0
    red_s: float = 2.0
    """How long all lights of the junction stay red after its turn."""
    frozen: bool = False
    elapsed_s: float = 0.0
    """Since its colour changed."""
    pole_index: int = 0

    def state(self) -> bytes:
        return self._packed_motion() + wire.TRAFFIC_LIGHT.pack(
            self.signal_id.encode()[:31], self.green_s, self.yellow_s, self.red_s, self.elapsed_s,
            self.pole_index, self.frozen, self.colour,
        )  # fmt: skip


@dataclass(eq=False, slots=True)
class TrafficSign(Fixture):
    """A stop, yield or speed-limit sign; its box is its trigger volume."""

    signal_id: str = ""

    def state(self) -> bytes:
        return self._packed_motion() + wire.TRAFFIC_SIGN.pack(self.signal_id.encode()[:31])
