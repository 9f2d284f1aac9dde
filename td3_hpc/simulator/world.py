"""The world: its actors, and what one step does to them."""

import math
from typing import Any

from td3_hpc.simulator import wire
from td3_hpc.simulator.actors import Actor, TrafficLight, TrafficSign, Vehicle, Walker
from td3_hpc.simulator.blueprints import PROPS, VEHICLES, Blueprint, label_of, library
from td3_hpc.simulator.camera import Renderer
from td3_hpc.simulator.collisions import Contact, overlaps, resolve_collisions
from td3_hpc.simulator.geometry import OrientedBox, Pose
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.sensors import Sensors
from td3_hpc.simulator.streams import Streams
from td3_hpc.simulator.town import Town
from td3_hpc.simulator.traffic_lights import LightGroup, StopBoxes
from td3_hpc.simulator.vehicle import step_vehicle
from td3_hpc.simulator.weather import Weather

DEFAULT_SETTINGS = [True, False, [True, 0.05], True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True]
"""EpisodeSettings: a fresh server is synchronous, so that no step depends on when a client came."""
ASYNCHRONOUS_STEP_S = 0.05


class SpawnError(Exception):
    """Why an actor cannot be spawned, in CARLA's words."""


class World:
    """One world. Time is counted in ticks since the episode's start; no message holds a wall-clock time."""

    def __init__(self, town: Town, streams: Streams) -> None:
        self.streams = streams
        self.settings: list[Any] = [*DEFAULT_SETTINGS]
        self.weather = Weather()
        self.frame = 0
        self.episode_id = 0
        self.stream_id = streams.create()
        self.actors: dict[int, Actor] = {}
        self._renderer: Renderer | None = None
        self.load(town)

    # ---- episodes -------------------------------------------------------------------------------------------------
    def load(self, town: Town) -> None:
        """Start a new episode in a town: no actors but its own, ids and clock from the start."""
        if self.episode_id == 0 or town is not self.town:
            self.town = town
            self._renderer = None
        for actor in self.actors.values():
            self.streams.destroy(actor.stream_id)
        self.actors = {}
        self.episode_id += 1
        self._next_id = 1
        self._ticks = 0
        self.elapsed = 0.0
        self.lights_frozen = False
        self.spectator = self._add(Actor(0, "spectator", 0, [], Pose(0, 0, 50, -90, 0, 0)))
        lights = {site.signal_id: self._add_light(site, index) for index, site in enumerate(town.traffic_lights)}
        for site in town.signs:
            sign = TrafficSign(0, site.kind, 0, [], site.pose, signal_id=site.signal_id)
            _set_trigger(sign, site.trigger)
            self._add(sign)
        self.lights = lights
        self.light_groups = [LightGroup(group, lights) for group in town.signal_groups]
        self._stop_boxes = StopBoxes(town, lights)
        self._sensors = Sensors(self)
        self.publish()

    def _add_light(self, site: Any, index: int) -> TrafficLight:
        light = TrafficLight(0, "traffic.traffic_light", 0, [], site.pose, signal_id=site.signal_id, pole_index=index)
        _set_trigger(light, site.trigger)
        self._add(light)
        return light

    # ---- actors ---------------------------------------------------------------------------------------------------
    def _add(self, actor: Actor) -> Actor:
        actor.id = self._next_id
        self._next_id += 1
        self.actors[actor.id] = actor
        return actor

    def spawn(self, description: list[Any], pose: Pose, parent: Actor | None = None) -> Actor:
        """Spawn what an ActorDescription says, attached to `parent` where there is one. Raises SpawnError."""
        uid, type_id, attributes = description[:3]
        blueprint = library().get(type_id)
        if blueprint is None:
            raise SpawnError("Spawn failed because of invalid actor description")
        actor = _make(blueprint, uid, attributes, pose)
        if parent is not None:
            actor.parent, actor.mount = parent, pose
            actor.pose = _mounted(parent.pose, pose)
        elif isinstance(actor, Vehicle | Walker) and overlaps(_box_of(actor), self.movers()):
            raise SpawnError("Spawn failed because of collision at spawn position")
        self._add(actor)
        if type_id.startswith("sensor.") and type_id != "sensor.other.lane_invasion":
            actor.stream_id = self.streams.create()
        return actor

    def destroy(self, actor: Actor) -> None:
        """Remove an actor, with all that is attached to it."""
        for child in [other for other in self.actors.values() if other.parent is actor]:
            self.destroy(child)
        self.actors.pop(actor.id, None)
        self.streams.destroy(actor.stream_id)

    @property
    def renderer(self) -> Renderer:
        """Draws the town; built when the first camera is listened to."""
        if self._renderer is None:
            self._renderer = Renderer(self.town)
        return self._renderer

    def movers(self) -> list[Actor]:
        """Vehicles, walkers and props, in the order of their ids."""
        return [a for a in self.actors.values() if isinstance(a, Vehicle | Walker) or a.type_id.startswith("static.")]

    def vehicles(self) -> list[Vehicle]:
        return [actor for actor in self.actors.values() if isinstance(actor, Vehicle)]

    # ---- time -----------------------------------------------------------------------------------------------------
    @property
    def synchronous(self) -> bool:
        return bool(self.settings[0])

    @property
    def step_seconds(self) -> float:
        """Simulated seconds of one step."""
        fixed = self.settings[2]
        return float(fixed[1]) if fixed[0] and fixed[1] else ASYNCHRONOUS_STEP_S

    def step(self) -> int:
        """Advance the world by one step, and send everybody what has become of it; the frame's number."""
        dt = self.step_seconds
        self.frame += 1
        self._ticks += 1
        self.elapsed = self._ticks * dt
        vehicles = self.vehicles()
        for vehicle in vehicles:
            step_vehicle(vehicle, self.town, dt)
        for actor in self.actors.values():
            if isinstance(actor, Walker):
                self._walk(actor, dt)
        contacts = resolve_collisions(self.movers(), self.town)
        if not self.lights_frozen:
            for group in self.light_groups:
                group.step(dt)
        self._stop_boxes.show_to(vehicles)
        for actor in self.actors.values():
            if actor.parent is not None and actor.mount is not None:
                actor.pose = _mounted(actor.parent.pose, actor.mount)
                actor.velocity = actor.parent.velocity
        self.publish()
        self._sensors.send(self._new_contacts(contacts))
        return self.frame

    def _walk(self, walker: Walker, dt: float) -> None:
        dx, dy, _ = walker.direction
        length = math.hypot(dx, dy) or 1.0
        speed = walker.walking_speed
        walker.velocity = (dx / length * speed, dy / length * speed, 0.0)
        x, y = walker.pose.x + walker.velocity[0] * dt, walker.pose.y + walker.velocity[1] * dt
        yaw = math.degrees(math.atan2(dy, dx)) if speed else walker.pose.yaw
        z = self.town.ground(x, y, walker.pose.z).z + walker.extent[2]
        walker.pose = Pose(x, y, z, 0.0, yaw, 0.0)

    def _new_contacts(self, contacts: list[Contact]) -> list[Contact]:
        """Those that were not touching a tick ago: a collision is one event, however long the two stay in touch."""
        touching: dict[int, set[int]] = {}
        new = []
        for contact in contacts:
            other = contact.other.id if contact.other else 0
            touching.setdefault(contact.vehicle.id, set()).add(other)
            if other not in contact.vehicle.touching:
                new.append(contact)
        for vehicle in self.vehicles():
            vehicle.touching = frozenset(touching.get(vehicle.id, ()))
        return new

    # ---- what clients see -----------------------------------------------------------------------------------------
    def publish(self) -> None:
        """Send the world's state to every client."""
        parts = [
            wire.HEADER.pack(wire.SensorType.WORLD, self.frame, self.elapsed, 0, 0, 0, 0, 0, 0),
            wire.EPISODE.pack(self.episode_id, self.elapsed, self.step_seconds, 0, 0, 0, 0),
        ]
        parts += [_state(actor) for actor in self.actors.values()]
        self.streams.send(self.stream_id, b"".join(parts), keep=True)

    def describe(self, actor: Actor, token: bytes) -> list[Any]:
        """`Actor` on the wire."""
        box = [list(actor.centre), list(actor.extent), [0.0, 0.0, 0.0], 0]
        description = [actor.uid, actor.type_id, actor.attributes]
        return [actor.id, actor.parent.id if actor.parent else 0, description, box, actor.tags, token]


def _make(blueprint: Blueprint, uid: int, attributes: list[Any], pose: Pose) -> Actor:
    family, _, name = blueprint.id.partition(".")
    if family == "vehicle":
        model = VEHICLES[name]
        extent = (model.length / 2, model.width / 2, model.height / 2)
        tags = bytes([label_of(model)])
        return Vehicle(0, blueprint.id, uid, attributes, pose, extent, (0.0, 0.0, extent[2]), tags, model=model)
    if family == "walker":
        return Walker(
            0, blueprint.id, uid, attributes, pose, (0.19, 0.19, 0.93), tags=bytes([CityObjectLabel.PEDESTRIANS])
        )
    if family == "static":
        length, width, height = PROPS[name.removeprefix("prop.")]
        extent = (length / 2, width / 2, height / 2)
        return Actor(
            0, blueprint.id, uid, attributes, pose, extent, (0.0, 0.0, extent[2]), bytes([CityObjectLabel.STATIC])
        )
    return Actor(0, blueprint.id, uid, attributes, pose)


def _set_trigger(actor: Actor, box: OrientedBox) -> None:
    """The actor's bounding box is its trigger volume, in its own frame."""
    ahead, right = actor.pose.offset_of(box.centre.x, box.centre.y)
    actor.centre, actor.extent = (ahead, right, box.centre.z - actor.pose.z), box.extent


def _box_of(actor: Actor) -> OrientedBox:
    centre = actor.pose.ahead(actor.centre[0], actor.centre[1], actor.centre[2])
    return OrientedBox(centre, actor.extent)


def _mounted(parent: Pose, mount: Pose) -> Pose:
    """The world pose of something mounted on a parent."""
    cy, sy = math.cos(math.radians(parent.yaw)), math.sin(math.radians(parent.yaw))
    cp, sp = math.cos(math.radians(parent.pitch)), math.sin(math.radians(parent.pitch))
    cr, sr = math.cos(math.radians(parent.roll)), math.sin(math.radians(parent.roll))
    x, y, z = mount.x, mount.y, mount.z
    world_x = x * cp * cy + y * (cy * sp * sr - sy * cr) - z * (cy * sp * cr + sy * sr)
    world_y = x * cp * sy + y * (sy * sp * sr + cy * cr) + z * (cy * sr - sy * sp * cr)
    world_z = x * sp - y * cp * sr + z * cp * cr
    return Pose(
        parent.x + world_x,
        parent.y + world_y,
        parent.z + world_z,
        parent.pitch + mount.pitch,
        parent.yaw + mount.yaw,
        parent.roll + mount.roll,
    )


def _state(actor: Actor) -> bytes:
    pose = actor.pose
    packed = wire.ACTOR.pack(
        actor.id, wire.ACTIVE, pose.x, pose.y, pose.z, pose.pitch, pose.yaw, pose.roll,
        *actor.velocity, 0.0, 0.0, actor.yaw_rate, *actor.acceleration,
    )  # fmt: skip
    if isinstance(actor, Vehicle):
        packed += wire.VEHICLE.pack(
            *actor.control[:7], actor.speed_limit_kmh, actor.light_state, actor.light_id != 0, actor.light_id, 0
        )
    elif isinstance(actor, TrafficLight):
        packed += wire.TRAFFIC_LIGHT.pack(
            actor.signal_id.encode()[:31], actor.green_s, actor.yellow_s, actor.red_s, actor.elapsed,
            actor.pole_index, actor.frozen, actor.state,
        )  # fmt: skip
    elif isinstance(actor, TrafficSign):
        packed += actor.signal_id.encode()[:31]
    elif isinstance(actor, Walker):
        packed += wire.WALKER.pack(*actor.direction, actor.walking_speed, actor.jump)
    return packed.ljust(wire.ACTOR_STATE_BYTES, b"\0")
