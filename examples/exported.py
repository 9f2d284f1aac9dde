"""A policy that `td3-hpc export` wrote, and the observation that it wants; needs numpy, opencv and onnxruntime only."""

import json

import cv2
import numpy as np
import onnxruntime


class Exported:
    """Gives an action for a picture and a place on a way."""

    def __init__(self, path):
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.told = json.loads(self._session.get_modelmeta().custom_metadata_map["td3_hpc"])
        self.task = self.told["environment"]
        self._frames = None

    def begin(self, points, yaws, goal=None):
        """A way: points (n, 2) a metre apart, and their headings in degrees, in CARLA's coordinates.

        `goal` is the number of the last point that is to be reached, where they go on beyond it: give 50 more.
        """
        self._points, self._yaws, self._frames, self.done = np.asarray(points), np.asarray(yaws), None, 0
        self._goal = len(points) - 1 if goal is None else goal

    @property
    def arrived(self):
        """Whether the goal is within two metres."""
        return self.done >= self._goal - 2

    def act(self, bgra, x, y, yaw_deg, vx, vy):
        """Steering and pedal in [-1, 1], for an 84 x 84 picture (84, 84, 4) and the car's place and velocity."""
        grey = cv2.cvtColor(bgra, cv2.COLOR_BGRA2GRAY)
        self._frames = np.stack([grey] * 4) if self._frames is None else np.stack([*self._frames[1:], grey])
        vector = self._vector(np.array((x, y)), yaw_deg, np.array((vx, vy)))
        ((steer, pedal),) = self._session.run(["action"], {"image": self._frames[None], "vector": vector[None]})[0]
        return float(steer), float(pedal)

    def _vector(self, place, yaw_deg, velocity):
        """The 53 numbers of docs/environment.md; moves `done`, the metres of the way that are behind the car."""
        scale, yaw = self.told["vector"], np.radians(yaw_deg)
        ahead, right = np.array((np.cos(yaw), np.sin(yaw))), np.array((-np.sin(yaw), np.cos(yaw)))
        first = max(self.done - 5, 0)
        near = self._points[first : self.done + 20]
        self.done = first + int(np.linalg.norm(near - place, axis=1).argmin())
        lane = np.radians(self._yaws[self.done])
        metres = np.arange(1, 26) * scale["waypoint_spacing_m"]
        apart = self._points[np.minimum(self.done + metres.astype(int), len(self._points) - 1)] - place
        vector = np.empty(53)
        vector[0] = velocity @ ahead / scale["speed_m_s"]
        vector[1] = (place - self._points[self.done]) @ (-np.sin(lane), np.cos(lane)) / scale["lateral_m"]
        vector[2] = ((yaw_deg - self._yaws[self.done] + 180) % 360 - 180) / scale["heading_deg"]
        vector[3::2] = apart @ ahead / (metres + scale["waypoint_margin_m"])
        vector[4::2] = apart @ right / (metres + scale["waypoint_margin_m"])
        return np.clip(vector, -1, 1).astype(np.float32)
