"""An exported policy on a run's held-out routes by examples/exported.py and a plain client, without other cars.

    python tests/driven_alone.py RUN POLICY.onnx PORT [ROUTES]

Prints each route's completion and their mean, to be held against what `td3-hpc evaluate RUN --json FIGURES
-o environment.traffic.vehicles=0` says of the same routes.
"""

import queue
import sys
from pathlib import Path

import carla
import numpy as np

from td3_hpc.config import EnvironmentConfig, load_resolved
from td3_hpc.driving.environment import OFF_ROUTE_M
from td3_hpc.driving.episode import STANDING_SPEED
from td3_hpc.driving.route import GOAL_RADIUS_M, Route, RoutePlanner, RouteTracker

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
from exported import Exported


class Car:
    """The policy's car at a route's start, its camera and its bumper."""

    def __init__(self, world: carla.World, route: Route, task: dict) -> None:
        library, told = world.get_blueprint_library(), task["camera"]
        (x, y, z), (pitch, yaw, roll) = route.points[0], route.angles[0]
        start = carla.Transform(carla.Location(x, y, z + 0.5), carla.Rotation(pitch, yaw, roll))
        self.world, self.body = world, world.spawn_actor(library.find(task["vehicle"]), start)
        self.body.apply_control(carla.VehicleControl(brake=1.0))
        for _ in range(20):
            world.tick()
        eye = library.find("sensor.camera.rgb")
        for name, value in {"image_size_x": 84, "image_size_y": 84, "fov": told["fov_deg"]}.items():
            eye.set_attribute(name, str(value))
        place = carla.Location(x=told["x_m"], z=told["z_m"])
        mount = carla.Transform(place, carla.Rotation(pitch=told["pitch_deg"]))
        self._camera, self._pictures = world.spawn_actor(eye, mount, attach_to=self.body), queue.Queue()
        self._camera.listen(self._pictures.put)
        bumper = library.find("sensor.other.collision")
        self._bumper, self.hits = world.spawn_actor(bumper, carla.Transform(), attach_to=self.body), []
        self._bumper.listen(self.hits.append)

    def tick(self, times: int) -> np.ndarray:
        """The picture after so many ticks."""
        for _ in range(times):
            frame = self.world.tick()
            while (image := self._pictures.get(timeout=60)).frame < frame:
                pass
        return np.frombuffer(image.raw_data, np.uint8).reshape(84, 84, 4)

    def destroy(self) -> None:
        for actor in (self._camera, self._bumper, self.body):
            actor.destroy()


def drive(world: carla.World, route: Route, policy: Exported, rules: EnvironmentConfig) -> tuple[float, str]:
    """The share of the route that was driven, and why the drive ended, by the environment's rules."""
    x, y, yaw = route.place(np.arange(0.0, route.length + 50.0, 1.0))
    policy.begin(np.column_stack([x, y]), yaw, goal=int(route.length))
    car, tracker, roads = Car(world, route, policy.task), RouteTracker(route), world.get_map()
    reached, standing, why = 0.0, 0, "time_limit"
    try:
        picture = car.tick(2)
        for _ in range(rules.max_decisions):
            pose, velocity = car.body.get_transform(), car.body.get_velocity()
            place = pose.location
            steer, pedal = policy.act(picture, place.x, place.y, pose.rotation.yaw, velocity.x, velocity.y)
            car.body.apply_control(carla.VehicleControl(max(pedal, 0.0), steer, max(-pedal, 0.0)))
            picture = car.tick(policy.task["ticks_per_action"])
            pose = car.body.get_transform()
            position = tracker.update(pose.location.x, pose.location.y, pose.rotation.yaw)
            reached = max(reached, position.distance)
            if car.body.get_velocity().length() >= STANDING_SPEED:
                standing = 0
            elif not car.body.is_at_traffic_light():
                standing += 1
            lane = roads.get_waypoint(pose.location)
            outside = pose.location.distance(lane.transform.location) - lane.lane_width / 2
            ends = {
                "collision": bool(car.hits),
                "off_road": outside > rules.off_road_m,
                "off_route": abs(position.lateral) > OFF_ROUTE_M,
                "route_completed": position.distance >= route.length - GOAL_RADIUS_M,
                "stuck": standing >= rules.stuck_decisions,
            }
            if any(ends.values()):
                why = next(name for name, holds in ends.items() if holds)
                break
    finally:
        car.destroy()
    return 1.0 if why == "route_completed" else min(1.0, reached / route.length), why


def main(run: str, onnx: str, port: str, routes: str = "10") -> None:
    """Drive the first routes, and say what came of each."""
    config = load_resolved(Path(run) / "config.yaml").environment
    client = carla.Client("127.0.0.1", int(port))
    client.set_timeout(60.0)
    world, policy = client.get_world(), Exported(onnx)
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, policy.task["fixed_delta_seconds"]
    world.apply_settings(settings)
    world.set_weather(getattr(carla.WeatherParameters, config.weather[0]))
    held_out = RoutePlanner(config.town, world.get_map(), config.route).evaluation_routes[: int(routes)]
    shares = []
    for number, route in enumerate(held_out):
        share, why = drive(world, route, policy, config)
        shares.append(share)
        print(f"route {number}: {route.length:.0f} m, {share:.1%}, {why}", flush=True)
    print(f"mean completion of {len(shares)} routes: {np.mean(shares):.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
