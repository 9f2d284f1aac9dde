"""Drive a policy that `td3-hpc export` wrote, as any script for CARLA 0.9.16 would: without td3-hpc and PyTorch.

    python examples/drive.py POLICY.onnx [--port 2000] [--start 0] [--metres 300]

Needs carla, numpy, opencv-python-headless and onnxruntime. The world of the server must be nobody else's.
"""

import argparse
import queue

import carla
import numpy as np
from exported import Exported

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("policy")
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=2000)
parser.add_argument("--start", type=int, default=0, help="number of the spawn point")
parser.add_argument("--metres", type=int, default=300, help="length of the way, straight on where there is a choice")
parser.add_argument("--seconds", type=float, default=200.0, help="longest drive, simulated")
given = parser.parse_args()
policy = Exported(given.policy)
task, camera_told = policy.task, policy.task["camera"]

world = carla.Client(given.host, given.port).get_world()
settings = world.get_settings()
settings.synchronous_mode, settings.fixed_delta_seconds = True, task["fixed_delta_seconds"]
world.apply_settings(settings)
library, roads = world.get_blueprint_library(), world.get_map()
start = roads.get_spawn_points()[given.start]
way = [roads.get_waypoint(start.location)]
while len(way) < given.metres + 50 and way[-1].next(1.0):  # the policy looks 50 m ahead
    heading = way[-1].transform.rotation.yaw
    way.append(min(way[-1].next(1.0), key=lambda w: abs((w.transform.rotation.yaw - heading + 180) % 360 - 180)))
metres = min(given.metres, len(way))
points = [(w.transform.location.x, w.transform.location.y) for w in way]
policy.begin(points, [w.transform.rotation.yaw for w in way], goal=metres - 1)

car = world.spawn_actor(library.find(task["vehicle"]), start)
eye = library.find("sensor.camera.rgb")
for name, value in {"image_size_x": 84, "image_size_y": 84, "fov": camera_told["fov_deg"]}.items():
    eye.set_attribute(name, str(value))
place = carla.Location(x=camera_told["x_m"], z=camera_told["z_m"])
mount = carla.Transform(place, carla.Rotation(pitch=camera_told["pitch_deg"]))
camera, pictures = world.spawn_actor(eye, mount, attach_to=car), queue.Queue()
camera.listen(pictures.put)
bumper, hits = world.spawn_actor(library.find("sensor.other.collision"), carla.Transform(), attach_to=car), []
bumper.listen(hits.append)


def tick(times):
    """The picture after so many ticks, (84, 84, 4)."""
    for _ in range(times):
        frame = world.tick()
        while (image := pictures.get(timeout=30)).frame < frame:
            pass
    return np.frombuffer(image.raw_data, np.uint8).reshape(84, 84, 4)


try:
    car.apply_control(carla.VehicleControl(brake=1.0))
    picture, seconds = tick(20), 0.0  # it falls to the ground
    while not policy.arrived and not hits and seconds < given.seconds:
        pose, velocity = car.get_transform(), car.get_velocity()
        steer, pedal = policy.act(picture, pose.location.x, pose.location.y, pose.rotation.yaw, velocity.x, velocity.y)
        car.apply_control(carla.VehicleControl(max(pedal, 0.0), steer, max(-pedal, 0.0)))
        picture, seconds = tick(task["ticks_per_action"]), seconds + policy.told["decision_seconds"]
    why = "arrived" if policy.arrived else f"hit {hits[0].other_actor.type_id}" if hits else "out of time"
    print(f"{why}: {policy.done} of {metres} m in {seconds:.0f} s")
finally:
    for actor in (camera, bumper, car):
        actor.destroy()
    settings.synchronous_mode, settings.fixed_delta_seconds = False, None
    world.apply_settings(settings)
