"""Batches of commands."""

from typing import Any

from td3_hpc.simulator import wire
from td3_hpc.simulator.rpc.actors import ActorCalls
from td3_hpc.simulator.rpc.lights import LightCalls
from td3_hpc.simulator.rpc.service import Service
from td3_hpc.simulator.rpc.vehicles import VehicleCalls

SPAWN = 0


class BatchCalls:
    def __init__(self, service: Service, actors: ActorCalls, vehicles: VehicleCalls) -> None:
        self._service = service
        self._actors = actors
        lights = LightCalls(service)
        self._commands = {
            1: actors.destroy_actor,
            2: vehicles.apply_control_to_vehicle,
            3: vehicles.apply_ackermann_control_to_vehicle,
            4: vehicles.apply_control_to_walker,
            5: vehicles.apply_physics_control,
            6: actors.set_actor_transform,
            8: actors.set_actor_target_velocity,
            9: actors.set_actor_target_angular_velocity,
            10: actors.add_actor_impulse,
            11: actors.add_actor_force,
            14: actors.set_actor_simulate_physics,
            15: actors.set_actor_enable_gravity,
            16: vehicles.set_actor_autopilot,
            18: lambda actor_id, flags: vehicles.set_vehicle_light_state(actor_id, [flags]),
            19: actors.set_actor_location,
            21: lights.set_traffic_light_state,
        }

    def apply_batch(self, commands: list[Any], tick: bool) -> Any:
        responses = [self._run(command) for command in commands]
        if tick and self._service.world.synchronous:
            self._service.world.step()
        return responses

    def _run(self, command: list[Any], future_actor: int = 0) -> Any:
        index, fields = command[0]
        if index == SPAWN:
            return self._spawn(*fields)
        handler = self._commands.get(index)
        if handler is None:
            return wire.error(f"command {index} is not supported by this simulator")
        actor_id = fields[0] or future_actor
        response = handler(actor_id, *fields[1:])
        failed = response[0][0] in (0, True) and isinstance(response[0][-1], list) and response != wire.SUCCESS
        return wire.error(response[0][1][0]) if failed and response[0][0] is not False else wire.value(actor_id)

    def _spawn(
        self,
        description: list[Any],
        transform: list[Any],
        parent: list[Any],
        attachment: int,
        socket: str,
        after: list[Any],
    ) -> Any:
        if parent[0]:
            response = self._actors.spawn_actor_with_parent(description, transform, parent[1], attachment, socket)
        else:
            response = self._actors.spawn_actor(description, transform)
        kind, content = response[0]
        if kind == 0:
            return response
        for command in after:
            self._run(command, content[0])
        return wire.value(content[0])
