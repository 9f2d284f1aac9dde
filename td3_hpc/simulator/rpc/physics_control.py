"""CARLA's `VehiclePhysicsControl`: what the dynamics take of it, and what describes a vehicle of that size."""

import itertools
from typing import Any

from td3_hpc.simulator.actors import Vehicle
from td3_hpc.simulator.rpc.service import finite
from td3_hpc.simulator.vehicle import wheelbase
from td3_hpc.simulator.wire import Refused

_MASS, _DRAG, _STEERING_CURVE, _WHEELS = 11, 12, 14, 15
_FIELDS = 17
_LOCK = 2  # Field of a wheel.
_HALF_TRACK_SHARE, _RADIUS_CM = 0.4, 36.0


def physics_of(vehicle: Vehicle) -> list[Any]:
    """VehiclePhysicsControl; the fields that a client has set are as it set them."""
    if vehicle.physics is not None:
        return vehicle.physics
    torque, gears = [[0.0, 500.0], [5000.0, 500.0]], [[2.85, 0.5, 0.65]]
    curve = [list(point) for point in vehicle.steering_curve]
    return [
        torque, 15000.0, 1.0, 0.15, 2.0, 0.35, True, 0.0, 10.0, 4.0, gears, vehicle.mass, vehicle.drag_coefficient,
        [0.0, 0.0, 0.3], curve, _wheels(vehicle), False,
    ]  # fmt: skip


def set_physics(vehicle: Vehicle, physics: list[Any]) -> None:
    """Take mass, drag, the largest steering angle and the steering curve; the rest is kept for the client.

    Raises Refused for what is no vehicle.
    """
    if len(physics) < _FIELDS:
        raise Refused(f"a physics control has {_FIELDS} fields, not {len(physics)}")
    mass, drag = finite([physics[_MASS], physics[_DRAG]], "mass and drag")
    locks = finite([wheel[_LOCK] for wheel in physics[_WHEELS]], "steering angles") or (vehicle.steering_lock_deg,)
    points = [finite(point[:2], "the steering curve") for point in physics[_STEERING_CURVE]]
    curve = tuple((speed, share) for speed, share in points)
    rising = all(low[0] < high[0] for low, high in itertools.pairwise(curve))
    if mass < 1.0 or drag < 0.0 or not 0.0 <= max(locks) <= 85.0 or not rising:
        raise Refused("physics control: mass below 1 kg, negative drag, steering over 85 degrees or an unsorted curve")
    vehicle.mass, vehicle.drag_coefficient = mass, drag
    vehicle.steering_lock_deg, vehicle.steering_curve = max(locks), curve
    vehicle.physics = physics


def _wheels(vehicle: Vehicle) -> list[Any]:
    """WheelPhysicsControl of each wheel, the front ones first; positions in centimetres in the world."""
    half_base, half_track = wheelbase(vehicle.model) / 2, _HALF_TRACK_SHARE * vehicle.model.width
    wheels = []
    for ahead, lock in ((half_base, vehicle.steering_lock_deg), (-half_base, 0.0)):
        for right in (-half_track, half_track) if vehicle.model.wheels > 2 else (0.0,):
            place = vehicle.pose.ahead(ahead, right)
            position = [place.x * 100, place.y * 100, place.z * 100 + _RADIUS_CM]
            wheels.append([3.5, 0.25, lock, _RADIUS_CM, 1500.0, 3000.0, 2.0, 17.0, 1000.0, position])
    return wheels
