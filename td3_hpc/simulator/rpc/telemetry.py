"""What is told of a vehicle's motion: its wheels' angles and `VehicleTelemetryData`."""

import math
from typing import Any

from td3_hpc.simulator.actors import Vehicle
from td3_hpc.simulator.physics import GRAVITY, wheelbase
from td3_hpc.simulator.rpc.physics_control import half_track_of
from td3_hpc.simulator.tyres import loads_of
from td3_hpc.simulator.vehicle import drag, wheel_angle

_RPM = 30.0 / math.pi


def wheel_steer_angle(vehicle: Vehicle, wheel: int) -> float:
    """Degrees, positive to the right: each front wheel rolls about the point about which the vehicle turns."""
    if wheel > 1:
        return 0.0
    bend = math.tan(wheel_angle(vehicle, _forward_speed(vehicle))) / wheelbase(vehicle.model)
    aside = half_track_of(vehicle) * (1.0 if wheel else -1.0)
    return math.degrees(math.atan(wheelbase(vehicle.model) * bend / (1.0 - aside * bend)))


def telemetry_of(vehicle: Vehicle) -> list[Any]:
    """VehicleTelemetryData of the last step: forces in newtons, torques in N m, turning in radians a second."""
    held, speed, mass = vehicle.control, _forward_speed(vehicle), vehicle.mass
    loads = [mass * load for load in loads_of(vehicle, GRAVITY if vehicle.gravity else 0.0)]
    total = sum(loads) or 1.0
    ahead, right = (mass * part for part in vehicle.tyre_force)
    slip_force = vehicle.mechanics.slip_force
    slip = ahead / slip_force if slip_force else 0.0
    wheels = []
    for wheel, load in zip(vehicle.physics.wheels, loads):
        share, radius = load / total, wheel.radius / 100.0
        along, across = ahead * share, right * share
        wheels.append([
            wheel.tire_friction, across / (load * wheel.lat_stiff_value) if load else 0.0, slip,
            (speed + slip * abs(speed)) / radius, load, 4.0 * load / (mass * GRAVITY), along * radius, along, across,
            abs(along) / load if load else 0.0, abs(across) / load if load else 0.0,
        ])  # fmt: skip
    air, turning = abs(drag(vehicle, speed)) * mass, vehicle.engine_speed * _RPM
    return [speed, held.steer, held.throttle, held.brake, turning, vehicle.gear, air, wheels]


def _forward_speed(vehicle: Vehicle) -> float:
    yaw = math.radians(vehicle.pose.yaw)
    return vehicle.velocity[0] * math.cos(yaw) + vehicle.velocity[1] * math.sin(yaw)
