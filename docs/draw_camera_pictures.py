"""Draws the pictures of simulator-camera.md: `python docs/draw_camera_pictures.py` writes docs/images/camera-*.png.

Every picture comes through the carla client from an embedded simulator that this starts: one row for each place, with
RGB, depth, semantic segmentation, and the 84 x 84 grayscale frame that the policy sees.
"""

import contextlib
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import carla
import cv2
import numpy as np

from td3_hpc.config.environment import CameraConfig
from td3_hpc.spaces import FRAME_SHAPE
from td3_hpc.supervision.ports import reserve

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT, GAP = 256, 192, 4
KINDS = {
    "rgb": None,
    "depth": carla.ColorConverter.LogarithmicDepth,
    "semantic_segmentation": carla.ColorConverter.CityScapesPalette,
}
WEATHERS = {
    "clear noon": carla.WeatherParameters.ClearNoon,
    "hard rain": carla.WeatherParameters.HardRainNoon,
    "low sun": carla.WeatherParameters(sun_altitude_angle=4.0, fog_density=2.0),
    "night": carla.WeatherParameters(sun_altitude_angle=-30.0, fog_density=2.0),
    "fog": carla.WeatherParameters(cloudiness=60.0, fog_density=60.0, fog_distance=5.0, sun_altitude_angle=45.0),
}


class Town:
    """A town on a server, in which scenes are set up and photographed."""

    def __init__(self, client: carla.Client) -> None:
        self.world = client.reload_world(False)
        self.map = self.world.get_map()
        self._library = self.world.get_blueprint_library()
        self._actors: list[Any] = []

    def car(self, waypoint: Any, kind: str = "tesla.model3", colour: str = "180,44,44", brake: float = 1.0) -> Any:
        """A car that stands on a lane."""
        blueprint = self._library.find(f"vehicle.{kind}")
        blueprint.set_attribute("color", colour)
        place = waypoint.transform
        place.location.z += 0.1
        car = self.world.spawn_actor(blueprint, place)
        car.apply_control(carla.VehicleControl(brake=brake, hand_brake=brake == 0.0))
        self._actors.append(car)
        return car

    def photographs(self, ego: Any) -> dict[str, Any]:
        """Pictures (h, w, 3) of the ego's view by kind, and 'policy', the agent's own frame."""
        cameras = {kind: self._camera(ego, kind, WIDTH, HEIGHT) for kind in KINDS}
        cameras["policy"] = self._camera(ego, "rgb", *FRAME_SHAPE[::-1])
        for _ in range(2):  # in the first one the cars settle on the road
            frame = self.world.tick()
        pictures = {}
        for name, (camera, images) in cameras.items():
            image = _image_of(frame, images)
            if KINDS.get(name) is not None:
                image.convert(KINDS[name])
            pixels = np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)[:, :, :3]
            pictures[name] = pixels.copy()
            camera.stop()
            camera.destroy()
        gray = cv2.cvtColor(pictures["policy"], cv2.COLOR_BGR2GRAY)
        pictures["policy"] = cv2.resize(
            cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), (HEIGHT, HEIGHT), interpolation=cv2.INTER_NEAREST
        )
        return pictures

    def clear(self) -> None:
        """Take the scene away."""
        for actor in self._actors:
            actor.destroy()
        self._actors.clear()
        self.world.tick()

    def _camera(self, ego: Any, kind: str, width: int, height: int) -> tuple[Any, "queue.Queue[Any]"]:
        blueprint = self._library.find(f"sensor.camera.{kind}")
        mount = CameraConfig()
        for name, value in (("image_size_x", width), ("image_size_y", height), ("fov", mount.fov_deg)):
            blueprint.set_attribute(name, str(value))
        place = carla.Transform(carla.Location(x=mount.x_m, z=mount.z_m), carla.Rotation(pitch=mount.pitch_deg))
        camera = self.world.spawn_actor(blueprint, place, attach_to=ego)
        images: queue.Queue[Any] = queue.Queue()
        camera.listen(images.put)
        return camera, images


def _image_of(frame: int, images: "queue.Queue[Any]") -> Any:
    while (image := images.get(timeout=10)).frame < frame:
        continue
    return image


def two_lanes(town: Town) -> Any:
    """A road of two lanes each way: a car ahead in our lane, one beside, one that comes towards us."""
    start = next(
        w
        for w, _ in town.map.get_topology()
        if not w.is_junction and w.lane_id == -1 and w.get_right_lane().lane_type == carla.LaneType.Driving
    ).next(30.0)[0]
    town.car(start.next(14.0)[0], colour="17,37,103")
    town.car(start.next(24.0)[0].get_right_lane(), "nissan.patrol", "255,255,255")
    town.car(start.next(26.0)[0].get_left_lane(), "mini.cooper_s", "201,155,62")
    return town.car(start)


def red_light(town: Town) -> Any:
    """A junction with lights: ours is red, a car waits at it, another crosses."""
    light = town.world.get_actors().filter("traffic.traffic_light")[0]
    light.set_state(carla.TrafficLightState.Red)
    town.world.freeze_all_traffic_lights(True)
    stop = light.get_stop_waypoints()[0]
    crossing = town.car(stop, "volkswagen.t2", "66,94,58")
    middle = stop.transform.transform(carla.Location(x=20.0, y=-9.0))
    heading = carla.Rotation(yaw=stop.transform.rotation.yaw + 90.0)
    crossing.set_transform(carla.Transform(carla.Location(middle.x, middle.y, middle.z), heading))
    town.car(stop.previous(3.0)[0], "audi.tt", "255,255,255")
    return town.car(stop.previous(14.0)[0])


def hill(town: Town) -> Any:
    """Below the top of a hill: the road hides what stands behind the top, but for a roof."""
    lanes = [w for w, _ in town.map.get_topology() if not w.is_junction]
    top = max((w for lane in lanes for w in lane.next_until_lane_end(2.0)), key=lambda w: w.transform.location.z)
    town.car(top.next(14.0)[0], "mercedes.sprinter", "255,255,255")
    return town.car(top.previous(28.0)[0])


def give_way(town: Town) -> Any:
    """A lane that ends at a sign before the main road."""
    sign = next(actor for actor in town.world.get_actors() if actor.type_id == "traffic.stop")
    lane = town.map.get_waypoint(sign.get_transform().transform(sign.trigger_volume.location))
    town.car([*lane.next(30.0), lane][0].next(2.0)[0], "seat.leon", "17,37,103")
    return town.car(lane.previous(12.0)[0])


def light_colours(town: Town) -> Iterator[Any]:
    """Crops around a light that is red, yellow and green, each in RGB and as the policy sees it."""
    light = town.world.get_actors().filter("traffic.traffic_light")[0]
    ego = town.car(light.get_stop_waypoints()[0].previous(14.0)[0])
    for state in (carla.TrafficLightState.Red, carla.TrafficLightState.Yellow, carla.TrafficLightState.Green):
        light.set_state(state)
        pictures = town.photographs(ego)
        for name, left in (("rgb", 108), ("policy", 76)):
            crop = pictures[name][56:104, left : left + 48]
            yield cv2.resize(crop, (HEIGHT, HEIGHT), interpolation=cv2.INTER_NEAREST)
    town.clear()


SCENES: dict[str, Callable[[Town], Any]] = {
    "two-lanes": two_lanes,
    "red-light": red_light,
    "hill": hill,
    "give-way": give_way,
}


def main() -> None:
    """Write every picture."""
    IMAGES.mkdir(exist_ok=True)
    with _server("Brookfield") as port:
        client = carla.Client("127.0.0.1", port)
        client.set_timeout(20.0)
        town = Town(client)
        for name, scene in SCENES.items():
            _write(f"camera-{name}.png", list(town.photographs(scene(town)).values()))
            town.clear()
        _write("camera-light.png", list(light_colours(town)))
        ego = red_light(town)
        rows = []
        for weather in WEATHERS.values():
            town.world.set_weather(weather)
            rows.append(town.photographs(ego)["rgb"])
        _write("camera-weather.png", rows)
        sys.stdout.flush()
    os._exit(0)  # not through the client's destructors, which wait for its threads


@contextlib.contextmanager
def _server(name: str) -> Iterator[int]:
    with contextlib.closing(reserve(0)) as block:
        command = [sys.executable, "-m", "td3_hpc.simulator", "--port", str(block.first), "--town", name]
        command += ["--synchronous"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            server.stdout.readline()
            yield block.first
        finally:
            server.terminate()
            server.wait()


def _write(name: str, pictures: list[Any]) -> None:
    """Pictures of one height side by side."""
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    row = [part for picture in pictures for part in (picture, gap)][:-1]
    cv2.imwrite(str(IMAGES / name), np.concatenate(row, axis=1), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(IMAGES / name)


if __name__ == "__main__":
    main()
