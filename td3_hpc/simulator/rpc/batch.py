"""Batches of commands."""

from collections.abc import Callable
from typing import Any

from td3_hpc.simulator.actors import Walker
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.rpc.actors import ActorCalls
from td3_hpc.simulator.rpc.lights import LightCalls
from td3_hpc.simulator.rpc.service import Service, finite
from td3_hpc.simulator.rpc.vehicles import VehicleCalls
from td3_hpc.simulator.wire import Refused

_SPAWN, _WALKER_STATE, _CONSOLE = 0, 7, 20
_FUTURE_ACTOR = 0  # What a command after a spawn names instead of the new actor.


class BatchCalls:
    def __init__(self, service: Service, actors: ActorCalls, vehicles: VehicleCalls, lights: LightCalls) -> None:
        self._service = service
        self._actors = actors
        self._commands: dict[int, Callable[..., Any]] = {
            1: actors.destroy_actor,
            2: vehicles.apply_control_to_vehicle,
            3: vehicles.apply_ackermann_control_to_vehicle,
            4: vehicles.apply_control_to_walker,
            5: vehicles.apply_physics_control,
            6: actors.set_actor_transform,
            _WALKER_STATE: self._set_walker_state,
            8: actors.set_actor_target_velocity,
            9: actors.set_actor_target_angular_velocity,
            10: actors.add_actor_impulse,
            11: actors.add_actor_force,
            12: actors.add_actor_angular_impulse,
            13: actors.add_actor_torque,
            14: actors.set_actor_simulate_physics,
            15: actors.set_actor_enable_gravity,
            16: vehicles.set_actor_autopilot,
            17: vehicles.show_vehicle_debug_telemetry,
            18: lambda actor_id, flags: vehicles.set_vehicle_light_state(actor_id, [flags]),
            19: actors.set_actor_location,
            21: lights.set_traffic_light_state,
        }

    def apply_batch(self, commands: list[Any], tick: bool = False) -> list[Any]:
        """One response for each command, in their order: `[[1, actor id]]` or `[[0, [text]]]`."""
        responses = [self._respond(command) for command in commands]
        if tick and self._service.world.settings.synchronous_mode:
            self._service.world.step()
        return responses

    def _respond(self, command: list[Any]) -> list[Any]:
        try:
            return [[1, self._run(command, _FUTURE_ACTOR)]]
        except Refused as refused:
            return [[0, [str(refused)]]]
        except (TypeError, ValueError, IndexError, OverflowError) as error:  # not what the protocol says
            return [[0, [f"malformed command: {error}"]]]

    def _run(self, command: list[Any], new_actor: int) -> int:
        """Carry out a command; the id of the actor that it is about. Raises Refused."""
        index, fields = command[0]
        if index == _SPAWN:
            return self._spawn(*fields)
        if index not in self._commands:
            raise Refused("console commands are not supported" if index == _CONSOLE else f"unknown command {index}")
        actor_id = int(fields[0]) or new_actor
        self._commands[index](actor_id, *fields[1:])
        return actor_id

    def _spawn(
        self,
        description: list[Any],
        transform: list[Any],
        parent: list[Any],
        attachment: int,
        socket: str = "",
        after: list[Any] | None = None,
    ) -> int:
        """`after`: commands for the new actor; that one of them fails is not reported, as in CARLA."""
        if parent[0]:
            actor = self._actors.spawn_actor_with_parent(description, transform, parent[1], attachment, socket)
        else:
            actor = self._actors.spawn_actor(description, transform)
        actor_id = int(actor[0])
        for command in after or ():
            try:
                self._run(command, actor_id)
            except Refused:
                continue
        return actor_id

    def _set_walker_state(self, actor_id: int, transform: list[Any], speed: float) -> None:
        self._actors.set_actor_transform(actor_id, transform)
        walker = self._service.find(actor_id, Walker)
        (walker.walking_speed,) = finite([speed], "a speed")
        walker.direction, walker.jump = Pose(0.0, 0.0, 0.0, yaw=walker.pose.yaw).ahead(1.0)[:3], False
