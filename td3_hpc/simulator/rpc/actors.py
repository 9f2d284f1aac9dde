"""Actors of any kind."""

import math
from typing import Any

from td3_hpc.simulator import wire
from td3_hpc.simulator.actors import Actor, Vehicle
from td3_hpc.simulator.collisions import mass_of
from td3_hpc.simulator.drive_train import engage
from td3_hpc.simulator.mounting import seen_from
from td3_hpc.simulator.rpc.service import Service, pose_of, vector
from td3_hpc.simulator.wire import Refused

_CM2_PER_M2 = 1e4


class ActorCalls:
    def __init__(self, service: Service) -> None:
        self._service = service

    def get_actors_by_id(self, ids: list[int]) -> list[Any]:
        known = self._service.world.population.by_id
        return [self._service.describe(known[number]) for number in ids if number in known]

    def spawn_actor(self, description: list[Any], transform: list[Any]) -> list[Any]:
        return self._service.describe(self._service.world.spawn(description, pose_of(transform)))

    def spawn_actor_with_parent(
        self, description: list[Any], transform: list[Any], parent: int, attachment: int, socket: str = ""
    ) -> list[Any]:
        """Every attachment is rigid: in batches the client sends uninitialised memory as its kind."""
        carrier = self._service.world.population.by_id.get(parent)
        if carrier is None:
            raise Refused("unable to attach actor: parent actor not found")
        return self._service.describe(self._service.world.spawn(description, pose_of(transform), carrier))

    def destroy_actor(self, actor_id: int) -> bool:
        """Signals and the spectator belong to the town and cannot be destroyed."""
        actor = self._service.world.population.by_id.get(actor_id)
        if actor is None:
            raise Refused("unable to destroy actor: not found")
        if actor.type_id.startswith("traffic.") or actor.type_id == "spectator":
            raise Refused(f"unable to destroy actor: {actor.type_id} belongs to the town")
        self._service.world.destroy(actor)
        return True

    def set_actor_transform(self, actor_id: int, transform: list[Any]) -> None:
        self._move(self._service.find(actor_id, Actor), pose_of(transform))

    def set_actor_location(self, actor_id: int, location: list[float]) -> None:
        actor = self._service.find(actor_id, Actor)
        x, y, z = vector(location, "a location")
        self._move(actor, (actor.mount or actor.pose)._replace(x=x, y=y, z=z))

    def set_actor_target_velocity(self, actor_id: int, velocity: list[float]) -> None:
        body = self._body(actor_id, "set_target_velocity")
        _set_velocity(body, vector(velocity, "a velocity"))
        if isinstance(body, Vehicle) and body.simulates_physics:
            ahead, _, _ = seen_from(body.pose, body.velocity)
            engage(body, ahead)

    def set_actor_target_angular_velocity(self, actor_id: int, velocity: list[float]) -> None:
        """Only the turn about the vertical counts."""
        spin = math.radians(vector(velocity, "an angular velocity")[2])
        _set_spin(self._body(actor_id, "set_target_angular_velocity"), spin)

    def enable_actor_constant_velocity(self, actor_id: int, velocity: list[float]) -> None:
        self._service.find(actor_id, Vehicle).constant_velocity = vector(velocity, "a velocity")

    def disable_actor_constant_velocity(self, actor_id: int) -> None:
        self._service.find(actor_id, Vehicle).constant_velocity = None

    def add_actor_impulse(self, actor_id: int, impulse: list[float]) -> None:
        self._accelerate(self._body(actor_id, "add_impulse"), impulse, 1.0)

    def add_actor_force(self, actor_id: int, force: list[float]) -> None:
        self._accelerate(self._body(actor_id, "add_force"), force, self._service.world.settings.step_seconds)

    def add_actor_angular_impulse(self, actor_id: int, impulse: list[float]) -> None:
        self._turn(self._body(actor_id, "add_angular_impulse"), impulse, 1.0)

    def add_actor_torque(self, actor_id: int, torque: list[float]) -> None:
        self._turn(self._body(actor_id, "add_torque"), torque, self._service.world.settings.step_seconds)

    def set_actor_simulate_physics(self, actor_id: int, enabled: bool) -> None:
        """Of a vehicle that has just been destroyed: see `get_actor_bounding_box`."""
        if self._service.world.population.has_left(actor_id):
            return
        actor = self._solid(actor_id, "set_simulate_physics")
        actor.simulates_physics = bool(enabled)
        if isinstance(actor, Vehicle):
            actor.wheel_angles = {}
        if not enabled:
            actor.halt()

    def set_actor_collisions(self, actor_id: int, enabled: bool) -> None:
        self._solid(actor_id, "set_collisions").collides = bool(enabled)

    def set_actor_enable_gravity(self, actor_id: int, enabled: bool) -> None:
        self._solid(actor_id, "set_enable_gravity").gravity = bool(enabled)

    def set_actor_dead(self, actor_id: int) -> None:
        self._service.find(actor_id, Actor)

    def get_actor_bounding_box(self, actor_id: int) -> list[Any]:
        """An empty box where there is no such actor, as CARLA has it.

        The Traffic Manager asks for the boxes of the last step's vehicles from a thread of its own, and an error there
        would end the client's process.
        """
        actor = self._service.world.population.by_id.get(actor_id)
        return actor.bounding_box() if actor else wire.bounding_box((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))

    def get_actor_component_names(self, actor_id: int) -> list[str]:
        self._service.find(actor_id, Actor)
        return []

    get_actor_bone_names = get_actor_socket_names = get_actor_component_names

    def _move(self, actor: Actor, pose: Any) -> None:
        if actor.parent is not None:
            actor.mount = pose
        else:
            actor.teleport(pose)

    def _solid(self, actor_id: int, call: str) -> Actor:
        """A vehicle, a walker or a prop. Raises Refused."""
        actor = self._service.find(actor_id, Actor)
        if actor not in self._service.world.population.solid:
            raise Refused(f"{call}: {actor.type_id} {actor_id} has no body")
        return actor

    def _body(self, actor_id: int, call: str) -> Actor:
        """What forces can move: a vehicle, though they leave it alone while its physics is off, or a walker or prop
        whose physics is simulated. Raises Refused."""
        actor = self._solid(actor_id, call)
        if not (actor.simulates_physics or isinstance(actor, Vehicle)):
            raise Refused(f"{call}: {actor.type_id} {actor_id} does not simulate physics; see set_simulate_physics")
        return actor

    def _accelerate(self, body: Actor, momentum: list[float], seconds: float) -> None:
        """Momentum in N s, or a force in N for one step."""
        change = [part * seconds / mass_of(body) for part in momentum]
        _set_velocity(body, vector([v + dv for v, dv in zip(body.velocity, change)], "the velocity"))

    def _turn(self, body: Actor, momentum: list[float], seconds: float) -> None:
        """Angular momentum in kg cm² degrees/s, or a torque in kg cm² degrees/s² for one step, as CARLA hands them to
        Unreal Engine's `AddAngularImpulseInDegrees`; about the vertical."""
        length, width, _ = body.extent
        inertia = mass_of(body) * (length * length + width * width) / 3.0  # kg m²
        spin = body.yaw_rate + math.radians(momentum[2]) / _CM2_PER_M2 * seconds / inertia
        _set_spin(body, vector([0.0, 0.0, spin], "the angular velocity")[2])


def _set_velocity(body: Actor, velocity: tuple[float, float, float]) -> None:
    """World frame, m/s; a vehicle whose physics is off stays as it is."""
    if not body.simulates_physics:
        return
    body.velocity = velocity
    if isinstance(body, Vehicle):
        body.take_off()


def _set_spin(body: Actor, spin: float) -> None:
    """Radians a second, with the same exception."""
    if body.simulates_physics:
        body.yaw_rate = spin
