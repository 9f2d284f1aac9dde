"""A policy that `td3-hpc export` wrote, as an agent of CARLA's Leaderboard 2; the Leaderboard's route is its way.

    --agent=examples/leaderboard_agent.py --agent-config=POLICY.onnx

Needs numpy, opencv-python-headless and onnxruntime beside what the Leaderboard needs. Where the car is and how fast it
moves comes from the simulator, not from sensors: a reference to measure with, no entry for the challenge.
"""

import os
import sys

import carla
import numpy as np
from leaderboard.autoagents.autonomous_agent import AutonomousAgent, Track
from srunner.scenariomanager.carla_data_provider import CarlaDataProvider

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from exported import Exported


def get_entry_point():
    """The name of the agent's class, which the Leaderboard asks for."""
    return "ExportedAgent"


class ExportedAgent(AutonomousAgent):
    """Decides every `decision_seconds`, and holds the action between."""

    def setup(self, path_to_conf_file):
        """Load the policy."""
        self.track = Track.MAP
        self._policy = Exported(path_to_conf_file)
        self._control, self._next, self._begun = carla.VehicleControl(brake=1.0), 0.0, False

    def set_global_plan(self, global_plan_gps, global_plan_world_coord):
        """Keep the whole route: the Leaderboard's own copy has a point every 200."""
        super().set_global_plan(global_plan_gps, global_plan_world_coord)
        self._route = global_plan_world_coord

    def sensors(self):
        """The camera as it was in training."""
        told = self._policy.task["camera"]
        view = {"x": told["x_m"], "y": 0.0, "z": told["z_m"], "roll": 0.0, "pitch": told["pitch_deg"], "yaw": 0.0}
        size = {"width": 84, "height": 84, "fov": told["fov_deg"]}
        return [{"type": "sensor.camera.rgb", "id": "camera", **view, **size}]

    def run_step(self, input_data, timestamp):
        """The control of this tick."""
        if not self._begun:
            self._policy.begin(*self._way())
            self._begun = True
        if timestamp >= self._next - 1e-6:
            self._next = timestamp + self._policy.told["decision_seconds"]
            car = CarlaDataProvider.get_hero_actor()
            pose, velocity = car.get_transform(), car.get_velocity()
            steer, pedal = self._policy.act(
                np.ascontiguousarray(input_data["camera"][1]),
                pose.location.x, pose.location.y, pose.rotation.yaw, velocity.x, velocity.y,
            )  # fmt: skip
            self._control = carla.VehicleControl(max(pedal, 0.0), steer, max(-pedal, 0.0))
        return self._control

    def _way(self):
        """The Leaderboard's route, a point a metre; it may have two points on one place."""
        places = np.array([(pose.location.x, pose.location.y) for pose, _ in self._route])
        gaps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        places = places[np.concatenate(([True], gaps > 0.01))]
        along = np.concatenate(([0.0], np.linalg.norm(np.diff(places, axis=0), axis=1).cumsum()))
        metres = np.arange(0.0, along[-1])
        points = np.stack([np.interp(metres, along, column) for column in places.T], axis=1)
        steps = np.diff(points, axis=0, append=2 * points[-1:] - points[-2:-1])
        return points, np.degrees(np.arctan2(steps[:, 1], steps[:, 0]))
