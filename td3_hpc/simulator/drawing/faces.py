"""Which faces a camera may see, and in which order they are drawn.

A picture has a few hundred faces, so NumPy's calls take longer than its arithmetic: numbers that are needed together
are kept in one array.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from td3_hpc.simulator.drawing.bodies import DynamicBox, bodies_of, key_of
from td3_hpc.simulator.drawing.projection import Lens
from td3_hpc.simulator.drawing.scene import CELL, LEAST_SIZE, VALUES, VIEW_DISTANCE_UPRIGHT, Layer, Scene

Floats = NDArray[np.floating[Any]]

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

    values: Floats
    """(m, VALUES), named below."""
    tags: NDArray[np.uint32]
    """(m,) label, and object id in the upper bytes."""
    key: NDArray[np.float64]
    """Drawing order, least first, of all but the first m - len(key), which come before in their order."""

    @property
    def corners(self) -> Floats:
        """(m, 4, 3)"""
        return self.values[:, :12].reshape(-1, 4, 3)

    @property
    def normal(self) -> Floats:
        """(m, 3) unit, towards the camera's side."""
        return np.ascontiguousarray(self.values[:, 12:15])

    @property
    def distance(self) -> Floats:
        """(m,) normal . (a point of the plane - camera), negative: the camera is in front of every face."""
        return self.values[:, 15]

    @property
    def colour(self) -> Floats:
        """(m, 3) BGR, 0-255, before light."""
        return self.values[:, 16:19]

    @property
    def glow(self) -> NDArray[np.bool_]:
        """(m,) whether the face shines by itself."""
        return np.asarray(self.values[:, 19] > 0.0)

    @property
    def label(self) -> NDArray[np.uint32]:
        return np.asarray(self.tags & 0xFF, np.uint32)

    @property
    def object_id(self) -> NDArray[np.uint32]:
        return np.asarray(self.tags >> 8, np.uint32)

    def taken(self, rows: NDArray[np.intp]) -> "Faces":
        """The given rows, in their order."""
        return Faces(self.values.take(rows, axis=0), self.tags.take(rows), self.key[:0])

    def joined(self, other: "Faces") -> "Faces":
        """These faces, then the other ones, all of which have keys."""
        return Faces(
            np.concatenate([self.values, other.values]),
            np.concatenate([self.tags, other.tags]),
            np.concatenate([self.key, other.key]),
        )

    def in_order(self) -> "Faces":
        """Sorted as they are drawn."""
        first = len(self.values) - len(self.key)
        order = np.arange(len(self.values))
        order[first:] = self.key.argsort(kind="stable") + first
        return self.taken(order)


def static_faces(scene: Scene, eye: Eye, lit: NDArray[np.bool_]) -> Faces:
    """What stands still and may be in the picture.

    Args:
        lit: which lamps shine, see `Block.lamp`; the last entry is for faces that are no lamp.
    """
    block, sieve = scene.near(float(eye.position[0]), float(eye.position[1]))
    focal = np.float32(eye.lens.focal)
    relative = block.centre - eye.position
    inside = _in_view(relative @ eye.axes, block.radius, eye.lens)
    distance = np.einsum("ij,ij->i", block.normal, relative)
    inside &= distance < -1e-4
    rows = inside.nonzero()[0]
    relative, distance = relative.take(rows, axis=0), distance.take(rows)
    radius, size, area, least_size, least_area = sieve.sizes.take(rows, axis=1)
    away = np.sqrt(np.einsum("ij,ij->i", relative, relative))
    closest = np.maximum(away - radius, np.float32(0.01))
    kept = size * focal > least_size * closest
    # A face's share of the picture is its area, times the cosine of its slant, over the square of its distance.
    kept &= area * -distance * np.float32(eye.lens.focal**2) > least_area * away * closest * closest
    rows, distance, size = rows[kept], distance[kept], size[kept]
    anchor = sieve.anchors.take(rows, axis=0) - eye.position
    remote = np.sqrt(np.einsum("ij,ij->i", anchor, anchor))
    values, tags, lamp = sieve.values.take(rows, axis=0), sieve.tags.take(rows), block.lamp.take(rows)
    values[:, 15] = distance
    values[:, 19] = glow = lit[lamp]
    colour = values[:, 16:19]
    dark = ((lamp >= 0) & ~glow).nonzero()[0]
    if len(dark):
        colour[dark] *= np.float32(_UNLIT)
    paint = sieve.paint.take(rows).nonzero()[0]
    width = size.take(paint) * np.float32(_PAINT_GAIN * eye.lens.focal) / remote.take(paint)
    colour[paint] = _ASPHALT + (colour[paint] - _ASPHALT) * np.minimum(width, 1.0)[:, None]
    base = int(rows.searchsorted(block.base_count))
    rows, away = rows[base:], remote[base:].astype(np.float64)
    if scene.has_relief:
        within = np.where(sieve.upright.take(rows), _upright_key(away), sieve.flat_key.take(rows))
        key = _cell_key(block.cell.take(rows, axis=0) - eye.position[:2], block.storey.take(rows), within)
    else:
        key = -away
    return Faces(values, tags, key + 1e-9 * block.rank.take(rows))


def dynamic_faces(scene: Scene, eye: Eye, boxes: Sequence[DynamicBox], shadows: bool) -> Faces | None:
    """What moves and may be in the picture; None if nothing is."""
    if not boxes:
        return None
    poses = np.array([box.pose for box in boxes], np.float64)
    reach = np.array([box.half_x + box.half_y + box.half_z for box in boxes], np.float32)
    relative = (poses[:, :3] - eye.position).astype(np.float32)
    away = np.sqrt(np.einsum("ij,ij->i", relative, relative))
    inside = _in_view(relative @ eye.axes, reach, eye.lens) & (away < VIEW_DISTANCE_UPRIGHT + reach)
    seen = inside.nonzero()[0]
    if not len(seen):
        return None
    chosen = [boxes[k] for k in seen.tolist()]
    body = bodies_of(tuple([key_of(box) for box in chosen]))
    turns = _rotations(poses[seen, 3:])
    owner, place, away = body.owner, relative[seen], away[seen]
    turned = turns[owner]
    corners = np.matmul(body.corners, turned.transpose(0, 2, 1)) + place[owner, None]
    normal = np.matmul(turned, body.normal[:, :, None])[:, :, 0]
    distance = np.einsum("ij,ij->i", normal, corners[:, 0])
    least_size = 0.5 * LEAST_SIZE[Layer.UPRIGHT] * away
    kept = (distance < -1e-4) & (body.size * np.float32(eye.lens.focal) > least_size[owner])
    if not shadows:
        kept &= body.part > 0
    rows = kept.nonzero()[0]
    owner = owner[rows]
    height = np.einsum("ij,ij->i", turns[:, :, 2], place)
    beneath = height > np.array([box.half_z for box in chosen], np.float32)
    part = body.part[rows].astype(np.float64)
    # What stands on a body is hidden by it from below: then it is drawn first.
    part[(height > 0.0)[owner] & (part >= 3.0)] -= 2.5
    values = np.empty((len(rows), VALUES), np.float32)
    values[:, :12] = (corners[rows] + eye.position).reshape(-1, 12)
    values[:, 12:15] = normal[rows]
    values[:, 15] = distance[rows]
    values[:, 16:] = body.paint[rows]
    ids = np.array([(box.actor_id & 0xFFFF) << 8 for box in chosen], np.uint32)
    key = _body_key(scene, eye, chosen, place, away, beneath)[owner]
    return Faces(values, ids[owner] | body.label[rows], key + part * 1e-9)


def _in_view(centre: Floats, radius: Floats, lens: Lens) -> NDArray[np.bool_]:
    """Which spheres, in the camera's frame, reach into its field of view."""
    ahead = centre[:, 0]
    side = np.abs(centre[:, 1]) * np.float32(lens.side[0]) - ahead * np.float32(lens.side[1])
    top = np.abs(centre[:, 2]) * np.float32(lens.top[0]) - ahead * np.float32(lens.top[1])
    return np.asarray((ahead > -radius) & (side < radius) & (top < radius))


def _cell_key(cell: Floats, storey: NDArray[np.int8], within: NDArray[np.float64]) -> NDArray[np.float64]:
    """Farthest cell first (exact for a square grid), to the millimetre; in it by storey, then as `within` says."""
    across = np.hypot(cell[:, 0], cell[:, 1]).astype(np.float64)
    return np.asarray((0.1 * storey + within) - np.rint(across * 1000.0) / 1000.0 * 1000.0)


def _upright_key(away: NDArray[np.float64]) -> NDArray[np.float64]:
    """What stands on the ground of a cell is drawn after it, the farthest first."""
    return np.asarray(0.06 + 0.03 * (1.0 - away / 1000.0))


def _body_key(
    scene: Scene, eye: Eye, boxes: Sequence[DynamicBox], place: Floats, away: Floats, beneath: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Drawing order of bodies: by distance, and where ground may hide them by the cells that they touch.

    A body comes after the road that it stands on; but for an eye beneath that road (`beneath`), before it.
    """
    remote = away.astype(np.float64)
    if not scene.has_relief:
        return -remote
    flat = place[:, :2]
    squares = flat * flat
    towards = flat / np.maximum(np.sqrt(squares[:, :1] + squares[:, 1:]), 1e-6)
    shift = np.where(beneath, -_BODY_REACH, np.minimum(away, _BODY_REACH))[:, None]
    cell = (np.floor((flat - towards * shift + eye.position[:2]) / CELL) + 0.5) * CELL - eye.position[:2]
    feet = [scene.storey(box.pose.x, box.pose.y, box.pose.z - box.half_z + 0.5) for box in boxes]
    return _cell_key(cell, np.array(feet, np.int8), _upright_key(remote))


def _rotations(angles: NDArray[np.float64]) -> Floats:
    """(n, 3, 3) rotation matrices of (n, 3) pitch, yaw, roll in degrees; columns are forward, right, up."""
    radians = np.radians(angles)
    matrices = [
        [
            [cp * cy, cy * sp * sr - sy * cr, -cy * sp * cr - sy * sr],
            [cp * sy, sy * sp * sr + cy * cr, -sy * sp * cr + cy * sr],
            [sp, -cp * sr, cp * cr],
        ]
        for (sp, sy, sr), (cp, cy, cr) in zip(np.sin(radians).tolist(), np.cos(radians).tolist())
    ]
    return np.array(matrices, np.float32)
