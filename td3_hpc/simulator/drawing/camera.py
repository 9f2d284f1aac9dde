"""Cameras: pictures of a town and of what moves in it, in CARLA's encodings.

Every face that may be seen is projected and drawn from back to front into a picture of face numbers; colour, depth and
semantic tag of a pixel all follow from its face, so the kinds of camera agree in every pixel.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, repeat
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from td3_hpc.simulator.drawing.bodies import DynamicBox
from td3_hpc.simulator.drawing.faces import Eye, Faces, dynamic_faces, static_faces
from td3_hpc.simulator.drawing.projection import NEAR, Lens, clip, clip_one, lens_of, rotation_matrix
from td3_hpc.simulator.drawing.scene import Scene
from td3_hpc.simulator.drawing.weather import Look, Weather, look_of
from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.labels import CityObjectLabel

Floats = NDArray[np.floating[Any]]
Picture = NDArray[np.uint8]
CameraKind = Literal["rgb", "depth", "semantic_segmentation", "instance_segmentation"]

_SKY_BANDS = 64  # Face numbers 0-63 are the sky, from the horizon up,
_GROUND = _SKY_BANDS  # then the endless ground plane,
_FIRST_FACE = _GROUND + 1  # then the drawn faces.
_GROUND_COLOUR = np.array([70, 122, 98], np.float32)

_FAR = 1000.0  # The range of CARLA's depth encoding, m.
_OPAQUE = np.uint32(0xFF000000)
_SHIFT = 4  # cv2 takes sub-pixel positions as integers, in 1/16 of a pixel.
_FAR_OFF = 1_000_000.0  # Positions beyond this would overflow there, pixels.
_NOWHERE = np.full((3, 2), -64 << _SHIFT, np.int32)


@dataclass(frozen=True, slots=True)
class CameraView:
    """Where a camera is and what it takes in."""

    pose: Pose
    width: int
    height: int
    fov_deg: float
    """Horizontal angle of view, degrees."""


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """A picture of face numbers and its key."""

    numbers: NDArray[np.uint16]
    """(h, w)"""
    faces: Faces
    """m faces; face k has the number _FIRST_FACE + k."""
    depth: Floats
    """(m, k) of each face's corners, m."""


class Renderer:
    """Draws what cameras in a scene see. Holds no state between pictures but an index of the scene.

    The same arguments give the same bytes on the same machine.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._light_rows = {signal_id: row for row, signal_id in enumerate(scene.light_ids)}

    def render(
        self,
        view: CameraView,
        kind: CameraKind,
        boxes: Sequence[DynamicBox],
        lights: Mapping[str, int],
        weather: Weather,
    ) -> Picture:
        """One picture.

        Args:
            view: the camera; its picture is at least 1 x 1.
            kind: what a pixel means. 'rgb': colour; 'depth': R + 256 G + 65536 B = distance along the camera's axis /
                1000 m * (2^24 - 1); 'semantic_segmentation': R = CityObjectLabel; 'instance_segmentation': R =
                CityObjectLabel, G and B = low and high byte of the object's id (an actor's own id for actors).
            boxes: what moves.
            lights: state of the traffic lights by signal id (0 red, 1 yellow, 2 green, 3 off, 4 unknown); a missing one
                is off.
            weather: changes only 'rgb'.

        Returns:
            (height, width, 4) uint8, B G R A, A = 255.
        """
        lens = lens_of(view.width, view.height, view.fov_deg)
        pose = view.pose
        eye = Eye(
            position=np.array([pose.x, pose.y, pose.z], np.float32),
            axes=rotation_matrix(pose.pitch, pose.yaw, pose.roll),
            lens=lens,
        )
        drawn = self._draw(eye, boxes, lights, shadows=kind == "rgb")
        if kind == "rgb":
            return _colour_picture(drawn, eye, self._scene.base_z, look_of(weather))
        if kind == "depth":
            return _depth_picture(_depth(drawn, eye, self._scene.base_z))
        if kind == "semantic_segmentation":
            return _label_picture(drawn, instances=False)
        return _label_picture(drawn, instances=True)

    def _draw(self, eye: Eye, boxes: Sequence[DynamicBox], lights: Mapping[str, int], shadows: bool) -> _Drawn:
        faces = static_faces(self._scene, eye, self._lit(lights))
        moving = dynamic_faces(self._scene, eye, boxes, shadows)
        if moving is not None:
            faces = faces.joined(moving)
        faces = faces.in_order()
        relative = (faces.corners - eye.position).reshape(-1, 3) @ eye.axes
        corners, kept = _clip_near(relative.reshape(-1, 4, 3))
        if kept is not None:
            faces = faces.taken(kept)
        numbers = _background(eye, self._scene.base_z)
        _fill(numbers, corners, eye.lens)
        return _Drawn(numbers, faces, corners[:, :, 0])

    def _lit(self, lights: Mapping[str, int]) -> NDArray[np.bool_]:
        """Which lamps shine: (3 * lights + 1,), the last one, for faces that are no lamp, never."""
        lit = np.zeros(3 * len(self._light_rows) + 1, bool)
        for signal_id, state in lights.items():
            row = self._light_rows.get(signal_id)
            if row is not None and 0 <= state <= 2:
                lit[3 * row + state] = True
        return lit


def _clip_near(corners: Floats) -> tuple[Floats, NDArray[np.intp] | None]:
    """(n, 4, 3) faces in the camera's frame cut at the near plane; and which faces are left where some are not.

    Faces come back with five corners where any was cut.
    """
    ahead = corners[:, :, 0] - np.float32(NEAR)
    touched = np.flatnonzero((ahead <= 0.0).any(axis=1))
    if not len(touched):
        return corners, None
    some = ahead.take(touched, axis=0)
    before = (some > 0.0).any(axis=1)
    behind = touched[~before]
    crossing = touched[before & (some < 0.0).any(axis=1)]
    left = np.ones(len(corners), bool)
    left[behind] = False
    kept = left.nonzero()[0]
    if not len(crossing):
        return corners.take(kept, axis=0), kept
    result = np.empty((len(kept), 5, 3), corners.dtype)
    corners.take(kept, axis=0, out=result[:, :4])
    result[:, 4] = result[:, 3]
    # Those that are behind have gone before these.
    places = crossing - behind.searchsorted(crossing)
    result[places] = clip(corners.take(crossing, axis=0), ahead.take(crossing, axis=0))
    np.maximum(result[:, :, 0], np.float32(NEAR), out=result[:, :, 0])
    return result, kept


def _fill(numbers: NDArray[np.uint16], corners: Floats, lens: Lens) -> None:
    """Draws faces (n, k, 3) in the camera's frame, in order."""
    if not len(corners):
        return
    pixels = _project(corners, lens)
    # cv2 walks down from a face's uppermost row, however far above the picture it is.
    reach, above = float(np.abs(pixels).max()), float(pixels[:, :, 1].min())
    wild: list[int] = []
    if reach > _FAR_OFF or above < -4.0 * lens.height:
        too_high = pixels[:, :, 1].min(axis=1) < -4.0 * lens.height
        wild = np.flatnonzero(too_high | (np.abs(pixels).max(axis=(1, 2)) > _FAR_OFF)).tolist()
        np.clip(pixels, -_FAR_OFF, _FAR_OFF, out=pixels)
    pixels *= np.float32(1 << _SHIFT)
    polygons = list(np.rint(pixels, out=pixels).astype(np.int32))
    for k in wild:
        polygons[k] = _tame(corners[k], lens)
    # Thousands of calls a second: a loop of Python's own would cost as much again as the drawing.
    calls = map(cv2.fillConvexPoly, repeat(numbers), polygons, count(_FIRST_FACE), repeat(cv2.LINE_8), repeat(_SHIFT))
    deque(calls, maxlen=0)


def _project(corners: Floats, lens: Lens) -> Floats:
    """Pixel positions (.., 2) as cv2 counts them: whole numbers are the middles of pixels."""
    scale = np.float32(lens.focal) / corners[..., 0]
    pixels = np.empty((*corners.shape[:-1], 2), np.float32)
    np.multiply(corners[..., 1], scale, out=pixels[..., 0])
    np.multiply(corners[..., 2], -scale, out=pixels[..., 1])
    pixels[..., 0] += np.float32(lens.width / 2.0 - 0.5)
    pixels[..., 1] += np.float32(lens.height / 2.0 - 0.5)
    return pixels


def _tame(face: Floats, lens: Lens) -> NDArray[np.int32]:
    """One face (k, 3) cut to the picture and a margin, in cv2's units; outside of it if nothing of it is left."""
    polygon: list[tuple[float, float, float]] = [(x, y, z) for x, y, z in face.tolist()]
    side, top = 2.0 * lens.width / lens.focal, 2.0 * lens.height / lens.focal
    for axis, sign, limit in ((2, -1.0, top), (2, 1.0, top), (1, -1.0, side), (1, 1.0, side)):
        distance = [limit * corner[0] + sign * corner[axis] for corner in polygon]
        if max(distance) < 0.0:
            return _NOWHERE
        if min(distance) < 0.0:
            polygon = clip_one(polygon, distance)
    return np.rint(_project(np.array(polygon, np.float32), lens) * (1 << _SHIFT)).astype(np.int32)


def _background(eye: Eye, base_z: float) -> NDArray[np.uint16]:
    """Sky and endless ground: the number of each pixel before anything is drawn."""
    forward, right, up = eye.axes[2]
    rise = (forward + right * eye.lens.right) + up * eye.lens.up
    ground = rise < 0.0 if eye.position[2] > base_z else rise > 0.0
    sine = np.divide(rise, eye.lens.length, out=rise)
    np.abs(sine, out=sine)
    sine *= np.float32(_SKY_BANDS - 0.01)
    numbers: NDArray[np.uint16] = sine.astype(np.uint16)
    np.putmask(numbers, ground, _GROUND)
    return numbers


def _inverse_depth(drawn: _Drawn, eye: Eye, base_z: float) -> Floats:
    """1 / depth of every pixel, 1/m: each face's plane, met by the pixel's ray. 0 for the sky."""
    faces = drawn.faces
    planes = np.zeros((_FIRST_FACE + len(faces.tags), 3), np.float32)
    limits = np.zeros((2, len(planes)), np.float32)
    planes[_FIRST_FACE:] = faces.normal @ eye.axes / faces.distance[:, None]
    # A face's edge may cover a pixel whose middle lies half a pixel outside it; farther out its plane means nothing.
    slack = np.abs(planes[_FIRST_FACE:, 1:]).sum(axis=1) * np.float32(0.6 / eye.lens.focal)
    if len(drawn.depth):
        nearest, farthest = drawn.depth.min(axis=1), drawn.depth.max(axis=1)
        limits[:, _FIRST_FACE:] = 1.0 / np.stack([farthest, nearest]) + np.stack([-slack, slack])
    below = float(base_z - eye.position[2])
    if below != 0.0:
        planes[_GROUND] = eye.axes[2] / below
        limits[1, _GROUND] = 1.0 / NEAR
    forward, right, up = (np.take(column, drawn.numbers) for column in planes.T)
    inverse = forward + right * eye.lens.right + up * eye.lens.up
    low, high = (np.take(limit, drawn.numbers) for limit in limits)
    return np.asarray(np.clip(inverse, low, high))


def _depth(drawn: _Drawn, eye: Eye, base_z: float) -> Floats:
    """Distance along the camera's axis of every pixel, metres, at most 1000."""
    return np.asarray(1.0 / np.maximum(_inverse_depth(drawn, eye, base_z), np.float32(1.0 / _FAR)))


def _depth_picture(depth: Floats) -> Picture:
    steps = np.rint(np.minimum(depth.astype(np.float64) / _FAR, 1.0) * (2**24 - 1)).astype(np.uint32)
    return _bytes((steps >> 16) | (steps & np.uint32(0xFF00)) | ((steps & np.uint32(0xFF)) << 16) | _OPAQUE)


def _label_picture(drawn: _Drawn, instances: bool) -> Picture:
    table = np.zeros(_FIRST_FACE + len(drawn.faces.tags), np.uint32)
    table[:_SKY_BANDS] = CityObjectLabel.SKY
    table[_GROUND] = CityObjectLabel.TERRAIN
    table[_FIRST_FACE:] = drawn.faces.label
    table = (table << np.uint32(16)) | _OPAQUE
    if instances:
        ids = drawn.faces.object_id
        table[_FIRST_FACE:] |= ((ids & 0xFF) << 8) | (ids >> 8)
    return _bytes(np.take(table, drawn.numbers))


def _colour_picture(drawn: _Drawn, eye: Eye, base_z: float, look: Look) -> Picture:
    behind = _behind(look)
    table = np.empty((_FIRST_FACE + len(drawn.faces.tags), 4), np.float32)
    table[:_FIRST_FACE] = behind
    table[_FIRST_FACE:, :3] = _shaded(drawn.faces, look)
    table[_FIRST_FACE:, 3] = 255.0
    np.maximum(table, 0.0, out=table)
    np.minimum(table, 255.0, out=table)
    if look.extinction == 0.0:
        return _bytes(table.astype(np.uint8).view(np.uint32)[:, 0].take(drawn.numbers))
    way = _depth(drawn, eye, base_z) * eye.lens.length - np.float32(look.fog_start)
    clear = np.exp(np.float32(-look.extinction) * np.maximum(way, 0.0))
    fog = np.append(look.fog_colour, np.float32(255.0))
    picture = (table - fog)[drawn.numbers] * clear[:, :, None] + fog
    return np.asarray(picture.astype(np.uint8))


@lru_cache(maxsize=16)
def _behind(look: Look) -> Floats:
    """(_FIRST_FACE, 4) the colours of sky and endless ground."""
    table = np.empty((_FIRST_FACE, 4), np.float32)
    steps = ((np.arange(_SKY_BANDS, dtype=np.float32) + 0.5) / _SKY_BANDS)[:, None]
    table[:_SKY_BANDS, :3] = look.horizon + (look.zenith - look.horizon) * (1.0 - (1.0 - steps) ** 3)
    table[_GROUND, :3] = _GROUND_COLOUR * (look.ambient + look.sun * look.sun_direction[2])
    table[:, 3] = 255.0
    return table


def _shaded(faces: Faces, look: Look) -> Floats:
    """The (m, 3) colours of faces in the light of a weather."""
    light = np.maximum(faces.normal @ look.sun_direction, 0.0) * np.float32(look.sun) + np.float32(look.ambient)
    np.putmask(light, faces.glow, np.float32(1.0))
    colour = faces.colour * light[:, None]
    if look.wet_asphalt < 1.0:
        road = np.flatnonzero(faces.label == CityObjectLabel.ROADS)
        colour[road] *= np.float32(look.wet_asphalt)
        colour[road] += (look.horizon - colour[road]) * np.float32(look.puddles)
    return np.asarray(colour)


def _bytes(pixels: NDArray[np.uint32]) -> Picture:
    """(h, w) pixels 0xAARRGGBB as (h, w, 4) bytes B G R A, on any machine."""
    return np.ascontiguousarray(pixels, dtype="<u4").view(np.uint8).reshape(*pixels.shape, 4)
