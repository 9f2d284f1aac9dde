"""The world: its actors, and what one step does to them."""

import math
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from td3_hpc.simulator import wire
from td3_hpc.simulator.ackermann import follow
from td3_hpc.simulator.actors import Actor, FrictionTrigger, Sensor, TrafficLight, Vehicle, VehicleControl
from td3_hpc.simulator.collisions import Contact, overlaps, resolve_collisions
from td3_hpc.simulator.drawing.camera import Renderer
from td3_hpc.simulator.drawing.town_scene import build_scene
from td3_hpc.simulator.drawing.weather import Weather
from td3_hpc.simulator.friction_triggers import apply_friction
from td3_hpc.simulator.geometry import OrientedBox, Pose
from td3_hpc.simulator.loose_bodies import step_body
from td3_hpc.simulator.mounting import mounted
from td3_hpc.simulator.physics import GRAVITY
from td3_hpc.simulator.population import Population
from td3_hpc.simulator.sensors import send_measurements, send_pictures
from td3_hpc.simulator.settings import FRESH, EpisodeSettings
from td3_hpc.simulator.spawning import CLIENT_SIDE, make_actor, make_light, make_sign
from td3_hpc.simulator.streams import Streams
from td3_hpc.simulator.towns.town import Town
from td3_hpc.simulator.traffic_lights import LightGroup, StopBoxes
from td3_hpc.simulator.vehicle import step_vehicles
from td3_hpc.simulator.walking import walk
from td3_hpc.simulator.wire import Refused

_SPECTATOR = Pose(0.0, 0.0, 50.0, -90.0, 0.0, 0.0)


class World:
    """One world. Time is counted in steps of the present length; no message holds a wall-clock time.

    Attributes:
        frame: number of the last step; never goes back.
        episode_id: grows with every `load`.
        ticks: steps since the episode's start.
        next_town: the town that is loaded after the next step, if one has been asked for.
        lights: the town's traffic lights by signal id.
        contacts: of the last step.
        imu_gravity: m/s², as accelerometers take it.
    """

    def __init__(
        self, town: Town, streams: Streams, settings: EpisodeSettings = FRESH, numbers_anew: bool = False
    ) -> None:
        """Actors of each episode are numbered on from those before, as in CARLA, or from 1 with `numbers_anew`."""
        self._numbers_anew = numbers_anew
        self.streams, self.settings = streams, settings
        streams.lossless = settings.synchronous_mode
        self.stream_id = streams.create()
        self.weather = Weather()
        self.frame = self.episode_id = 0
        self.population = Population()
        self.town = town
        self.next_town: Town | None = None
        self._renderer: Future[Renderer] | None = None
        self._cameras_due: list[Sensor] = []
        self.contacts: list[Contact] = []
        self.load(town)

    # ---- episodes -------------------------------------------------------------------------------------------------
    def load(self, town: Town) -> None:
        """Start a new episode in a town: no actors but its own; clock and lights from the start.

        Who subscribes before its first step sees it as it is; the others are told with that step.
        """
        self._set_town(town)
        self.next_town, self._is_new = None, True
        for sensor in self.population.sensors:
            self.streams.destroy(sensor.stream_id)
        self.imu_gravity = GRAVITY
        self.episode_id += 1
        self.ticks = self._ticks_before = 0
        self._seconds_before = 0.0
        self.population = Population(0 if self._numbers_anew else self.population.last_id)
        self.spectator = Actor(0, "spectator", _SPECTATOR)
        self.population.add(self.spectator)
        self.lights: dict[str, TrafficLight] = {}
        for number, site in enumerate(town.traffic_lights):
            self.lights[site.signal_id] = light = make_light(site, number)
            self.population.add(light)
        for sign in town.signs:
            self.population.add(make_sign(sign))
        self.light_groups = [LightGroup(group, self.lights) for group in town.signal_groups]
        self._stop_boxes = StopBoxes(town, self.lights)
        self.streams.keep(self.stream_id, self._state())

    def _set_town(self, town: Town) -> None:
        if town is not self.town:
            self._renderer = None
        town.find_edge_objects()
        self.town = town

    def show_scenery(self, numbers: Iterable[int], shown: bool) -> None:
        """Put pieces of scenery away, or back; they are numbered from 1 as the town's file has them.

        Raises Refused for one that there is not.
        """
        town, changed = self.town, set(numbers)
        unknown = changed - set(range(1, len(town.whole.edge_objects) + 1))
        if unknown:
            raise Refused(f"enable_environment_objects: there is no environment object {min(unknown)}")
        self._set_town(town.without(town.hidden - changed if shown else town.hidden | changed))

    def apply_settings(self, settings: EpisodeSettings) -> None:
        """Settings for the steps to come."""
        if settings.step_seconds != self.settings.step_seconds:
            self._seconds_before, self._ticks_before = self.elapsed_s, self.ticks
        self.settings = settings
        self.streams.lossless = settings.synchronous_mode

    @property
    def elapsed_s(self) -> float:
        """Simulated seconds since the episode's start.

        A sum over the lengths that a step has had, not over the steps: their rounding errors would add up.
        """
        return self._seconds_before + (self.ticks - self._ticks_before) * self.settings.step_seconds

    # ---- actors ---------------------------------------------------------------------------------------------------
    def spawn(self, description: list[Any], pose: Pose, parent: Actor | None = None) -> Actor:
        """Spawn what an ActorDescription says; `pose` is in the parent's frame where there is one. Raises Refused."""
        actor = make_actor(description, pose)
        if parent is not None:
            actor.parent, actor.mount = parent, pose
            actor.pose = mounted(parent.pose, pose)
        elif actor.collides and not isinstance(actor, (Sensor, FrictionTrigger)) and self._is_taken(actor):
            raise Refused("Spawn failed because of collision at spawn position")
        if isinstance(actor, Sensor) and actor.type_id != CLIENT_SIDE:
            actor.stream_id = self.streams.create()
        self.population.add(actor)
        return actor

    def _is_taken(self, actor: Actor) -> bool:
        """Whether something solid is where the actor would be."""
        box = OrientedBox(actor.pose.ahead(*actor.centre), actor.extent)
        near = self.town.edge_objects_near(box.centre.x, box.centre.y, math.hypot(*actor.extent[:2]))
        return overlaps(box, self.population.solid, near)

    def destroy(self, actor: Actor) -> None:
        """Remove an actor and, first, what is attached to it."""
        for child in [other for other in self.population.attached if other.parent is actor]:
            self.destroy(child)
        self.population.remove(actor)
        if isinstance(actor, Sensor):
            self.streams.destroy(actor.stream_id)

    def prepare_pictures(self) -> None:
        """Begin to build the town's scene, beside the answers to clients: the first picture need not wait for it."""
        if self._renderer is None:
            self._renderer = Future()
            threading.Thread(target=_build, args=(self.town, self._renderer), daemon=True).start()

    @property
    def renderer(self) -> Renderer:
        """Draws the town."""
        self.prepare_pictures()
        assert self._renderer is not None
        return self._renderer.result()

    # ---- time -----------------------------------------------------------------------------------------------------
    def step(self) -> int:
        """Advance the world by one step, and send everybody what has become of it. Returns the frame's number.

        Pictures, which take longest, are left to `draw`: the client's Traffic Manager starts on the step meanwhile.
        """
        self.draw()
        dt = self.settings.step_seconds
        self.frame += 1
        self.ticks += 1
        people = self.population
        for vehicle in people.vehicles:
            if not (vehicle.is_sticky or vehicle.is_commanded):
                vehicle.command(VehicleControl())
            vehicle.is_commanded = False
            if vehicle.ackermann is not None:
                vehicle.control = follow(vehicle, vehicle.ackermann, dt)
        apply_friction(people.triggers, people.vehicles)
        step_vehicles(people.vehicles, self.town, dt)
        for walker in people.walkers:
            if not walker.simulates_physics:
                walk(walker, self.town, dt)
        for body in people.solid:
            if body.simulates_physics and not isinstance(body, Vehicle):
                step_body(body, self.town, dt)
        self.contacts = resolve_collisions(people.solid, self.town)
        for vehicle in people.vehicles:
            (vx, vy, vz), (ux, uy, uz) = vehicle.velocity, vehicle.velocity_before
            vehicle.acceleration = ((vx - ux) / dt, (vy - uy) / dt, (vz - uz) / dt)
        for group in self.light_groups:
            group.step(dt)
        self._stop_boxes.show_to(people.vehicles)
        for actor in people.attached:
            if actor.parent is not None and actor.mount is not None:
                actor.pose = mounted(actor.parent.pose, actor.mount)
                actor.velocity, actor.acceleration = actor.parent.velocity, actor.parent.acceleration
                actor.yaw_rate, actor.tilting = actor.parent.yaw_rate, actor.parent.tilting
        self.publish()
        self._cameras_due = send_measurements(self, self.contacts)
        if self.next_town is not None:
            self.draw()
            self.load(self.next_town)
            self.prepare_pictures()
        return self.frame

    def draw(self) -> None:
        """Send the pictures of the last step that have not been sent. Nothing may change the world before it.

        In asynchronous mode there are none until the scene is built: clients would wait for it with every call.
        """
        due, self._cameras_due = self._cameras_due, []
        if not due:
            return
        self.prepare_pictures()
        if self.streams.lossless or (self._renderer is not None and self._renderer.done()):
            send_pictures(self, due)

    # ---- what clients see -----------------------------------------------------------------------------------------
    def publish(self) -> None:
        """Send the world's state to every client, and keep it for those that come before the next step."""
        state = self._state()
        self.streams.keep(self.stream_id, state)
        self.streams.send(self.stream_id, self._state(wire.MAP_CHANGE) if self._is_new else state)
        self._is_new = False

    def _state(self, simulation_state: int = 0) -> bytes:
        elapsed, step_s = self.elapsed_s, self.settings.step_seconds
        parts = [
            wire.HEADER.pack(wire.SensorType.WORLD, self.frame, elapsed, 0, 0, 0, 0, 0, 0),
            wire.EPISODE.pack(self.episode_id, elapsed, step_s, 0, 0, 0, simulation_state),
        ]
        parts += [actor.state() for actor in self.population.by_id.values()]
        return b"".join(parts)

    def describe(self, actor: Actor, token: bytes = b"") -> list[Any]:
        """`Actor` on the wire."""
        parent = actor.parent.id if actor.parent else 0
        description = [actor.uid, actor.type_id, actor.attributes_sent]
        return [actor.id, parent, description, actor.bounding_box(), actor.tags, token]


def _build(town: Town, into: Future[Renderer]) -> None:
    try:
        away = [thing for number, thing in enumerate(town.whole.edge_objects, 1) if number in town.hidden]
        scene = build_scene(town.map, town.opendrive, town.traffic_lights, town.signs, town.edge_objects, away)
        into.set_result(Renderer(scene))
    except Exception as error:  # told to whoever asks for a picture
        into.set_exception(error)
