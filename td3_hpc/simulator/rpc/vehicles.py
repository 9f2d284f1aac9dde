"""Vehicles and walkers."""

import math
from typing import Any

from td3_hpc.simulator import wire
from td3_hpc.simulator.actors import Vehicle, Walker
from td3_hpc.simulator.rpc.service import Service
from td3_hpc.simulator.vehicle import STEERING_CURVE, STEERING_LOCK_DEG

ACKERMANN_GAINS = [0.15, 0.0, 0.25, 0.01, 0.0, 0.01]


class VehicleCalls:
    def __init__(self, service: Service) -> None:
        self._service = service

    def apply_control_to_vehicle(self, actor_id: int, control: list[Any]) -> Any:
        pressed = _checked(control)

        def press(vehicle: Vehicle) -> None:
            vehicle.control = pressed

        return self._service.change(actor_id, Vehicle, press)

    def apply_ackermann_control_to_vehicle(self, actor_id: int, control: list[float]) -> Any:
        """Steering angle in radians and a speed in m/s, by a proportional controller."""
        steer, _, speed = control[:3]

        def press(vehicle: Vehicle) -> None:
            yaw = math.radians(vehicle.pose.yaw)
            forward = vehicle.velocity[0] * math.cos(yaw) + vehicle.velocity[1] * math.sin(yaw)
            error = abs(speed) - abs(forward)
            angle = max(-1.0, min(1.0, math.degrees(steer) / STEERING_LOCK_DEG))
            throttle, brake = min(1.0, max(0.0, error * 0.5)), min(1.0, max(0.0, -error * 0.5))
            vehicle.control = (throttle, angle, brake, False, speed < 0, False, 0)

        return self._service.change(actor_id, Vehicle, press)

    def get_ackermann_controller_settings(self, actor_id: int) -> Any:
        return self._service.read(actor_id, Vehicle, lambda vehicle: ACKERMANN_GAINS)

    def get_physics_control(self, actor_id: int) -> Any:
        return self._service.read(actor_id, Vehicle, _physics)

    def apply_physics_control(self, actor_id: int, physics: list[Any]) -> Any:
        def take(vehicle: Vehicle) -> None:
            vehicle.physics = physics

        return self._service.change(actor_id, Vehicle, take)

    def set_vehicle_light_state(self, actor_id: int, flags: list[int]) -> Any:
        def switch(vehicle: Vehicle) -> None:
            vehicle.lights = flags[0]

        return self._service.change(actor_id, Vehicle, switch)

    def get_vehicle_light_state(self, actor_id: int) -> Any:
        return self._service.read(actor_id, Vehicle, lambda vehicle: [vehicle.lights])

    def get_vehicle_light_states(self) -> Any:
        return wire.value([[vehicle.id, vehicle.lights] for vehicle in self._service.world.vehicles()])

    def open_vehicle_door(self, actor_id: int, door: int) -> Any:
        return self._service.change(actor_id, Vehicle, lambda vehicle: None)

    def close_vehicle_door(self, actor_id: int, door: int) -> Any:
        return self._service.change(actor_id, Vehicle, lambda vehicle: None)

    def set_actor_autopilot(self, actor_id: int, enabled: bool) -> Any:
        return self._service.change(actor_id, Vehicle, lambda vehicle: None)

    def get_telemetry_data(self, actor_id: int) -> Any:
        return self._service.read(
            actor_id,
            Vehicle,
            lambda vehicle: [
                vehicle.speed,
                vehicle.control[1],
                vehicle.control[0],
                vehicle.control[2],
                0.0,
                1,
                0.0,
                [],
            ],
        )

    def show_vehicle_debug_telemetry(self, actor_id: int, enabled: bool) -> Any:
        return wire.SUCCESS

    def apply_control_to_walker(self, actor_id: int, control: list[Any]) -> Any:
        direction, speed, jump = control[:3]

        def walk(walker: Walker) -> None:
            walker.direction = (direction[0], direction[1], direction[2])
            walker.walking_speed, walker.jump = speed, jump

        return self._service.change(actor_id, Walker, walk)


def _checked(control: list[Any]) -> tuple[Any, ...]:
    """VehicleControl with its pedals and steering in range. Raises ValueError for NaN."""
    throttle, steer, brake, hand_brake, reverse, manual, gear = control[:7]
    if not all(math.isfinite(value) for value in (throttle, steer, brake)):
        raise ValueError("a control holds NaN or infinity")
    clipped = (max(0.0, min(1.0, throttle)), max(-1.0, min(1.0, steer)), max(0.0, min(1.0, brake)))
    return (*clipped, bool(hand_brake), bool(reverse), bool(manual), int(gear))


def _physics(vehicle: Vehicle) -> list[Any]:
    """VehiclePhysicsControl; the dynamics read mass from it, the rest describes a car of this size."""
    if vehicle.physics is not None:
        return vehicle.physics
    model = vehicle.model
    half_base, half_track = 0.3 * model.length * 100, 0.4 * model.width * 100
    wheels = [
        [3.5, 0.25, lock, 36.0, 1500.0, 3000.0, 2.0, 17.0, 1000.0, [x * half_base, y * half_track, 36.0]]
        for x, lock in ((1, STEERING_LOCK_DEG), (-1, 0.0))
        for y in (-1, 1)
    ]
    torque = [[0.0, 500.0], [5000.0, 500.0]]
    gears = [[2.85, 0.5, 0.65]]
    curve = [list(point) for point in STEERING_CURVE]
    return [
        torque, 15000.0, 1.0, 0.15, 2.0, 0.35, True, 0.0, 10.0, 4.0, gears, float(model.mass), 0.3,
        [0.0, 0.0, 0.3], curve, wheels, False,
    ]  # fmt: skip
