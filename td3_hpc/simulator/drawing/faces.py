"""Which faces a camera may see, and in which order they are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from td3_hpc.simulator.drawing.bodies import DynamicBox, bodies_of, key_of
from td3_hpc.simulator.drawing.projection import Lens
from td3_hpc.simulator.drawing.scene import CELL, VIEW_DISTANCE_UPRIGHT, Layer, Scene

Floats = NDArray[np.floating[Any]]

# What takes less of the picture is left out; by layer. Paint is bright: it is seen from far away.
_LEAST_SIZE = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.7], np.float32)  # pixels
_LEAST_AREA = np.array([0.12, 0.12, 0.12, 0.02, 0.12, 0.12], np.float32)  # square pixels
_UNLIT = 0.25  # Brightness of a lamp that is off.
# Every face takes at least one whole pixel: paint narrower than that is mixed with the road instead, a little late.
_PAINT_GAIN = 2.0
_ASPHALT = np.array([88, 86, 84], np.float32)
_BODY_REACH = 5.5  # Raised road within this of a body's middle is drawn before it, m.


@dataclass(frozen=True, slots=True, eq=False)
class Eye:
    """A camera's place and lens."""

    position: Floats
    """(3,) world metres."""
    axes: Floats
    """(3, 3) columns: forward, right, up."""
    lens: Lens


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """m faces, in the world's frame."""

    corners: Floats
    """(m, 4, 3)"""
    normal: Floats
    """(m, 3) unit, towards the camera's side."""
    distance: Floats
    """(m,) normal . (a point of the plane - camera), negative: the camera is in front of every face."""
    colour: Floats
    """(m, 3) BGR, 0-255, before light."""
    label: NDArray[np.uint8]
    object_id: NDArray[np.uint16]
    glow: NDArray[np.bool_]
    key: NDArray[np.float64]
    """(m,) drawing order, least first."""

    def taken(self, rows: NDArray[np.intp]) -> "Faces":
        """The given rows."""
        return Faces(*[getattr(self, name)[rows] for name in Faces.__slots__])

    def joined(self, other: "Faces") -> "Faces":
        """These faces, then the other ones."""
        return Faces(*[np.concatenate([getattr(self, name), getattr(other, name)]) for name in Faces.__slots__])


def static_faces(scene: Scene, eye: Eye, lit: NDArray[np.bool_]) -> Faces:
    """What stands still and may be in the picture.

    Args:
        lit: which lamps shine, see `Block.lamp`; the last entry is for faces that are no lamp.
    """
    block = scene.near(float(eye.position[0]), float(eye.position[1]))
    relative = block.centre - eye.position
    inside = _in_view(relative @ eye.axes, block.radius, eye.lens)
    distance = np.einsum("ij,ij->i", block.normal, relative)
    inside &= distance < -1e-4
    rows = np.flatnonzero(inside)
    away = np.sqrt(np.einsum("ij,ij->i", relative[rows], relative[rows]))
    layer = block.layer[rows]
    closest = np.maximum(away - block.radius[rows], np.float32(0.01))
    kept = block.size[rows] * np.float32(eye.lens.focal) > _LEAST_SIZE[layer] * closest
    # A face's share of the picture is its area, times the cosine of its slant, over the square of its distance.
    area = block.area[rows] * -distance[rows] * np.float32(eye.lens.focal**2)
    kept &= area > _LEAST_AREA[layer] * away * closest * closest
    rows, layer = rows[kept], layer[kept]
    anchor = block.anchor[rows] - eye.position
    remote = np.sqrt(np.einsum("ij,ij->i", anchor, anchor))
    if scene.has_relief:
        key = _cell_key(block.cell[rows] - eye.position[:2], block.storey[rows], layer, remote)
    else:
        key = -remote.astype(np.float64)
    key += 1e-9 * block.rank[rows]
    base = int(np.searchsorted(rows, block.base_count))
    key[:base] = np.arange(base) - 1e12
    colour, glow = block.colour[rows], lit[block.lamp[rows]]
    dark = np.flatnonzero((block.lamp[rows] >= 0) & ~glow)
    colour[dark] *= np.float32(_UNLIT)
    paint = np.flatnonzero(layer == Layer.PAINT)
    width = block.size[rows[paint]] * np.float32(_PAINT_GAIN * eye.lens.focal) / remote[paint]
    colour[paint] = _ASPHALT + (colour[paint] - _ASPHALT) * np.minimum(width, 1.0)[:, None]
    return Faces(
        corners=block.corners[rows],
        normal=block.normal[rows],
        distance=distance[rows],
        colour=colour,
        label=block.label[rows],
        object_id=block.object_id[rows],
        glow=glow,
        key=key,
    )


def dynamic_faces(scene: Scene, eye: Eye, boxes: Sequence[DynamicBox], shadows: bool) -> Faces | None:
    """What moves and may be in the picture; None if nothing is."""
    if not boxes:
        return None
    poses = np.array([(b.pose.x, b.pose.y, b.pose.z, b.pose.pitch, b.pose.yaw, b.pose.roll) for b in boxes], np.float64)
    reach = np.array([b.half_x + b.half_y + b.half_z for b in boxes], np.float32)
    relative = (poses[:, :3] - eye.position).astype(np.float32)
    away = np.sqrt(np.einsum("ij,ij->i", relative, relative))
    seen = np.flatnonzero(_in_view(relative @ eye.axes, reach, eye.lens) & (away < VIEW_DISTANCE_UPRIGHT + reach))
    if not len(seen):
        return None
    chosen = [boxes[k] for k in seen.tolist()]
    body = bodies_of(tuple(key_of(box) for box in chosen))
    turns = _rotations(poses[seen, 3:])
    owner, place, away = body.owner, relative[seen], away[seen]
    corners = np.matmul(body.corners, turns[owner].transpose(0, 2, 1)) + place[owner, None]
    normal = np.matmul(turns[owner], body.normal[:, :, None])[:, :, 0]
    distance = np.einsum("ij,ij->i", normal, corners[:, 0])
    kept = (distance < -1e-4) & (
        body.size * np.float32(eye.lens.focal) > 0.5 * _LEAST_SIZE[Layer.UPRIGHT] * away[owner]
    )
    if not shadows:
        kept &= body.part > 0
    rows = np.flatnonzero(kept)
    owner = owner[rows]
    height = np.einsum("ij,ij->i", turns[:, :, 2], place)
    beneath = height > np.array([box.half_z for box in chosen], np.float32)
    key = _body_key(scene, eye, chosen, place, away, beneath)[owner]
    part = body.part[rows].astype(np.float64)
    # What stands on a body is hidden by it from below: then it is drawn first.
    part[(height > 0.0)[owner] & (part >= 3.0)] -= 2.5
    return Faces(
        corners=corners[rows] + eye.position,
        normal=normal[rows],
        distance=distance[rows],
        colour=body.colour[rows],
        label=body.label[rows],
        object_id=np.array([box.actor_id & 0xFFFF for box in chosen], np.uint16)[owner],
        glow=body.glow[rows],
        key=key + part * 1e-9,
    )


def _in_view(centre: Floats, radius: Floats, lens: Lens) -> NDArray[np.bool_]:
    """Which spheres, in the camera's frame, reach into its field of view."""
    ahead = centre[:, 0]
    side = np.abs(centre[:, 1]) * np.float32(lens.side[0]) - ahead * np.float32(lens.side[1])
    top = np.abs(centre[:, 2]) * np.float32(lens.top[0]) - ahead * np.float32(lens.top[1])
    return np.asarray((ahead > -radius) & (side < radius) & (top < radius))


def _cell_key(cell: Floats, storey: NDArray[np.int8], layer: NDArray[np.int8], away: Floats) -> NDArray[np.float64]:
    """Farthest cell first (exact for a square grid); in it by storey, then layer, what is upright by distance."""
    across = np.hypot(cell[:, 0], cell[:, 1]).astype(np.float64)
    upright = 0.06 + 0.03 * (1.0 - away.astype(np.float64) / 1000.0)
    within = 0.1 * storey + np.where(layer == Layer.UPRIGHT, upright, 0.01 * layer)
    return np.asarray(within - np.round(across, 3) * 1000.0)


def _body_key(
    scene: Scene, eye: Eye, boxes: Sequence[DynamicBox], place: Floats, away: Floats, beneath: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Drawing order of bodies: by distance, and where ground may hide them by the cells that they touch.

    A body comes after the road that it stands on; but for an eye beneath that road (`beneath`), before it.
    """
    if not scene.has_relief:
        return -away.astype(np.float64)
    towards = place[:, :2] / np.maximum(np.linalg.norm(place[:, :2], axis=1, keepdims=True), 1e-6)
    shift = np.where(beneath, -_BODY_REACH, np.minimum(away, _BODY_REACH))[:, None]
    cell = (np.floor((place[:, :2] - towards * shift + eye.position[:2]) / CELL) + 0.5) * CELL - eye.position[:2]
    feet = [scene.storey(box.pose.x, box.pose.y, box.pose.z - box.half_z + 0.5) for box in boxes]
    layers = np.full(len(boxes), Layer.UPRIGHT, np.int8)
    return _cell_key(cell, np.array(feet, np.int8), layers, away)


def _rotations(angles: NDArray[np.float64]) -> Floats:
    """(n, 3, 3) rotation matrices of (n, 3) pitch, yaw, roll in degrees; columns are forward, right, up."""
    sp, sy, sr = np.sin(np.radians(angles)).T
    cp, cy, cr = np.cos(np.radians(angles)).T
    rows = [
        [cp * cy, cy * sp * sr - sy * cr, -cy * sp * cr - sy * sr],
        [cp * sy, sy * sp * sr + cy * cr, -sy * sp * cr + cy * sr],
        [sp, -cp * sr, cp * cr],
    ]
    return np.asarray(np.array(rows, np.float32).transpose(2, 0, 1))
