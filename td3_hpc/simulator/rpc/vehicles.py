"""Vehicles and walkers."""

import math
from typing import Any

from td3_hpc.simulator.actors import AckermannTarget, Vehicle, VehicleControl, Walker
from td3_hpc.simulator.rpc.physics_control import physics_of, set_physics
from td3_hpc.simulator.rpc.service import Service, finite, vector
from td3_hpc.simulator.wire import Refused

_FRONT_WHEELS = (0, 1)


class VehicleCalls:
    def __init__(self, service: Service) -> None:
        self._service = service

    def apply_control_to_vehicle(self, actor_id: int, control: list[Any]) -> None:
        vehicle = self._service.find(actor_id, Vehicle)
        vehicle.control, vehicle.ackermann = _control(control), None

    def apply_ackermann_control_to_vehicle(self, actor_id: int, control: list[float]) -> None:
        steer, steer_speed, speed, acceleration, _ = finite(control[:5], "an Ackermann control")
        self._service.find(actor_id, Vehicle).ackermann = AckermannTarget(steer, steer_speed, speed, acceleration)

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

    def open_vehicle_door(self, actor_id: int, door: int) -> None:
        self._service.find(actor_id, Vehicle)

    close_vehicle_door = open_vehicle_door

    def set_wheel_steer_direction(self, actor_id: int, wheel: int, degrees: float) -> None:
        """Only the look of a wheel, in CARLA too."""
        self._service.find(actor_id, Vehicle)

    set_wheel_pitch_angle = set_wheel_steer_direction

    def get_wheel_steer_angle(self, actor_id: int, wheel: int) -> float:
        """Degrees, positive to the right."""
        vehicle = self._service.find(actor_id, Vehicle)
        return vehicle.control.steer * vehicle.steering_lock_deg if wheel in _FRONT_WHEELS else 0.0

    def get_wheel_pitch_angle(self, actor_id: int, wheel: int) -> float:
        self._service.find(actor_id, Vehicle)
        return 0.0

    def set_actor_autopilot(self, actor_id: int, enabled: bool) -> None:
        """The Traffic Manager drives, in the client."""
        self._service.find(actor_id, Vehicle)

    def get_telemetry_data(self, actor_id: int) -> list[Any]:
        """Speed, steer, throttle, brake, engine speed (not modelled), gear, drag, wheels (not modelled)."""
        vehicle = self._service.find(actor_id, Vehicle)
        held = vehicle.control
        return [vehicle.speed, held.steer, held.throttle, held.brake, 0.0, held.engaged, vehicle.drag_coefficient, []]

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
