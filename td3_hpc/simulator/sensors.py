"""What sensors send after each step. A sensor that nobody listens to computes nothing."""

import math
from typing import TYPE_CHECKING

import carla
import msgpack

from td3_hpc.simulator import wire
from td3_hpc.simulator.actors import Actor, Vehicle
from td3_hpc.simulator.bodies import DynamicBox
from td3_hpc.simulator.camera import CameraView
from td3_hpc.simulator.collisions import Contact
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.vehicle import GRAVITY

if TYPE_CHECKING:
    from td3_hpc.simulator.world import World

_CAMERAS = {
    "sensor.camera.rgb": (wire.SensorType.RGB, "rgb"),
    "sensor.camera.depth": (wire.SensorType.DEPTH, "depth"),
    "sensor.camera.semantic_segmentation": (wire.SensorType.SEMANTIC, "semantic_segmentation"),
    "sensor.camera.instance_segmentation": (wire.SensorType.INSTANCE, "instance_segmentation"),
}


class Sensors:
    """The sensors of one episode."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._due: dict[int, float] = {}
        """When a sensor with a `sensor_tick` measures next, seconds."""

    def send(self, contacts: list[Contact]) -> None:
        """Measure, and send to whoever listens."""
        world = self._world
        drawn: tuple[list[DynamicBox], dict[str, int]] | None = None
        for sensor in list(world.actors.values()):
            if not sensor.stream_id or not world.streams.has_subscribers(sensor.stream_id):
                continue
            if sensor.type_id == "sensor.other.collision":
                self._collisions(sensor, contacts)
            elif self._is_due(sensor):
                if sensor.type_id in _CAMERAS:
                    drawn = drawn or (self._boxes(), self._lights())
                    self._camera(sensor, *drawn)
                elif sensor.type_id == "sensor.other.imu":
                    self._imu(sensor)
                elif sensor.type_id == "sensor.other.gnss":
                    self._gnss(sensor)
                elif sensor.type_id == "sensor.other.obstacle":
                    self._obstacle(sensor)

    def _is_due(self, sensor: Actor) -> bool:
        period = float(sensor.attribute("sensor_tick", "0"))
        now = self._world.elapsed
        if period <= 0:
            return True
        if now < self._due.get(sensor.id, 0.0) - 1e-6:
            return False
        self._due[sensor.id] = now + period
        return True

    def _send(self, sensor: Actor, kind: int, body: bytes) -> None:
        world, pose = self._world, sensor.pose
        header = wire.HEADER.pack(
            kind, world.frame, world.elapsed, pose.x, pose.y, pose.z, pose.pitch, pose.yaw, pose.roll
        )
        world.streams.send(sensor.stream_id, header + body)

    def _collisions(self, sensor: Actor, contacts: list[Contact]) -> None:
        for contact in contacts:
            if contact.vehicle is not sensor.parent:
                continue
            own = self._world.describe(contact.vehicle, b"")
            if contact.other is not None:
                other = self._world.describe(contact.other, b"")
            else:
                label = contact.scenery.label if contact.scenery else 0
                name = contact.scenery.label.name.lower() if contact.scenery else "unknown"
                zero = [0.0, 0.0, 0.0]
                other = [0, 0, [0, f"static.{name}", []], [zero, zero, zero, 0], bytes([label]), b""]
            self._send(sensor, wire.SensorType.COLLISION, msgpack.packb([own, other, list(contact.impulse)]))

    def _camera(self, sensor: Actor, boxes: list[DynamicBox], lights: dict[str, int]) -> None:
        kind, name = _CAMERAS[sensor.type_id]
        width, height = int(sensor.attribute("image_size_x", "800")), int(sensor.attribute("image_size_y", "600"))
        fov = float(sensor.attribute("fov", "90"))
        view = CameraView(sensor.pose, width, height, fov)
        picture = self._world.renderer.render(view, name, boxes, lights, self._world.weather)  # type: ignore[arg-type]
        self._send(sensor, kind, wire.IMAGE.pack(width, height, fov) + picture.tobytes())

    def _boxes(self) -> list[DynamicBox]:
        boxes = []
        for actor in self._world.movers():
            pose, (ahead, right, up) = actor.pose, actor.centre
            centre = pose.ahead(ahead, right, up)
            braking = isinstance(actor, Vehicle) and actor.control[2] > 0.05
            colour = tuple(int(part) for part in actor.attribute("color", "120,120,120").split(",")[::-1])
            label = actor.tags[0] if actor.tags else 0
            boxes.append(DynamicBox(actor.id, centre, *actor.extent, colour, label, braking))  # type: ignore[arg-type]
        return boxes

    def _lights(self) -> dict[str, int]:
        return {name: light.state for name, light in self._world.lights.items()}

    def _imu(self, sensor: Actor) -> None:
        parent = sensor.parent or sensor
        yaw = math.radians(parent.pose.yaw)
        ax, ay, az = parent.acceleration
        accelerometer = [ax * math.cos(yaw) + ay * math.sin(yaw), ay * math.cos(yaw) - ax * math.sin(yaw), az + GRAVITY]
        gyroscope = [0.0, 0.0, math.radians(parent.yaw_rate)]
        compass = math.radians((sensor.pose.yaw + 90.0) % 360.0)  # north is -y
        self._send(sensor, wire.SensorType.IMU, msgpack.packb([accelerometer, gyroscope, compass]))

    def _gnss(self, sensor: Actor) -> None:
        pose = sensor.pose
        place = self._world.town.map.transform_to_geolocation(carla.Location(pose.x, pose.y, pose.z))
        self._send(sensor, wire.SensorType.GNSS, msgpack.packb([place.latitude, place.longitude, place.altitude]))

    def _obstacle(self, sensor: Actor) -> None:
        reach = float(sensor.attribute("distance", "5"))
        radius = float(sensor.attribute("hit_radius", "0.5"))
        nearest: tuple[float, Actor] | None = None
        for actor in self._world.movers():
            if actor is sensor.parent:
                continue
            distance = _distance_ahead(sensor.pose, actor, radius)
            if distance is not None and distance <= reach and (nearest is None or distance < nearest[0]):
                nearest = distance, actor
        if nearest is None or sensor.parent is None:
            return
        own, other = self._world.describe(sensor.parent, b""), self._world.describe(nearest[1], b"")
        self._send(sensor, wire.SensorType.OBSTACLE, msgpack.packb([own, other, nearest[0]]))


def _distance_ahead(eye: Pose, actor: Actor, radius: float) -> float | None:
    """Metres along the sensor's axis to an actor's box widened by `radius`; None where the axis misses it."""
    cos, sin = math.cos(math.radians(actor.pose.yaw)), math.sin(math.radians(actor.pose.yaw))
    dx, dy = eye.x - actor.pose.x, eye.y - actor.pose.y
    ox, oy = dx * cos + dy * sin - actor.centre[0], dy * cos - dx * sin - actor.centre[1]
    ray = math.radians(eye.yaw - actor.pose.yaw)
    enter, leave = 0.0, math.inf
    for origin, direction, half in ((ox, math.cos(ray), actor.extent[0]), (oy, math.sin(ray), actor.extent[1])):
        half += radius
        if abs(direction) < 1e-9:
            if abs(origin) > half:
                return None
            continue
        near, far = sorted(((-half - origin) / direction, (half - origin) / direction))
        enter, leave = max(enter, near), min(leave, far)
    return enter if enter <= leave else None
