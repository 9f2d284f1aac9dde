"""CARLA's `VehiclePhysicsControl` on the wire: told, and checked and taken."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from td3_hpc.simulator.actors import Vehicle
from td3_hpc.simulator.physics import HALF_TRACK_SHARE, Gear, VehiclePhysics, Wheel, wheelbase
from td3_hpc.simulator.rpc.service import finite, vector
from td3_hpc.simulator.wire import Refused

_FIELDS = VehiclePhysics.__slots__
_LIMITS: dict[str, tuple[float, float]] = {
    "max_rpm": (1.0, 1e5),
    "moi": (1e-6, 1e4),
    "damping_rate_full_throttle": (0.0, 1e4),
    "damping_rate_zero_throttle_clutch_engaged": (0.0, 1e4),
    "damping_rate_zero_throttle_clutch_disengaged": (0.0, 1e4),
    "gear_switch_time": (0.0, 60.0),
    "clutch_strength": (0.0, 1e6),
    "final_ratio": (1e-3, 1e3),
    "mass": (1.0, 1e6),
    "drag_coefficient": (0.0, 1e3),
    "tire_friction": (0.0, 1e3),
    "damping_rate": (0.0, 1e4),
    "max_steer_angle": (0.0, 85.0),
    "radius": (1.0, 1e3),
    "max_brake_torque": (0.0, 1e6),
    "max_handbrake_torque": (0.0, 1e6),
    "lat_stiff_value": (1e-3, 1e6),
    "long_stiff_value": (0.0, 1e7),
    "ratio": (1e-3, 1e3),
}
"""Between which values of a field the dynamics make sense."""
_WHEELS = 4
_FRONT = 2
_MOST_POINTS = 64


def physics_of(vehicle: Vehicle) -> list[Any]:
    """VehiclePhysicsControl as it is in force; positions of wheels in centimetres in the world."""
    physics = vehicle.physics
    told: list[Any] = [getattr(physics, name) for name in _FIELDS]
    places = _places(vehicle)
    told[_FIELDS.index("wheels")] = [[*wheel, place] for wheel, place in zip(physics.wheels, places)]
    return told


def set_physics(vehicle: Vehicle, physics: list[Any]) -> None:
    """Have the vehicle obey a physics control. Raises Refused where a field cannot be obeyed: then nothing is taken."""
    if len(physics) < len(_FIELDS):
        raise Refused(f"apply_physics_control: a physics control has {len(_FIELDS)} fields, not {len(physics)}")
    given = dict(zip(_FIELDS, physics))
    taken: dict[str, Any] = {name: _number(name, value) for name, value in given.items() if name in _LIMITS}
    taken |= {name: bool(given[name]) for name in ("use_gear_autobox", "use_sweep_wheel_collision")}
    taken |= {name: _curve(name, given[name]) for name in ("torque_curve", "steering_curve")}
    taken["center_of_mass"] = vector(given["center_of_mass"], "a centre of mass")
    taken["forward_gears"] = _gears(given["forward_gears"])
    taken["wheels"] = _wheels(vehicle.physics.wheels, given["wheels"])
    vehicle.obey(VehiclePhysics(**taken))


def _number(name: str, value: Any, where: str = "") -> float:
    (number,) = finite([value], f"{where}{name}")
    low, high = _LIMITS[name]
    if not low <= number <= high:
        raise Refused(f"apply_physics_control: {where}{name} is {number:g}, not between {low:g} and {high:g}")
    return number


def _curve(name: str, points: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    """Points of rising argument."""
    pairs = [finite(point[:2], name) for point in points]
    if not 0 < len(pairs) <= _MOST_POINTS or any(low[0] >= high[0] for low, high in itertools.pairwise(pairs)):
        raise Refused(f"apply_physics_control: {name} has no points, over {_MOST_POINTS}, or not in rising order")
    if any(y < 0.0 for _, y in pairs):
        raise Refused(f"apply_physics_control: {name} falls below 0")
    return tuple((x, y) for x, y in pairs)


def _gears(gears: Sequence[Sequence[float]]) -> tuple[Gear, ...]:
    if not 0 < len(gears) <= _MOST_POINTS:
        raise Refused(f"apply_physics_control: forward_gears has {len(gears)} gears, not 1 to {_MOST_POINTS}")
    taken = []
    for number, gear in enumerate(gears):
        where = f"forward_gears[{number}]."
        _, down, up = finite(gear[:3], where)
        taken.append(Gear(_number("ratio", gear[0], where), down, up))
    return tuple(taken)


def _wheels(present: Sequence[Wheel], wheels: Sequence[Sequence[Any]]) -> tuple[Wheel, ...]:
    """Raises Refused for the fields that the dynamics do not obey, where they differ from those in force."""
    if len(wheels) != _WHEELS:
        raise Refused(f"apply_physics_control: a vehicle has {_WHEELS} wheels, not {len(wheels)}")
    taken, idle = [], []
    for number, (now, given) in enumerate(zip(present, wheels)):
        where = f"wheels[{number}]."
        fields = dict(zip(Wheel._fields, given))
        fixed = ["lat_stiff_max_load", *(["max_steer_angle"] if number >= _FRONT else [])]
        idle += [where + name for name in fixed if not _equal(fields[name], getattr(now, name))]
        numbers = {name: _number(name, value, where) for name, value in fields.items() if name in _LIMITS}
        taken.append(now._replace(**numbers))
    if idle:
        raise Refused(
            f"apply_physics_control: this simulator's vehicles do not obey {', '.join(idle)}; nothing is changed"
        )
    return tuple(taken)


def _equal(a: float, b: float) -> bool:
    """Equal but for the rounding of float32, in which clients hold numbers."""
    return math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-6)


def _places(vehicle: Vehicle) -> list[list[float]]:
    """Of the middle of each wheel; two-wheelers have four, as in CARLA, where they are cars with narrow tracks."""
    half_base, half_track = wheelbase(vehicle.model) / 2, half_track_of(vehicle)
    places = []
    for wheel, (ahead, right) in zip(
        vehicle.physics.wheels,
        ((half_base, -half_track), (half_base, half_track), (-half_base, -half_track), (-half_base, half_track)),
    ):
        place = vehicle.pose.ahead(ahead, right)
        places.append([place.x * 100, place.y * 100, place.z * 100 + wheel.radius])
    return places


def half_track_of(vehicle: Vehicle) -> float:
    """From the middle of an axle to a wheel, metres."""
    return HALF_TRACK_SHARE * vehicle.model.width
