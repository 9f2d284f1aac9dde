"""What sensors measure after each step. A sensor that nobody listens to computes nothing."""

import math
import random
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Protocol

import carla
import msgpack

from td3_hpc.simulator import wire
from td3_hpc.simulator.actors import Actor, Sensor, TrafficLight, Vehicle, Walker
from td3_hpc.simulator.blueprints import is_true
from td3_hpc.simulator.collisions import Contact
from td3_hpc.simulator.drawing.bodies import DynamicBox
from td3_hpc.simulator.drawing.camera import CameraKind, CameraView, Renderer
from td3_hpc.simulator.drawing.scene import VIEW_DISTANCE_UPRIGHT
from td3_hpc.simulator.drawing.weather import Weather
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.mounting import axes_of, seen_from
from td3_hpc.simulator.population import Population
from td3_hpc.simulator.rays import body_hits, ray_along, scenery_hits
from td3_hpc.simulator.settings import EpisodeSettings
from td3_hpc.simulator.streams import Streams
from td3_hpc.simulator.towns.town import Town

_CAMERAS: dict[str, tuple[wire.SensorType, CameraKind]] = {
    "sensor.camera.rgb": (wire.SensorType.RGB, "rgb"),
    "sensor.camera.depth": (wire.SensorType.DEPTH, "depth"),
    "sensor.camera.semantic_segmentation": (wire.SensorType.SEMANTIC, "semantic_segmentation"),
    "sensor.camera.instance_segmentation": (wire.SensorType.INSTANCE, "instance_segmentation"),
}
_BRAKE_LIGHT = 8  # VehicleLightState
_ROUNDING_S = 1e-6
_FAR_AWAY = (VIEW_DISTANCE_UPRIGHT + 50.0) ** 2
"""No actor reaches into a picture from farther away, square metres."""


class Surroundings(Protocol):
    """What sensors measure: the world after a step, as far as it concerns them."""

    streams: Streams
    settings: EpisodeSettings
    population: Population
    town: Town
    lights: dict[str, TrafficLight]
    weather: Weather
    frame: int
    ticks: int
    imu_gravity: float

    @property
    def elapsed_s(self) -> float:
        """Simulated seconds since the episode's start."""

    @property
    def renderer(self) -> Renderer:
        """Draws the town."""

    def describe(self, actor: Actor) -> list[Any]:
        """`Actor` on the wire."""


def send_measurements(world: Surroundings, contacts: list[Contact]) -> list[Sensor]:
    """Let every sensor that is listened to and due measure, and send what it measured; returns the cameras among them,
    whose pictures are still to be sent."""
    cameras = []
    for sensor in world.population.sensors:
        if not world.streams.has_subscribers(sensor.stream_id):
            continue
        if sensor.type_id == "sensor.other.collision":
            for body in _collisions(world, sensor, contacts):
                _send(world, sensor, wire.SensorType.COLLISION, body)
        elif _is_due(sensor, world.elapsed_s):
            if sensor.type_id in _CAMERAS:
                if not world.settings.no_rendering_mode:
                    cameras.append(sensor)
            else:
                kind, measure = _MEASUREMENTS[sensor.type_id]
                measured = measure(world, sensor)
                if measured is not None:
                    _send(world, sensor, kind, measured)
    return cameras


def send_pictures(world: Surroundings, cameras: list[Sensor]) -> None:
    """Draw what each camera sees, and send it."""
    picture = _Pictures(world)
    for sensor in cameras:
        _send(world, sensor, _CAMERAS[sensor.type_id][0], picture.of(sensor))


def _is_due(sensor: Sensor, now_s: float) -> bool:
    period = float(sensor.attributes["sensor_tick"])
    if period <= 0.0:
        return True
    if now_s < sensor.due_s - _ROUNDING_S:
        return False
    following = sensor.due_s + period
    sensor.due_s = following if following > now_s + _ROUNDING_S else now_s + period
    return True


def _send(world: Surroundings, sensor: Sensor, kind: wire.SensorType, body: bytes) -> None:
    world.streams.send(sensor.stream_id, wire.HEADER.pack(kind, world.frame, world.elapsed_s, *sensor.pose) + body)


def _collisions(world: Surroundings, sensor: Sensor, contacts: Iterable[Contact]) -> Iterator[bytes]:
    for contact in contacts:
        if contact.vehicle is sensor.parent:
            other = contact.other
            hit = world.describe(other) if isinstance(other, Actor) else _scenery(other.label)
            yield msgpack.packb([world.describe(contact.vehicle), hit, list(contact.impulse)])
        elif contact.other is sensor.parent and not isinstance(contact.other, Vehicle):  # of which there is no contact
            opposite = [-part for part in contact.impulse]
            yield msgpack.packb([world.describe(sensor.parent), world.describe(contact.vehicle), opposite])


def _scenery(label: int) -> list[object]:
    """`Actor` of something that is none."""
    name = _SCENERY.get(label, "static.unknown")
    return [0, 0, [0, name, []], wire.bounding_box((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), bytes([label]), b""]


_SCENERY = {3: "static.building", 4: "static.wall", 5: "static.fence", 6: "static.pole", 28: "static.guardrail"}


class _Pictures:
    """Cameras of one step; they share what moves."""

    def __init__(self, world: Surroundings) -> None:
        self._world = world
        self._boxes: dict[int, DynamicBox] = {}
        self._lights = {light.signal_id: light.colour for light in world.lights.values()}

    def of(self, sensor: Sensor) -> bytes:
        """Image header and pixels, B G R A."""
        world, attributes = self._world, sensor.attributes
        width, height = int(attributes["image_size_x"]), int(attributes["image_size_y"])
        fov = float(attributes["fov"])
        view, kind = CameraView(sensor.pose, width, height, fov), _CAMERAS[sensor.type_id][1]
        picture = world.renderer.render(view, kind, self._boxes_before(sensor.pose), self._lights, world.weather)
        return wire.IMAGE.pack(width, height, fov) + picture.tobytes()

    def _boxes_before(self, eye: Pose) -> list[DynamicBox]:
        """What may be in a picture taken here; most of a town's actors are behind the camera or far away."""
        found = []
        (fx, fy, fz), _, _ = axes_of(eye)
        eye_x, eye_y, eye_z, _, _, _ = eye
        for actor in self._world.population.solid:
            x, y, z, _, _, _ = actor.pose
            dx, dy = x - eye_x, y - eye_y
            if dx * dx + dy * dy > _FAR_AWAY:
                continue
            reach = 2.0 * sum(actor.extent) + 1.0
            ahead = dx * fx + dy * fy + (z - eye_z) * fz
            if ahead > -reach and dx * dx + dy * dy < (VIEW_DISTANCE_UPRIGHT + reach) ** 2:
                box = self._boxes.get(actor.id)
                if box is None:
                    box = self._boxes[actor.id] = _box(actor)
                found.append(box)
        return found


def _box(actor: Actor) -> DynamicBox:
    braking = isinstance(actor, Vehicle) and (actor.control.brake > 0.05 or bool(actor.lights & _BRAKE_LIGHT))
    centre = actor.pose.ahead(*actor.centre)
    colour = _bgr(actor.attributes.get("color", "120,120,120"))
    return DynamicBox(actor.id, centre, *actor.extent, colour, actor.tags[0], braking)


@lru_cache(maxsize=1024)
def _bgr(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(part) for part in colour.split(","))
    return blue, green, red


def _imu(world: Surroundings, sensor: Sensor) -> bytes:
    """Acceleration with gravity's reaction and rotation in the sensor's frame; compass from north, -y, clockwise."""
    noise = _noise(world, sensor)
    body = sensor.parent or sensor
    ax, ay, az = body.acceleration
    attributes = sensor.attributes
    accelerometer = [
        value + noise(float(attributes[f"noise_accel_stddev_{axis}"]))
        for axis, value in zip("xyz", seen_from(sensor.pose, (ax, ay, az + world.imu_gravity)))
    ]
    gyroscope = [
        value + float(attributes[f"noise_gyro_bias_{axis}"]) + noise(float(attributes[f"noise_gyro_stddev_{axis}"]))
        for axis, value in zip("xyz", seen_from(sensor.pose, (*body.tilting, body.yaw_rate)))
    ]
    compass = math.radians((sensor.pose.yaw + 90.0) % 360.0)
    return bytes(msgpack.packb([accelerometer, gyroscope, compass]))


def _gnss(world: Surroundings, sensor: Sensor) -> bytes:
    noise, attributes, pose = _noise(world, sensor), sensor.attributes, sensor.pose
    place = world.town.map.transform_to_geolocation(carla.Location(pose.x, pose.y, pose.z))
    values = zip(("lat", "lon", "alt"), (place.latitude, place.longitude, place.altitude))
    measured = [
        value + float(attributes[f"noise_{axis}_bias"]) + noise(float(attributes[f"noise_{axis}_stddev"]))
        for axis, value in values
    ]
    return bytes(msgpack.packb(measured))


def _noise(world: Surroundings, sensor: Sensor) -> Callable[[float], float]:
    """Gaussian noise that depends on the sensor's seed and the time since loading only."""
    source: random.Random | None = None

    def draw(deviation: float) -> float:
        nonlocal source
        if deviation == 0.0:
            return 0.0
        source = source or random.Random(f"{sensor.attributes['noise_seed']} {sensor.type_id} {world.ticks}")
        return source.gauss(0.0, deviation)

    return draw


def _obstacle(world: Surroundings, sensor: Sensor) -> bytes | None:
    """The nearest thing ahead, within the sensor's distance: what can move, and without `only_dynamics` all but the
    ground."""
    if sensor.parent is None:
        return None
    attributes = sensor.attributes
    reach, radius = float(attributes["distance"]), float(attributes["hit_radius"])
    ray = ray_along(sensor.pose[:3], axes_of(sensor.pose)[0], reach)
    only_dynamics = is_true(attributes["only_dynamics"])
    others = [
        actor
        for actor in world.population.solid
        if actor is not sensor.parent and (not only_dynamics or _is_dynamic(actor))
    ]
    found = list(body_hits(ray, others, radius))
    if not only_dynamics:
        found += scenery_hits(ray, world.town, radius)
    if not found:
        return None
    nearest = min(found, key=lambda hit: hit.distance)
    other = nearest.thing
    met = world.describe(other) if isinstance(other, Actor) else _scenery(nearest.label)
    return bytes(msgpack.packb([world.describe(sensor.parent), met, nearest.distance]))


def _is_dynamic(actor: Actor) -> bool:
    return isinstance(actor, (Vehicle, Walker)) or actor.simulates_physics


_MEASUREMENTS: dict[str, tuple[wire.SensorType, Callable[[Surroundings, Sensor], bytes | None]]] = {
    "sensor.other.imu": (wire.SensorType.IMU, _imu),
    "sensor.other.gnss": (wire.SensorType.GNSS, _gnss),
    "sensor.other.obstacle": (wire.SensorType.OBSTACLE, _obstacle),
}
