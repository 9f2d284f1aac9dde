"""What stands beside the road so that one place looks unlike another: buildings, trees, walls."""

import math
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from td3_hpc.simulator.drawing.roads import RoadRaster, RoadSection
from td3_hpc.simulator.drawing.scene import Colour, Layer, SceneBuilder
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.towns.town import EdgeObject

Array = NDArray[np.float64]

_WALLS: tuple[Colour, ...] = (
    (150, 176, 198), (112, 134, 176), (176, 178, 180), (138, 160, 150), (98, 120, 148), (170, 190, 214),
    (146, 132, 124), (84, 98, 160),
)  # fmt: skip
_ROOF: Colour = (92, 92, 104)
_WINDOWS: Colour = (96, 84, 74)
_TRUNK: Colour = (52, 72, 92)
_CROWNS: tuple[Colour, ...] = ((52, 104, 62), (44, 120, 84), (66, 96, 48), (60, 132, 110))
_LONGEST = 8.0  # Of a piece of wall, m.


class Box:
    """The faces of an upright box: a middle, a yaw in degrees, half extents along, across and up, metres."""

    def __init__(self, middle: Sequence[float] | Array, yaw: float, half: Sequence[float]) -> None:
        c, s = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
        self.middle = np.array(middle, np.float64)
        self.along = np.array([c, s, 0.0]) * half[0]
        self.across = np.array([-s, c, 0.0]) * half[1]
        self.up = np.array([0.0, 0.0, half[2]])

    def sides(self, top: float = 1.0) -> list[Array]:
        """Front, right, rear and left face, (4, 3) each; the upper edges drawn in to the share `top`."""
        turns = [(self.along, self.across), (self.across, -self.along), (-self.along, -self.across),
                 (-self.across, self.along)]  # fmt: skip
        return [
            self.middle + np.stack([out - side - self.up, (out - side) * top + self.up, (out + side) * top + self.up,
                                    out + side - self.up])[::-1]
            for out, side in turns
        ]  # fmt: skip

    def roof(self, top: float = 1.0) -> Array:
        """The upper face, (4, 3)."""
        a, b = self.along * top, self.across * top
        return np.asarray(self.middle + self.up + np.stack([-a - b, a - b, a + b, b - a]))


def add_edge_objects(builder: SceneBuilder, objects: Sequence[EdgeObject], raster: RoadRaster) -> None:
    """The solid things of the town; their ground is covered in `raster`."""
    for thing in objects:
        centre = thing.box.centre
        box = Box((centre.x, centre.y, centre.z), centre.yaw, thing.box.extent)
        raster.cover(np.array([(x, y, 0.0) for x, y in thing.box.corners()]))
        if thing.label == CityObjectLabel.BUILDINGS:
            _building(builder, box, thing.colour)
        else:
            number, size = builder.new_object(), 2.0 * min(thing.box.extent)
            for face in (*box.sides(), box.roof()):
                for part in _split(face):
                    builder.quad(part, thing.colour, thing.label, Layer.UPRIGHT, size=size, object_id=number)


def _split(face: Array) -> Array:
    """(n, 4, 3): a face cut into pieces of at most `_LONGEST`, so that they can be sorted by distance."""
    right_low, right_high, left_high, left_low = face
    count = max(math.ceil(float(np.linalg.norm(left_low - right_low)) / _LONGEST), 1)
    shares = np.linspace(0.0, 1.0, count + 1)
    low = right_low + (left_low - right_low) * shares[:, None]
    high = right_high + (left_high - right_high) * shares[:, None]
    return np.stack([low[:-1], high[:-1], high[1:], low[1:]], axis=1)


def add_landmarks(builder: SceneBuilder, sections: Sequence[RoadSection], raster: RoadRaster) -> None:
    """Buildings along streets with sidewalks, trees along the others: the same town always gets the same ones."""
    taken: set[tuple[int, int]] = set()
    for section in sections:
        if section.in_junction or section.raised:
            continue
        urban = any(surface.layer == Layer.SIDEWALK for surface in section.surfaces)
        step = 22.0 if urban else 16.0
        for at in np.arange(section.s[0] + step / 2.0, section.s[-1], step):
            row = int(np.argmin(np.abs(section.s - at)))
            across = section.borders[row, -1] - section.borders[row, 0]
            across[2] = 0.0
            across /= max(float(np.linalg.norm(across)), 1e-9)
            yaw = math.degrees(math.atan2(-across[0], across[1]))
            for edge, out in ((section.borders[row, 0], -across), (section.borders[row, -1], across)):
                _landmark(builder, raster, taken, edge, out, yaw, urban)


def _landmark(
    builder: SceneBuilder,
    raster: RoadRaster,
    taken: set[tuple[int, int]],
    edge: Array,
    out: Array,
    yaw: float,
    urban: bool,
) -> None:
    """One building or tree beside the road at `edge`, if the ground there is free."""
    choice = zlib.crc32(f"{edge[0]:.0f} {edge[1]:.0f}".encode())
    deep, wide, tall = 5.0 + choice % 3, 6.0 + choice // 3 % 4, 3.0 + 1.6 * (choice // 12 % 5)
    away = deep + 2.5 + choice // 60 % 3 if urban else 3.5 + choice // 60 % 6
    x, y, _ = edge + out * away
    reach = math.hypot(deep, wide) if urban else 2.2
    spot = (math.floor(x / (2 * reach)), math.floor(y / (2 * reach)))
    neighbours = {(spot[0] + i, spot[1] + j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    if (urban and neighbours & taken) or not raster.clear(float(x), float(y), reach):
        return
    taken.add(spot)
    if urban:
        colour = _WALLS[choice // 180 % len(_WALLS)]
        _building(builder, Box((x, y, builder.base_z + tall), yaw, (wide, deep, tall)), colour)
    else:
        _tree(builder, x, y, choice)


def _building(builder: SceneBuilder, box: Box, colour: Colour) -> None:
    number, label = builder.new_object(), CityObjectLabel.BUILDINGS
    for side in box.sides():
        builder.quad(side, colour, label, Layer.UPRIGHT, size=6.0, object_id=number, anchor=box.middle)
        for floor in np.arange(0.12, 0.88, 3.4 / (2.0 * box.up[2])):
            band = _window_band(side, floor, floor + 1.5 / (2.0 * box.up[2]))
            builder.quad(
                band, _WINDOWS, label, Layer.UPRIGHT, size=1.5, object_id=number, anchor=box.middle, rank=1
            )  # fmt: skip
    builder.quad(box.roof(), _ROOF, label, Layer.UPRIGHT, size=6.0, object_id=number, anchor=box.middle)


def _window_band(side: Array, low: float, high: float) -> Array:
    """A strip across a wall between two shares of its height, drawn in a little from its corners."""
    bottom, top = side[[0, 0, 3, 3]], side[[1, 1, 2, 2]]
    band = bottom + (top - bottom) * np.array([[low], [high], [high], [low]])
    return np.asarray(band + (band.mean(axis=0) - band) * np.array([0.12, 0.12, 0.0]))


def _tree(builder: SceneBuilder, x: float, y: float, choice: int) -> None:
    number, label, yaw = builder.new_object(), CityObjectLabel.VEGETATION, float(choice // 7 % 90)
    height = 2.0 + 0.4 * (choice // 180 % 4)
    middle = (x, y, builder.base_z + 2.0 + height)
    for side in Box((x, y, builder.base_z + 1.0), yaw, (0.2, 0.2, 1.0)).sides():
        builder.quad(side, _TRUNK, label, Layer.UPRIGHT, size=0.5, object_id=number, anchor=middle)
    crown = Box(middle, yaw, (1.9, 1.9, height))
    colour = _CROWNS[choice // 900 % len(_CROWNS)]
    for face in (*crown.sides(0.35), crown.roof(0.35)):
        builder.quad(face, colour, label, Layer.UPRIGHT, size=2.0, object_id=number, anchor=middle, rank=1)
