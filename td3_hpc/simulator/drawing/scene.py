"""What stands still in a town, as convex quadrilaterals, and the index that finds those near a camera."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from td3_hpc.simulator.labels import CityObjectLabel

Floats = NDArray[np.floating[Any]]
Point = Sequence[float] | NDArray[np.float64]
Colour = tuple[int, int, int]

VIEW_DISTANCE = 200.0
"""Ground farther away than this is not drawn, m."""
VIEW_DISTANCE_UPRIGHT = 150.0
"""The same for what stands upright, m."""
CELL = 8.0
"""Edge of the square cells by which everything above the base plane is ordered, m."""

_BLOCK = 32.0  # Cameras in one square of this size share a block of quadrilaterals, m.
_MAX_BLOCKS = 128
_LEVEL_GAP = 3.0  # Two surfaces in one cell this far apart are two storeys, m.


class Layer(IntEnum):
    """Drawing order of what lies flat, lowest first; UPRIGHT stands on it."""

    TERRAIN = 0
    SIDEWALK = 1
    ASPHALT = 2
    PAINT = 3
    KERB = 4
    UPRIGHT = 5


@dataclass(frozen=True, slots=True)
class Block:
    """The quadrilaterals that a camera somewhere in one square of the town may see; n rows each.

    `base` rows come first, in drawing order: nothing lies below them, so they need no sorting by distance.
    """

    corners: Floats
    """(n, 4, 3) world metres, anticlockwise or clockwise; a triangle repeats its last corner."""
    centre: Floats
    """(n, 3) world metres."""
    radius: Floats
    """(n,) bounding sphere, m."""
    normal: Floats
    """(n, 3) unit outward normal: a quadrilateral is invisible from behind."""
    size: Floats
    """(n,) smallest dimension that matters for leaving it out at a distance, m."""
    area: Floats
    """(n,) m^2."""
    colour: Floats
    """(n, 3) BGR, 0-255, before light."""
    label: NDArray[np.uint8]
    """(n,) CityObjectLabel."""
    layer: NDArray[np.int8]
    lamp: NDArray[np.int16]
    """(n,) 3 * traffic light + lamp (0 red, 1 yellow, 2 green), or -1."""
    object_id: NDArray[np.uint16]
    anchor: Floats
    """(n, 3) the point whose distance decides the drawing order of what is upright: one for all of an object, m."""
    rank: NDArray[np.int8]
    """(n,) order among the quadrilaterals of one anchor: what is painted on a face comes after it."""
    cell: Floats
    """(n, 2) centre of the anchor's cell, m."""
    storey: NDArray[np.int8]
    base_count: int
    """The first so many rows are base."""


@dataclass(frozen=True, slots=True, eq=False)
class Sieve:
    """A block's rows made ready for pictures: what decides whether they are drawn, and what they are drawn with."""

    sizes: Floats
    """(5, n) radius, size, area, and the least size and area in pixels and square pixels that are drawn."""
    values: Floats
    """(n, VALUES) as `faces.Faces` holds them; without their distance from the camera and glow."""
    tags: NDArray[np.uint32]
    """(n,) label, and object id in the upper bytes."""
    anchors: Floats
    """(n, 3)"""
    flat_key: NDArray[np.float64]
    """(n,) drawing order within a cell; of what is upright without its distance."""
    upright: NDArray[np.bool_]
    """(n,)"""
    paint: NDArray[np.bool_]
    """(n,)"""


VALUES = 20
"""Numbers of a face that is drawn: corners 12, normal 3, distance, colour 3, glow."""

# What takes less of the picture is left out; by layer. Paint is bright: it is seen from far away.
LEAST_SIZE = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.7], np.float32)  # pixels
_LEAST_AREA = np.array([0.12, 0.12, 0.12, 0.02, 0.12, 0.12], np.float32)  # square pixels


def sieve_of(block: Block) -> Sieve:
    """Made once for many pictures."""
    count = len(block.label)
    values = np.zeros((count, VALUES), np.float32)
    values[:, :12], values[:, 12:15] = block.corners.reshape(count, 12), block.normal
    values[:, 16:19] = block.colour
    return Sieve(
        sizes=np.stack([block.radius, block.size, block.area, LEAST_SIZE[block.layer], _LEAST_AREA[block.layer]]),
        values=values,
        tags=np.asarray(block.label | block.object_id.astype(np.uint32) << 8, np.uint32),
        anchors=block.anchor,
        flat_key=np.asarray(0.01 * block.layer, np.float64),
        upright=block.layer == Layer.UPRIGHT,
        paint=block.layer == Layer.PAINT,
    )


class Scene:
    """All quadrilaterals of a town.

    Args:
        base_z: height of the endless ground plane, metres; nothing lies below it.
        light_ids: signal ids of the traffic lights in the order of `Block.lamp`.
        quads: the rows, see `SceneBuilder.build`.
        storeys: heights in metres that part the storeys of a cell, for cells with more than one.
    """

    def __init__(
        self,
        base_z: float,
        light_ids: tuple[str, ...],
        quads: Block,
        storeys: dict[tuple[int, int], tuple[float, ...]],
    ) -> None:
        self.base_z = base_z
        self.light_ids = light_ids
        self.quads = quads
        self.storeys = storeys
        self.has_relief = bool(np.any(quads.layer[quads.base_count :] < Layer.UPRIGHT))
        """Whether any ground lies above the base plane."""
        self._blocks: dict[tuple[int, int], tuple[Block, Sieve]] = {}
        low = quads.corners[..., :2].min(axis=1)
        high = quads.corners[..., :2].max(axis=1)
        self._low, self._high = low, high
        self._reach = np.where(quads.layer < Layer.UPRIGHT, VIEW_DISTANCE, VIEW_DISTANCE_UPRIGHT).astype(np.float32)

    def near(self, x: float, y: float) -> tuple[Block, "Sieve"]:
        """What a camera at (x, y), metres, may see. Built once for each square of the town, then kept."""
        key = (math.floor(x / _BLOCK), math.floor(y / _BLOCK))
        found = self._blocks.get(key)
        if found is None:
            if len(self._blocks) >= _MAX_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            block = self._select(key)
            found = self._blocks[key] = block, sieve_of(block)
        return found

    def storey(self, x: float, y: float, z: float) -> int:
        """The storey (0 = lowest) of a point on its cell: the number of road surfaces well below it."""
        gaps = self.storeys.get((math.floor(x / CELL), math.floor(y / CELL)))
        return sum(z > gap for gap in gaps) if gaps else 0

    def _select(self, key: tuple[int, int]) -> Block:
        corner = np.array(key, np.float32) * np.float32(_BLOCK)
        gap = np.maximum(np.maximum(self._low - (corner + _BLOCK), corner - self._high), 0.0)
        rows = np.flatnonzero(np.hypot(gap[:, 0], gap[:, 1]) < self._reach)
        return take(self.quads, rows)


def take(block: Block, rows: NDArray[np.intp]) -> Block:
    """The given rows (ascending) of a block."""
    fields = {name: getattr(block, name)[rows] for name in Block.__slots__ if name != "base_count"}
    return Block(**fields, base_count=int(np.searchsorted(rows, block.base_count)))


_OWN_MIDDLE: Point = (math.nan, math.nan, math.nan)
"""The anchor of a quadrilateral that has none: it gets its middle, all of them at once."""


class SceneBuilder:
    """Collects quadrilaterals and makes a Scene of them.

    Args:
        base_z: height of the endless ground plane, metres; no point may lie below it by more than a few centimetres.
    """

    def __init__(self, base_z: float) -> None:
        self.base_z = base_z
        self.light_ids: list[str] = []
        self._corners: list[NDArray[np.float64]] = []
        self._rows: list[tuple[float, Colour, int, int, int, int, int]] = []
        self._anchors: list[Point] = []
        self._object = 0

    def new_object(self) -> int:
        """An object id for the instance segmentation, 1-65535, from the top down; dynamic actors count from below."""
        self._object = self._object % 40000 + 1
        return 65536 - self._object

    def add_light(self, signal_id: str) -> int:
        """Registers a traffic light and returns its number, for the `lamp` of its three lamps."""
        self.light_ids.append(signal_id)
        return len(self.light_ids) - 1

    def quad(
        self,
        corners: Sequence[Point] | NDArray[np.float64],
        colour: Colour,
        label: CityObjectLabel,
        layer: Layer,
        *,
        size: float,
        lamp: int = -1,
        object_id: int = 0,
        anchor: Point | None = None,
        rank: int = 0,
    ) -> None:
        """Adds one convex, flat quadrilateral (or triangle).

        Args:
            corners: three or four (x, y, z), metres, clockwise as seen from its visible side.
            colour: BGR.
            size: smallest dimension that matters for leaving it out at a distance, metres.
            lamp: 3 * traffic light + lamp, or -1.
            anchor: the point whose distance decides the drawing order; the quadrilateral's own middle if left out.
            rank: order among the quadrilaterals of one anchor.
        """
        points = np.asarray(corners, np.float64)
        triangle = len(points) == 3
        self._corners.append(points[[0, 1, 2, 2]] if triangle else points)
        self._rows.append((size, colour, label, layer, lamp, object_id, rank))
        if anchor is None and triangle:
            anchor = points.mean(axis=0)
        self._anchors.append(_OWN_MIDDLE if anchor is None else anchor)

    def build(self) -> Scene:
        """The scene of all that was added; quadrilaterals without area are left out."""
        corners = np.array(self._corners, np.float64).reshape(-1, 4, 3)
        cross = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
        length = np.linalg.norm(cross, axis=1)
        keep = length > 1e-6
        corners, normal = corners[keep], cross[keep] / length[keep, None]
        rows = [row for row, kept in zip(self._rows, keep, strict=True) if kept]
        size, colour, label, layer, lamp, object_id, rank = zip(*rows) if rows else ((),) * 7
        anchor = np.array(self._anchors, np.float64).reshape(-1, 3)[keep]
        centre = corners.mean(axis=1)
        anchor = np.where(np.isnan(anchor), centre, anchor)
        layers = np.array(layer, np.int8)
        flat = np.abs(corners[..., 2] - self.base_z).max(axis=1, initial=0.0) < 0.3
        base = flat & (layers < Layer.UPRIGHT)
        cell = np.floor(anchor[:, :2] / CELL).astype(np.int64)
        storeys = _storeys(cell, centre[:, 2], layers, self.base_z)
        quads = Block(
            corners=corners.astype(np.float32),
            centre=centre.astype(np.float32),
            radius=np.linalg.norm(corners - centre[:, None], axis=2).max(axis=1, initial=0.0).astype(np.float32),
            normal=normal.astype(np.float32),
            size=np.array(size, np.float32),
            area=(0.5 * length[keep]).astype(np.float32),
            colour=np.array(colour, np.float32).reshape(-1, 3),
            label=np.array(label, np.uint8),
            layer=layers,
            lamp=np.array(lamp, np.int16),
            object_id=np.array(object_id, np.uint16),
            anchor=anchor.astype(np.float32),
            rank=np.array(rank, np.int8),
            cell=((cell + 0.5) * CELL).astype(np.float32),
            storey=_storey_of(cell, centre[:, 2], storeys),
            base_count=int(base.sum()),
        )
        order = np.lexsort((layers, ~base))
        ordered = {name: getattr(quads, name)[order] for name in Block.__slots__ if name != "base_count"}
        return Scene(self.base_z, tuple(self.light_ids), Block(**ordered, base_count=quads.base_count), storeys)


def _storeys(
    cell: NDArray[np.int64], z: NDArray[np.float64], layer: NDArray[np.int8], base_z: float
) -> dict[tuple[int, int], tuple[float, ...]]:
    """Heights between the storeys, for every cell where road passes over road or over the base plane."""
    heights: dict[tuple[int, int], list[float]] = defaultdict(lambda: [base_z])
    for row in np.flatnonzero((layer == Layer.ASPHALT) & (z > base_z + 0.3)):
        heights[int(cell[row, 0]), int(cell[row, 1])].append(float(z[row]))
    gaps = {key: tuple(_gaps(sorted(values))) for key, values in heights.items()}
    return {key: found for key, found in gaps.items() if found}


def _gaps(heights: Sequence[float]) -> Iterable[float]:
    for low, high in pairwise(heights):
        if high - low > _LEVEL_GAP:
            yield high - 1.5


def _storey_of(
    cell: NDArray[np.int64], z: NDArray[np.float64], storeys: dict[tuple[int, int], tuple[float, ...]]
) -> NDArray[np.int8]:
    found = np.zeros(len(z), np.int8)
    if storeys:
        for row, (i, j) in enumerate(cell.tolist()):
            gaps = storeys.get((i, j))
            if gaps:
                found[row] = sum(z[row] > gap for gap in gaps)
    return found
