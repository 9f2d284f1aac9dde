"""Actors of any kind."""

from typing import Any

from td3_hpc.simulator import wire
from td3_hpc.simulator.actors import Actor, Vehicle
from td3_hpc.simulator.rpc.service import Service
from td3_hpc.simulator.world import SpawnError


class ActorCalls:
    def __init__(self, service: Service) -> None:
        self._service = service

    def get_actors_by_id(self, ids: list[int]) -> Any:
        actors = self._service.world.actors
        return wire.value([self._service.describe(actors[number]) for number in ids if number in actors])

    def spawn_actor(self, description: list[Any], transform: list[Any]) -> Any:
        return self._spawn(description, transform, None)

    def spawn_actor_with_parent(
        self, description: list[Any], transform: list[Any], parent: int, attachment: int, socket: str = ""
    ) -> Any:
        actor = self._service.world.actors.get(parent)
        if actor is None:
            return wire.error("unable to attach actor: parent actor not found")
        return self._spawn(description, transform, actor)

    def _spawn(self, description: list[Any], transform: list[Any], parent: Actor | None) -> Any:
        try:
            actor = self._service.world.spawn(description, wire.pose_of(transform), parent)
        except SpawnError as error:
            return wire.error(str(error))
        return wire.value(self._service.describe(actor))

    def destroy_actor(self, actor_id: int) -> Any:
        actor = self._service.world.actors.get(actor_id)
        if actor is None:
            return wire.error("unable to destroy actor: not found")
        self._service.world.destroy(actor)
        return wire.value(True)

    def set_actor_transform(self, actor_id: int, transform: list[Any]) -> Any:
        pose = wire.pose_of(transform)

        def move(actor: Actor) -> None:
            if actor.parent is not None:
                actor.mount = pose
            else:
                actor.pose = pose

        return self._service.change(actor_id, Actor, move)

    def set_actor_location(self, actor_id: int, location: list[float]) -> Any:
        def move(actor: Actor) -> None:
            actor.pose = actor.pose._replace(x=location[0], y=location[1], z=location[2])

        return self._service.change(actor_id, Actor, move)

    def set_actor_target_velocity(self, actor_id: int, velocity: list[float]) -> Any:
        def push(actor: Actor) -> None:
            actor.velocity = (velocity[0], velocity[1], velocity[2])

        return self._service.change(actor_id, Actor, push)

    def set_actor_target_angular_velocity(self, actor_id: int, velocity: list[float]) -> Any:
        def turn(actor: Actor) -> None:
            actor.yaw_rate = velocity[2]

        return self._service.change(actor_id, Actor, turn)

    def enable_actor_constant_velocity(self, actor_id: int, velocity: list[float]) -> Any:
        def hold(vehicle: Vehicle) -> None:
            vehicle.constant_velocity = (velocity[0], velocity[1], velocity[2])

        return self._service.change(actor_id, Vehicle, hold)

    def disable_actor_constant_velocity(self, actor_id: int) -> Any:
        def release(vehicle: Vehicle) -> None:
            vehicle.constant_velocity = None

        return self._service.change(actor_id, Vehicle, release)

    def add_actor_impulse(self, actor_id: int, impulse: list[float]) -> Any:
        return self._service.change(actor_id, Vehicle, lambda vehicle: _accelerate(vehicle, impulse, 1.0))

    def add_actor_force(self, actor_id: int, force: list[float]) -> Any:
        dt = self._service.world.step_seconds
        return self._service.change(actor_id, Vehicle, lambda vehicle: _accelerate(vehicle, force, dt))

    def set_actor_simulate_physics(self, actor_id: int, enabled: bool) -> Any:
        def switch(actor: Actor) -> None:
            if isinstance(actor, Vehicle):
                actor.simulates_physics = enabled

        return self._service.change(actor_id, Actor, switch)

    def set_actor_collisions(self, actor_id: int, enabled: bool) -> Any:
        def switch(vehicle: Vehicle) -> None:
            vehicle.collides = enabled

        return self._service.change(actor_id, Vehicle, switch)

    def set_actor_enable_gravity(self, actor_id: int, enabled: bool) -> Any:
        def switch(vehicle: Vehicle) -> None:
            vehicle.gravity = enabled

        return self._service.change(actor_id, Vehicle, switch)

    def get_actor_bounding_box(self, actor_id: int) -> Any:
        return self._service.read(
            actor_id, Actor, lambda actor: [list(actor.centre), list(actor.extent), [0.0, 0.0, 0.0], 0]
        )


def _accelerate(vehicle: Vehicle, momentum: list[float], seconds: float) -> None:
    change = [part * seconds / vehicle.model.mass for part in momentum]
    vx, vy, vz = vehicle.velocity
    vehicle.velocity = (vx + change[0], vy + change[1], vz + change[2])
