"""What a camera must see, worked out one ray at a time: an independent reference for the drawing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from td3_hpc.simulator.drawing.bodies import DynamicBox
from td3_hpc.simulator.drawing.camera import CameraView
from td3_hpc.simulator.drawing.scene import Scene
from td3_hpc.simulator.labels import CityObjectLabel

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_SAME_PLANE = 2e-3  # m


def rotation(pitch: float, yaw: float, roll: float) -> Array:
    """World from local axes, as `carla.Transform.get_matrix`: yaw about z, then pitch, then roll."""
    p, y, r = np.radians([pitch, yaw, roll])
    about_z = np.array([[np.cos(y), -np.sin(y), 0], [np.sin(y), np.cos(y), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(p), 0, -np.sin(p)], [0, 1, 0], [np.sin(p), 0, np.cos(p)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(r), np.sin(r)], [0, -np.sin(r), np.cos(r)]])
    return np.asarray(about_z @ about_y @ about_x)


def cast(view: CameraView, scene: Scene, boxes: Sequence[DynamicBox] = ()) -> tuple[Array, Integers, Integers]:
    """Depth in metres (inf for the sky), CityObjectLabel and face of the middle of every pixel, (h, w) each.

    Boxes count as plain ones. Of faces in one plane the higher layer wins.
    """
    pose = view.pose
    eye = np.array([pose.x, pose.y, pose.z], np.float64)
    focal = view.width / (2.0 * np.tan(np.radians(view.fov_deg) / 2.0))
    u, v = np.meshgrid(np.arange(view.width) + 0.5, np.arange(view.height) + 0.5)
    local = np.stack([np.ones_like(u), (u - view.width / 2.0) / focal, (view.height / 2.0 - v) / focal], axis=-1)
    rays = local @ rotation(pose.pitch, pose.yaw, pose.roll).T
    picture = _Picture(u.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = (scene.base_z - eye[2]) / rays[..., 2]
        picture.add(np.where(ground > 0.0, ground, np.inf), int(CityObjectLabel.TERRAIN))
        quads = scene.quads
        for row in np.argsort(quads.layer, kind="stable"):
            hit = _quad(eye, rays, quads.corners[row].astype(np.float64), quads.normal[row].astype(np.float64))
            picture.add(hit, int(quads.label[row]))
        for box in boxes:
            picture.add(*_box(eye, rays, box), int(box.label))
    return picture.depth, picture.label, picture.face


class _Picture:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.depth = np.full(shape, np.inf)
        self.label = np.full(shape, int(CityObjectLabel.SKY))
        self.face = np.zeros(shape, np.int64)
        self._faces = 0

    def add(self, hit: Array, *numbers: Integers | int) -> None:
        """A surface: the depth at which each ray meets it; which of its sides, where it has several; its label."""
        *side, label = numbers
        nearer = hit < self.depth + _SAME_PLANE
        nearer &= np.isfinite(hit)
        self._faces += 10
        self.depth[nearer] = hit[nearer]
        self.label[nearer] = label
        self.face[nearer] = (side[0] if side else np.zeros(hit.shape, np.int64))[nearer] + self._faces


def _quad(eye: Array, rays: Array, corners: Array, normal: Array) -> Array:
    """Depth at which each ray meets the front of a quadrilateral, else inf."""
    towards = normal @ (corners[0] - eye)
    if towards >= 0.0:
        return np.full(rays.shape[:2], np.inf)
    depth = towards / (rays @ normal)
    points = eye + rays * depth[..., None]
    inside = depth > 0.0
    for a, b in zip(corners, np.roll(corners, -1, axis=0)):
        inside &= np.einsum("ijk,k->ij", points - a, np.cross(normal, b - a)) >= -1e-9
    return np.where(inside, depth, np.inf)


def _box(eye: Array, rays: Array, box: DynamicBox) -> tuple[Array, Integers]:
    """Depth at which each ray enters a box, else inf (slab method), and through which side."""
    turn = rotation(box.pose.pitch, box.pose.yaw, box.pose.roll)
    half = np.array([box.half_x, box.half_y, box.half_z])
    origin = (eye - np.array([box.pose.x, box.pose.y, box.pose.z])) @ turn
    direction = rays @ turn
    a, b = (-half - origin) / direction, (half - origin) / direction
    low = np.minimum(a, b)
    enter, leave = low.max(axis=-1), np.maximum(a, b).min(axis=-1)
    side = low.argmax(axis=-1) + 3 * (origin[low.argmax(axis=-1)] > 0.0)
    return np.where((enter <= leave) & (enter > 0.0), enter, np.inf), side


def inner(label: Integers, margin: int = 1) -> NDArray[np.bool_]:
    """Pixels whose neighbours within `margin` all have the same number: away from every outline."""
    same = np.ones(label.shape, bool)
    height, width = label.shape
    for dy in range(-margin, margin + 1):
        for dx in range(-margin, margin + 1):
            rows = np.clip(np.arange(height) + dy, 0, height - 1)
            columns = np.clip(np.arange(width) + dx, 0, width - 1)
            same &= label[np.ix_(rows, columns)] == label
    return same
