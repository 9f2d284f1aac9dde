"""The Ackermann controller: drives a vehicle at a wheel angle and a speed, as CARLA's does, with PID gains.

CARLA's controller has two loops: the speed error gives an acceleration, the acceleration error a pedal. Here the pedal
follows from the acceleration and the vehicle's own dynamics, so that of the gains only the speed loop's proportional
one, scaled to its default, changes the ride.
"""

import math

from td3_hpc.simulator.actors import AckermannTarget, Vehicle, VehicleControl
from td3_hpc.simulator.drive_train import full_throttle
from td3_hpc.simulator.vehicle import drag, rolling

_GAIN = 1.5  # Acceleration for each m/s that is missing, 1/s, with the default gain.
_DEFAULT_KP = 0.15
_STOPPED = 0.1  # m/s


def follow(vehicle: Vehicle, target: AckermannTarget, dt: float) -> VehicleControl:
    """The control of the next step."""
    yaw = math.radians(vehicle.pose.yaw)
    v = vehicle.velocity[0] * math.cos(yaw) + vehicle.velocity[1] * math.sin(yaw)
    steer = _steer(vehicle, target, dt)
    backwards = target.speed < 0.0
    if abs(target.speed) < _STOPPED and abs(v) < _STOPPED:
        return VehicleControl(steer=steer, brake=1.0)
    wanted = abs(target.speed) - (-v if backwards else v)
    wanted *= _GAIN * vehicle.ackermann_gains[0] / _DEFAULT_KP
    if target.acceleration:
        wanted = max(-abs(target.acceleration), min(abs(target.acceleration), wanted))
    wanted += abs(drag(vehicle, v)) + rolling(vehicle, v)
    if wanted < 0.0:
        brakes = sum(vehicle.mechanics.brakes)
        return VehicleControl(steer=steer, brake=min(1.0, -wanted / brakes) if brakes else 0.0, reverse=backwards)
    pull = full_throttle(vehicle)
    return VehicleControl(throttle=min(1.0, wanted / pull) if pull else 1.0, steer=steer, reverse=backwards)


def _steer(vehicle: Vehicle, target: AckermannTarget, dt: float) -> float:
    """Steering for a wheel angle, which turns at most at the given speed."""
    lock = vehicle.mechanics.lock
    if lock <= 0.0:
        return 0.0
    wanted = max(-1.0, min(1.0, target.steer / lock))
    if target.steer_speed <= 0.0:
        return wanted
    step, held = target.steer_speed * dt / lock, vehicle.control.steer
    return held + max(-step, min(step, wanted - held))
