"""What moves a vehicle: the values of CARLA's `VehiclePhysicsControl`, each model's own, and what follows from them.

Values that a client gives take the place of the model's own; the vehicle obeys them from the next step on.
"""

import itertools
import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from td3_hpc.simulator.blueprints import VehicleModel

Points = tuple[tuple[float, float], ...]
GRAVITY = 9.81
ROAD_TIRE_FRICTION, ROAD_GRIP = 3.5, 0.92
"""CARLA gives every vehicle tyres of friction 3.5; here that is an ordinary tyre on a dry road, of coefficient 0.92."""
WHEELBASE_SHARE, HALF_TRACK_SHARE = 0.6, 0.4
"""Of a vehicle's length and width; its axles lie symmetrically."""
CENTRE_HEIGHT_SHARE = 0.37
"""Height of the centre of mass above the ground, of a vehicle's height, without an offset."""
STEERING_SHARE = 0.5
"""Of the lock that the bicycle model's one front wheel turns by at full steer: the inner wheel turns farther than the
outer one, and both slip."""
REVERSE_SHARE = 0.6
"""Traction in reverse, of that in the first gear."""
AIR_DENSITY = 1.2
SPRING_HZ, DAMPING, ANTI_ROLL = 1.4, 0.4, 2.0
"""Of the body on its springs: its frequency and damping ratio; how much stiffer bars make the springs against roll."""

_DRIVE_EFFICIENCY = 0.85  # Share of the engine's power that reaches the road.
_POWER_AT = 0.75  # Engine speed of the highest power, of the highest speed.
_GEAR_STEP = 1.45  # From each gear to the next.
_FULL_BRAKING, _FRONT_BRAKES = 1.1, 0.64  # g at full brake; the front wheels' share.
_HAND_BRAKING = 5.0  # m/s², as far as the rear tyres hold.
_FINAL_RATIO = 4.0


class _Kind(NamedTuple):
    """What vehicles of a base type have in common."""

    launch: float
    """m/s² at full throttle in the first gear."""
    max_rpm: float
    radius_cm: float
    gear_switch_time: float
    """Seconds."""


_KINDS = {
    "car": _Kind(5.3, 6000.0, 36.0, 0.2),
    "van": _Kind(3.9, 4500.0, 36.0, 0.3),
    "truck": _Kind(2.8, 2500.0, 50.0, 0.4),
    "bus": _Kind(2.2, 2500.0, 50.0, 0.4),
    "motorcycle": _Kind(6.4, 9500.0, 30.0, 0.1),
    "bicycle": _Kind(1.7, 110.0, 34.0, 0.0),
}
_ELECTRIC_RPM = 14000.0


class Wheel(NamedTuple):
    """`WheelPhysicsControl` without its position."""

    tire_friction: float
    damping_rate: float
    """N m s."""
    max_steer_angle: float
    """Degrees."""
    radius: float
    """Centimetres."""
    max_brake_torque: float
    """N m."""
    max_handbrake_torque: float
    lat_stiff_max_load: float
    lat_stiff_value: float
    """Cornering stiffness of its load, 1/rad."""
    long_stiff_value: float
    """Force at a slip of 1, of gravity, kg."""


class Gear(NamedTuple):
    """`GearPhysicsControl`: the box shifts down and up at these shares of the highest engine speed."""

    ratio: float
    down_ratio: float
    up_ratio: float


@dataclass(frozen=True, slots=True)
class VehiclePhysics:
    """`VehiclePhysicsControl`, in the order of the wire."""

    torque_curve: Points
    """Engine speed in rpm, torque in N m."""
    max_rpm: float
    moi: float
    """The engine's moment of inertia, kg m²."""
    damping_rate_full_throttle: float
    """N m s, as both others."""
    damping_rate_zero_throttle_clutch_engaged: float
    damping_rate_zero_throttle_clutch_disengaged: float
    use_gear_autobox: bool
    gear_switch_time: float
    """Seconds."""
    clutch_strength: float
    """N m s."""
    final_ratio: float
    forward_gears: tuple[Gear, ...]
    mass: float
    """Kilograms."""
    drag_coefficient: float
    center_of_mass: tuple[float, float, float]
    """Its offset from where the model has it, metres: forward, right, up."""
    steering_curve: Points
    """Speed in km/h, and how much of the steering remains."""
    wheels: tuple[Wheel, ...]
    """Front left, front right, rear left, rear right; two-wheelers have four too, as in CARLA."""
    use_sweep_wheel_collision: bool


@cache
def standard_physics(model: VehicleModel) -> VehiclePhysics:
    """A model's own, from its power, mass and kind."""
    kind, power = _KINDS[model.base_type], 1000.0 * _DRIVE_EFFICIENCY * model.power_kw
    top = 1.05 * (power / (0.15 * AIR_DENSITY * model.width * model.height)) ** (1.0 / 3.0)  # m/s, with a drag of 0.3
    if model.special == "electric":
        max_rpm, full = _ELECTRIC_RPM, model.mass * kind.launch
        fastest = max_rpm * math.pi / 30.0
        torque, gears = full * top / fastest, [fastest / top]
        base = power / torque / fastest  # engine speed from which on power limits it, of the highest
        shares = [base + (1.0 - base) * part / 5.0 for part in range(6)]
        curve = [(0.0, 1.0), *((share, base / share) for share in shares)]
    else:
        max_rpm = kind.max_rpm
        fastest = max_rpm * math.pi / 30.0
        torque, gears = power / (_POWER_AT * fastest), []
        curve = [(0.0, 0.9), (0.25, 1.0), (_POWER_AT, 1.0), (1.0, 0.75)]
        first = model.mass * kind.launch / torque
        while not gears or fastest / gears[-1] < top:
            gears.append(first / _GEAR_STEP ** len(gears))
    rates = torque / fastest
    return VehiclePhysics(
        torque_curve=tuple((round(share * max_rpm, 1), round(part * torque, 1)) for share, part in curve),
        max_rpm=max_rpm,
        moi=round(0.1 * rates, 4),
        damping_rate_full_throttle=round(0.01 * rates, 4),
        damping_rate_zero_throttle_clutch_engaged=round(0.08 * rates, 4),
        damping_rate_zero_throttle_clutch_disengaged=round(0.08 * rates, 4),
        use_gear_autobox=True,
        gear_switch_time=kind.gear_switch_time if len(gears) > 1 else 0.0,
        clutch_strength=round(100.0 * rates, 2),
        final_ratio=_FINAL_RATIO,
        forward_gears=tuple(
            Gear(round(per_metre * kind.radius_cm / 100.0 / _FINAL_RATIO, 3), 0.47, 0.9) for per_metre in gears
        ),
        mass=float(model.mass),
        drag_coefficient=0.3,
        center_of_mass=(0.0, 0.0, 0.0),
        steering_curve=((0.0, 1.0), (20.0, 0.9), (60.0, 0.8), (120.0, 0.7)),
        wheels=_standard_wheels(model, kind),
        use_sweep_wheel_collision=False,
    )


def _standard_wheels(model: VehicleModel, kind: _Kind) -> tuple[Wheel, ...]:
    radius = kind.radius_cm / 100.0
    wheels = []
    for share, lock, held in ((_FRONT_BRAKES, 70.0, 0.0), (1.0 - _FRONT_BRAKES, 0.0, 0.5 * _HAND_BRAKING)):
        brake = round(0.5 * share * _FULL_BRAKING * GRAVITY * model.mass * radius, 1)
        damping, stiffness = round(0.000375 * model.mass * radius**2, 4), 1.5 * model.mass
        hand = round(held * model.mass * radius, 1)
        wheels += [Wheel(ROAD_TIRE_FRICTION, damping, lock, kind.radius_cm, brake, hand, 2.0, 17.0, stiffness)] * 2
    return tuple(wheels)


def wheelbase(model: VehicleModel) -> float:
    """Distance of the axles, metres."""
    return WHEELBASE_SHARE * model.length


class Segment(NamedTuple):
    """A piece of a curve of straight lines."""

    end: float
    start: float
    value: float
    """At its start."""
    slope: float


def segments(points: Points, scale: float) -> tuple[Segment, ...]:
    """Of a curve whose arguments are multiplied by `scale`; beyond its ends it is level."""
    ends = [(x * scale, y) for x, y in points]
    found = [Segment(ends[0][0], ends[0][0], ends[0][1], 0.0)]
    found += [Segment(b, a, low, (high - low) / (b - a)) for (a, low), (b, high) in itertools.pairwise(ends)]
    return (*found, Segment(math.inf, ends[-1][0], ends[-1][1], 0.0))


def value_at(curve: tuple[Segment, ...], x: float) -> float:
    """The curve's value."""
    for end, start, value, slope in curve:
        if x <= end:
            return value + (x - start) * slope
    raise ValueError(f"no curve has a value at {x}")


@dataclass(frozen=True, slots=True)
class Mechanics:
    """What the dynamics compute with, in SI units; "of the mass" is a force divided by it, m/s²."""

    mass: float
    torque: tuple[Segment, ...]
    """N m of radians a second."""
    fastest: float
    """The highest engine speed, rad/s."""
    moi: float
    damping_full: float
    damping_released: float
    damping_neutral: float
    clutch: float
    autobox: bool
    switch_time: float
    turns: tuple[float, ...]
    """Of the engine, radians a metre, by gear, from reverse on."""
    shifts: tuple[tuple[float, float], ...]
    """Engine speeds below and above which the box shifts, rad/s, by gear, from the first on."""
    slip_force: float
    """Of all tyres at a slip of 1, N."""
    air: float
    """Drag of the mass at 1 m/s."""
    rolling: float
    """Of the wheels' bearings, of the mass at 1 m/s."""
    steering: tuple[Segment, ...]
    """How much of the steering remains, of a speed in m/s."""
    lock: float
    """Angle of the bicycle model's front wheel at full steer and no speed, radians."""
    wheelbase: float
    understeer: float
    """By which the wheelbase seems longer, m per (m/s)²."""
    grips: tuple[float, float, float, float]
    """Coefficients of friction of the wheels."""
    even_grip: bool
    shares: tuple[float, float, float, float]
    """Of the weight, that each wheel carries at rest."""
    dive: float
    """Load that each rear wheel gains and each front wheel loses, of the mass, with an acceleration of 1 m/s²."""
    sway: float
    """The same for left and right, to the right."""
    brakes: tuple[float, float, float, float]
    """Of the mass, at full brake."""
    hand_brakes: tuple[float, float, float, float]
    pitch: float
    """Nose up, with an acceleration of 1 m/s², radians."""
    roll: float
    """Right side up, with an acceleration of 1 m/s² to the right, radians."""
    spring_rate: float
    """Of the body's pitch, rad/s; its roll is stiffer by ANTI_ROLL."""


@lru_cache(maxsize=4096)
def mechanics_of(physics: VehiclePhysics, model: VehicleModel) -> Mechanics:
    """What follows from a vehicle's values."""
    mass, wheels, base = physics.mass, physics.wheels, wheelbase(model)
    radii = [wheel.radius / 100.0 for wheel in wheels]
    radius = sum(radii) / 4.0
    ratios = [gear.ratio * physics.final_ratio / radius for gear in physics.forward_gears]
    fastest = physics.max_rpm * math.pi / 30.0
    grips = [ROAD_GRIP / ROAD_TIRE_FRICTION * wheel.tire_friction for wheel in wheels]
    ahead, right, up = physics.center_of_mass
    track, height = 2.0 * HALF_TRACK_SHARE * model.width, CENTRE_HEIGHT_SHARE * model.height + up
    front, left = min(1.0, max(0.0, 0.5 + ahead / base)), min(1.0, max(0.0, 0.5 - right / track))
    stiff = [0.5 * (wheels[at].lat_stiff_value + wheels[at + 1].lat_stiff_value) for at in (0, 2)]
    spring = (2.0 * math.pi * SPRING_HZ) ** 2 * model.mass / mass
    leans = 0.0 if model.wheels == 2 else 1.0  # riders keep their balance
    return Mechanics(
        mass=mass,
        torque=segments(physics.torque_curve, math.pi / 30.0),
        fastest=fastest,
        moi=physics.moi,
        damping_full=physics.damping_rate_full_throttle,
        damping_released=physics.damping_rate_zero_throttle_clutch_engaged,
        damping_neutral=physics.damping_rate_zero_throttle_clutch_disengaged,
        clutch=physics.clutch_strength,
        autobox=physics.use_gear_autobox,
        switch_time=physics.gear_switch_time,
        turns=(-REVERSE_SHARE * ratios[0], 0.0, *ratios),
        shifts=tuple((gear.down_ratio * fastest, gear.up_ratio * fastest) for gear in physics.forward_gears),
        slip_force=GRAVITY * sum(wheel.long_stiff_value for wheel in wheels),
        air=0.5 * AIR_DENSITY * physics.drag_coefficient * model.width * model.height / mass,
        rolling=sum(wheel.damping_rate / r**2 for wheel, r in zip(wheels, radii)) / mass,
        steering=segments(physics.steering_curve, 1.0 / 3.6),
        lock=STEERING_SHARE * math.radians(0.5 * (wheels[0].max_steer_angle + wheels[1].max_steer_angle)),
        wheelbase=base,
        understeer=(1.0 / stiff[0] - 1.0 / stiff[1]) / GRAVITY,
        grips=(grips[0], grips[1], grips[2], grips[3]),
        even_grip=len(set(grips)) == 1,
        shares=(front * left, front * (1.0 - left), (1.0 - front) * left, (1.0 - front) * (1.0 - left)),
        dive=0.5 * height / base,
        sway=leans * 0.5 * height / track,
        brakes=_by_wheel([wheel.max_brake_torque / r / mass for wheel, r in zip(wheels, radii)]),
        hand_brakes=_by_wheel([wheel.max_handbrake_torque / r / mass for wheel, r in zip(wheels, radii)]),
        pitch=4.0 * height / (spring * base**2),
        roll=leans * 4.0 * height / (ANTI_ROLL * spring * track**2),
        spring_rate=math.sqrt(spring),
    )


def _by_wheel(values: list[float]) -> tuple[float, float, float, float]:
    front_left, front_right, rear_left, rear_right = values
    return front_left, front_right, rear_left, rear_right
