"""CARLA's `VehiclePhysicsControl`: what the dynamics take of it, and what describes a vehicle of that size."""

import itertools
import math
from typing import Any

from td3_hpc.simulator.actors import FORWARD_GEARS, Vehicle
from td3_hpc.simulator.rpc.service import finite
from td3_hpc.simulator.vehicle import wheelbase
from td3_hpc.simulator.wire import Refused

_FIELDS = (
    "torque_curve", "max_rpm", "moi", "damping_rate_full_throttle", "damping_rate_zero_throttle_clutch_engaged",
    "damping_rate_zero_throttle_clutch_disengaged", "use_gear_autobox", "gear_switch_time", "clutch_strength",
    "final_ratio", "forward_gears", "mass", "drag_coefficient", "center_of_mass", "steering_curve", "wheels",
    "use_sweep_wheel_collision",
)  # fmt: skip
_WHEEL_FIELDS = (
    "tire_friction", "damping_rate", "max_steer_angle", "radius", "max_brake_torque", "max_handbrake_torque",
    "lat_stiff_max_load", "lat_stiff_value", "long_stiff_value", "position",
)  # fmt: skip
_MASS, _DRAG, _STEERING_CURVE, _WHEELS, _SWEEP = 11, 12, 14, 15, 16
_OBEYED = (_MASS, _DRAG, _STEERING_CURVE, _WHEELS, _SWEEP)
"""Whether wheels are swept makes no difference on ground as smooth as this one; the wheels are looked at one by one."""
_LOCK, _POSITION = 2, 9
TIRE_FRICTION, RADIUS_CM = 3.5, 36.0
_HALF_TRACK_SHARE = 0.4


def physics_of(vehicle: Vehicle) -> list[Any]:
    """VehiclePhysicsControl as it is in force."""
    torque, gears = [[0.0, 500.0], [5000.0, 500.0]], [[2.85, 0.5, 0.65]] * FORWARD_GEARS
    curve = [list(point) for point in vehicle.steering_curve]
    return [
        torque, 15000.0, 1.0, 0.15, 2.0, 0.35, True, 0.0, 10.0, 4.0, gears, vehicle.mass, vehicle.drag_coefficient,
        [0.0, 0.0, 0.3], curve, _wheels(vehicle), vehicle.sweeps_wheels,
    ]  # fmt: skip


def set_physics(vehicle: Vehicle, physics: list[Any]) -> None:
    """Take mass, drag, the front wheels' largest angle and the steering curve.

    Raises Refused for what is no vehicle, and where anything else is not as it is in force: then nothing is taken.
    """
    if len(physics) < len(_FIELDS):
        raise Refused(f"apply_physics_control: a physics control has {len(_FIELDS)} fields, not {len(physics)}")
    _check_obeyed(physics, physics_of(vehicle))
    mass, drag = finite([physics[_MASS], physics[_DRAG]], "mass and drag")
    (lock,) = finite([physics[_WHEELS][0][_LOCK]], "steering angles")
    points = [finite(point[:2], "the steering curve") for point in physics[_STEERING_CURVE]]
    curve = tuple((speed, share) for speed, share in points)
    rising = all(low[0] < high[0] for low, high in itertools.pairwise(curve))
    if mass < 1.0 or drag < 0.0 or not 0.0 <= lock <= 85.0 or not rising:
        raise Refused("physics control: mass below 1 kg, negative drag, steering over 85 degrees or an unsorted curve")
    vehicle.mass, vehicle.drag_coefficient = mass, drag
    vehicle.steering_lock_deg, vehicle.steering_curve = lock, curve
    vehicle.sweeps_wheels = bool(physics[_SWEEP])


def _check_obeyed(physics: list[Any], present: list[Any]) -> None:
    """Raises Refused that names the fields that differ and that the dynamics do not obey."""
    idle = [
        name
        for number, name in enumerate(_FIELDS)
        if number not in _OBEYED and not _equal(physics[number], present[number])
    ]
    wheels = physics[_WHEELS]
    if len(wheels) != len(present[_WHEELS]):
        raise Refused(f"apply_physics_control: a vehicle has {len(present[_WHEELS])} wheels, not {len(wheels)}")
    for number, (wheel, now) in enumerate(zip(wheels, present[_WHEELS])):
        # Both front wheels turn as the first one does.
        kept = [*now[:_LOCK], wheels[0][_LOCK] if number < 2 else now[_LOCK], *now[_LOCK + 1 :]]
        idle += [
            f"wheels[{number}].{name}"
            for field, name in enumerate(_WHEEL_FIELDS)
            if field != _POSITION and not _equal(wheel[field], kept[field])
        ]
    if idle:
        raise Refused(
            f"apply_physics_control: this simulator's vehicles do not obey {', '.join(idle)}; nothing is changed"
        )


def _equal(a: Any, b: Any) -> bool:
    """Equal but for the rounding of float32, in which clients hold numbers."""
    if isinstance(b, list):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b))
    return math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-6)


def _wheels(vehicle: Vehicle) -> list[Any]:
    """WheelPhysicsControl of each wheel, the front ones first; positions in centimetres in the world.

    Two-wheelers have four too, as in CARLA, where they are cars with narrow tracks.
    """
    half_base, half_track = wheelbase(vehicle.model) / 2, half_track_of(vehicle)
    wheels = []
    for ahead, lock in ((half_base, vehicle.steering_lock_deg), (-half_base, 0.0)):
        for right in (-half_track, half_track):
            place = vehicle.pose.ahead(ahead, right)
            position = [place.x * 100, place.y * 100, place.z * 100 + RADIUS_CM]
            wheels.append([TIRE_FRICTION, 0.25, lock, RADIUS_CM, 1500.0, 3000.0, 2.0, 17.0, 1000.0, position])
    return wheels


def half_track_of(vehicle: Vehicle) -> float:
    """From the middle of an axle to a wheel, metres."""
    return _HALF_TRACK_SHARE * vehicle.model.width
