"""Vehicles and walkers."""

import math
from typing import Any

from td3_hpc.simulator.actors import AckermannTarget, Vehicle, VehicleControl, Walker
from td3_hpc.simulator.rpc.physics_control import physics_of, set_physics
from td3_hpc.simulator.rpc.service import Service, finite, vector
from td3_hpc.simulator.rpc.telemetry import telemetry_of, wheel_steer_angle
from td3_hpc.simulator.wire import Refused


class VehicleCalls:
    def __init__(self, service: Service) -> None:
        self._service = service

    def apply_control_to_vehicle(self, actor_id: int, control: list[Any]) -> None:
        self._service.find(actor_id, Vehicle).command(_control(control))

    def apply_ackermann_control_to_vehicle(self, actor_id: int, control: list[float]) -> None:
        steer, steer_speed, speed, acceleration, _ = finite(control[:5], "an Ackermann control")
        target = AckermannTarget(steer, steer_speed, speed, acceleration)
        self._service.find(actor_id, Vehicle).command(None, target)

    def apply_ackermann_controller_settings(self, actor_id: int, gains: list[float]) -> None:
        self._service.find(actor_id, Vehicle).ackermann_gains = finite(gains[:6], "gains")

    def get_ackermann_controller_settings(self, actor_id: int) -> list[float]:
        return list(self._service.find(actor_id, Vehicle).ackermann_gains)

    def get_physics_control(self, actor_id: int) -> list[Any]:
        return physics_of(self._service.find(actor_id, Vehicle))

    def apply_physics_control(self, actor_id: int, physics: list[Any]) -> None:
        set_physics(self._service.find(actor_id, Vehicle), physics)

    def restore_physx_physics(self, actor_id: int) -> None:
        self._service.find(actor_id, Vehicle)

    def set_vehicle_light_state(self, actor_id: int, flags: list[int]) -> None:
        self._service.find(actor_id, Vehicle).lights = int(flags[0]) & 0xFFFFFFFF

    def get_vehicle_light_state(self, actor_id: int) -> list[int]:
        return [self._service.find(actor_id, Vehicle).lights]

    def get_vehicle_light_states(self) -> list[list[int]]:
        return [[vehicle.id, vehicle.lights] for vehicle in self._service.world.population.vehicles]

    def set_wheel_steer_direction(self, actor_id: int, wheel: int, degrees: float) -> None:
        self._turn_wheel("steer", actor_id, wheel, degrees)

    def set_wheel_pitch_angle(self, actor_id: int, wheel: int, degrees: float) -> None:
        self._turn_wheel("pitch", actor_id, wheel, degrees)

    def get_wheel_steer_angle(self, actor_id: int, wheel: int) -> float:
        """Degrees, positive to the right."""
        vehicle = self._service.find(actor_id, Vehicle)
        if vehicle.simulates_physics:
            return wheel_steer_angle(vehicle, wheel)
        return vehicle.wheel_angles.get(("steer", wheel), 0.0)

    def get_wheel_pitch_angle(self, actor_id: int, wheel: int) -> float:
        vehicle = self._service.find(actor_id, Vehicle)
        if vehicle.simulates_physics:
            raise Refused("get_wheel_pitch_angle: how far a wheel has rolled is not simulated")
        return vehicle.wheel_angles.get(("pitch", wheel), 0.0)

    def _turn_wheel(self, axis: str, actor_id: int, wheel: int, degrees: float) -> None:
        """Only while physics is off, as in CARLA; nobody sees it here. Raises Refused."""
        vehicle = self._service.find(actor_id, Vehicle)
        if vehicle.simulates_physics:
            call = {"steer": "set_wheel_steer_direction", "pitch": "set_wheel_pitch_angle"}[axis]
            raise Refused(f"{call}: vehicle {actor_id} simulates physics, which turns its wheels")
        (vehicle.wheel_angles[axis, int(wheel)],) = finite([degrees], "an angle")

    def set_actor_autopilot(self, actor_id: int, enabled: bool) -> None:
        """The Traffic Manager drives, in the client."""
        self._service.find(actor_id, Vehicle)

    def get_telemetry_data(self, actor_id: int) -> list[Any]:
        return telemetry_of(self._service.find(actor_id, Vehicle))

    def show_vehicle_debug_telemetry(self, actor_id: int, enabled: bool) -> None:
        self._service.find(actor_id, Vehicle)

    def apply_control_to_walker(self, actor_id: int, control: list[Any]) -> None:
        walker = self._service.find(actor_id, Walker)
        direction, speed, jump = control[:3]
        walker.direction, walker.jump = vector(direction, "a direction"), bool(jump)
        (walker.walking_speed,) = finite([speed], "a speed")


def _control(fields: list[Any]) -> VehicleControl:
    """VehicleControl with its pedals and steering in range. Raises Refused for NaN and infinity."""
    throttle, steer, brake, hand_brake, reverse, manual, gear = fields[:7]
    if not (0.0 <= throttle <= 1.0 and -1.0 <= steer <= 1.0 and 0.0 <= brake <= 1.0):
        if not (math.isfinite(throttle) and math.isfinite(steer) and math.isfinite(brake)):
            raise Refused(f"a control must hold finite numbers, not throttle {throttle}, steer {steer}, brake {brake}")
        throttle, steer, brake = max(0.0, min(1.0, throttle)), max(-1.0, min(1.0, steer)), max(0.0, min(1.0, brake))
    gear = int(gear) if -1 <= gear <= 100 else max(-1, min(100, int(gear)))
    return VehicleControl(throttle, steer, brake, bool(hand_brake), bool(reverse), bool(manual), gear)
