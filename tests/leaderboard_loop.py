"""The Leaderboard's part in a drive of examples/leaderboard_agent.py, as a program: what it imports, and the loop.

python leaderboard_loop.py AGENT POLICY PORT METRES SECONDS
"""

import importlib.util
import queue
import sys
import types
from enum import Enum

import carla
import numpy as np


class Track(Enum):
    """As the Leaderboard has it."""

    MAP = "MAP"


class AutonomousAgent:
    """What agents inherit."""

    def set_global_plan(self, global_plan_gps, global_plan_world_coord):
        """The Leaderboard keeps a thinned copy."""
        self._global_plan, self._global_plan_world_coord = global_plan_gps[::200], global_plan_world_coord[::200]


class CarlaDataProvider:
    """Knows the car."""

    car: carla.Vehicle

    @classmethod
    def get_hero_actor(cls):
        """The car that the agent drives."""
        return cls.car


def module(name: str, **contents: object) -> None:
    """Make a module that can be imported."""
    made = types.ModuleType(name)
    made.__dict__.update(contents)
    sys.modules[name] = made


for package in ("leaderboard", "leaderboard.autoagents", "srunner", "srunner.scenariomanager"):
    module(package)
module("leaderboard.autoagents.autonomous_agent", AutonomousAgent=AutonomousAgent, Track=Track)
module("srunner.scenariomanager.carla_data_provider", CarlaDataProvider=CarlaDataProvider)

file, policy, port, metres, seconds = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
spec = importlib.util.spec_from_file_location("team_code", file)
code = importlib.util.module_from_spec(spec)
spec.loader.exec_module(code)
agent = getattr(code, code.get_entry_point())()
agent.setup(policy)

world = carla.Client("127.0.0.1", port).get_world()
settings = world.get_settings()
settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
world.apply_settings(settings)
library, roads = world.get_blueprint_library(), world.get_map()
start = roads.get_spawn_points()[0]
way = [roads.get_waypoint(start.location)]
while len(way) < metres // 2:
    way.append(way[-1].next(2.0)[0])
agent.set_global_plan([(None, None)] * len(way), [(place.transform, None) for place in way])
CarlaDataProvider.car = world.spawn_actor(library.find("vehicle.tesla.model3"), start)
(wanted,) = agent.sensors()
eye = library.find(wanted["type"])
for name, key in (("image_size_x", "width"), ("image_size_y", "height"), ("fov", "fov")):
    eye.set_attribute(name, str(wanted[key]))
mount = carla.Transform(carla.Location(wanted["x"], wanted["y"], wanted["z"]), carla.Rotation(wanted["pitch"], 0, 0))
camera, pictures = world.spawn_actor(eye, mount, attach_to=CarlaDataProvider.car), queue.Queue()
camera.listen(pictures.put)
end = way[-1].transform.location
for tick in range(seconds * 20):
    frame = world.tick()
    while (image := pictures.get(timeout=30)).frame < frame:
        pass
    picture = np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)
    control = agent.run_step({wanted["id"]: (frame, picture)}, tick * 0.05)
    CarlaDataProvider.car.apply_control(control)
    if CarlaDataProvider.car.get_location().distance(end) < 4.0:
        break
print(f"{CarlaDataProvider.car.get_location().distance(end):.0f} m left, {agent.track.value}, {control}")
for actor in (camera, CarlaDataProvider.car):
    actor.destroy()
settings.synchronous_mode, settings.fixed_delta_seconds = False, None
world.apply_settings(settings)
