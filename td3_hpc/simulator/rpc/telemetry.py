"""What is told of a vehicle's motion: its wheels' angles and `VehicleTelemetryData`."""

import math
from typing import Any

from td3_hpc.simulator.actors import Vehicle
from td3_hpc.simulator.mounting import seen_from
from td3_hpc.simulator.rpc.physics_control import RADIUS_CM, TIRE_FRICTION, half_track_of
from td3_hpc.simulator.vehicle import GRAVITY, drag, wheel_angle, wheelbase

_WHEELS = 4


def wheel_steer_angle(vehicle: Vehicle, wheel: int) -> float:
    """Degrees, positive to the right: each front wheel rolls about the point about which the vehicle turns."""
    if wheel > 1:
        return 0.0
    bend = math.tan(wheel_angle(vehicle, _forward_speed(vehicle))) / wheelbase(vehicle.model)
    aside = half_track_of(vehicle) * (1.0 if wheel else -1.0)
    return math.degrees(math.atan(wheelbase(vehicle.model) * bend / (1.0 - aside * bend)))


def telemetry_of(vehicle: Vehicle) -> list[Any]:
    """VehicleTelemetryData: forces in newtons, on all wheels alike; there is no engine speed, and no wheel slips."""
    held, speed, mass = vehicle.control, _forward_speed(vehicle), vehicle.mass
    forward, right, _ = seen_from(vehicle.pose, vehicle.acceleration)
    air = drag(vehicle, speed) * mass
    load = mass * GRAVITY / _WHEELS
    along, across = (mass * forward + air) / _WHEELS, mass * right / _WHEELS
    radius = RADIUS_CM / 100.0
    wheel = [
        TIRE_FRICTION, 0.0, 0.0, speed / radius, load, 1.0, along * radius, along, across, abs(along) / load,
        abs(across) / load,
    ]  # fmt: skip
    return [speed, held.steer, held.throttle, held.brake, 0.0, held.engaged, abs(air), [wheel] * _WHEELS]


def _forward_speed(vehicle: Vehicle) -> float:
    yaw = math.radians(vehicle.pose.yaw)
    return vehicle.velocity[0] * math.cos(yaw) + vehicle.velocity[1] * math.sin(yaw)
