"""What carries raised road: embankments, bridges with their piers, guard rails."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from td3_hpc.simulator.drawing.roads import RAISED, RoadRaster, RoadSection
from td3_hpc.simulator.drawing.scene import Colour, Layer, SceneBuilder
from td3_hpc.simulator.labels import CityObjectLabel

Array = NDArray[np.float64]

_SLOPE = 1.5  # Run of an embankment over its rise.
_CLEARANCE = 2.5  # Road this far beneath makes a bridge, m.
_DECK = 1.0  # Thickness of a bridge's deck, m.
_RAIL_HEIGHT = (0.35, 0.8)
_RAIL_ABOVE = 1.0  # Edges this high above the base plane have a guard rail, m.
_PIER_EVERY = 4  # pieces

_GRASS: Colour = (74, 128, 104)
_CONCRETE: Colour = (142, 146, 148)
_SHADED: Colour = (96, 98, 100)
_STEEL: Colour = (178, 176, 172)


def build_relief(builder: SceneBuilder, sections: Sequence[RoadSection], raster: RoadRaster) -> None:
    """Adds what carries the raised sections, and covers its ground in `raster`, which holds asphalt and sidewalks."""
    for section in sections:
        if not section.raised:
            continue
        over = [_is_bridge(section, i, j, raster) for i, j in section.pieces()]
        bridges = [any(over[max(k - 1, 0) : k + 2]) for k in range(len(over))]
        for number, (i, j) in enumerate(section.pieces()):
            if bridges[number]:
                _underside(builder, section, i, j)
                if number % _PIER_EVERY == _PIER_EVERY // 2:
                    _pier(builder, section, i, raster)
            if number and bridges[number] != bridges[number - 1]:
                _abutment(builder, section.borders[i], opens=bridges[number])
            for border in (0, -1):
                _edge(builder, section, i, j, border, bridges[number], raster)


def _is_bridge(section: RoadSection, i: int, j: int, raster: RoadRaster) -> bool:
    """Whether lower road lies under a piece of road, or where its embankment would be."""
    across = _outward(section, i, -1)
    for cut in (section.borders[i], (section.borders[i] + section.borders[j]) / 2.0, section.borders[j]):
        beside = [
            cut[border] + side * away for border, side in ((0, -across), (-1, across)) for away in (1.5, 4.0, 8.0)
        ]
        z = float(cut[:, 2].min())
        if any(raster.at(float(x), float(y))[0] < z - _CLEARANCE for x, y, _ in (*cut, *beside)):
            return True
    return False


def _outward(section: RoadSection, row: int, border: int) -> Array:
    """Horizontal unit vector away from the road at its first or last border."""
    across = section.borders[row, -1] - section.borders[row, 0]
    across = np.array([across[0], across[1], 0.0]) * (1.0 if border == -1 else -1.0)
    return np.asarray(across / max(float(np.linalg.norm(across)), 1e-9))


def _edge(
    builder: SceneBuilder, section: RoadSection, i: int, j: int, border: int, bridge: bool, raster: RoadRaster
) -> None:
    """Embankment or deck, and guard rail, along one edge; nothing where more road follows at the same height."""
    a, b = section.borders[i, border], section.borders[j, border]
    out_a, out_b = _outward(section, i, border), _outward(section, j, border)
    height = max(float(a[2]), float(b[2])) - builder.base_z
    beyond = (a + b) / 2.0 + out_a * 1.2
    joined = any(abs(z - beyond[2]) < 1.0 for z in raster.at(float(beyond[0]), float(beyond[1])))
    if height < RAISED / 2.0 or joined:
        return
    start, end, out_start, out_end = (a, b, out_a, out_b) if border == -1 else (b, a, out_b, out_a)
    if bridge:
        drop = np.array([0.0, 0.0, -_DECK])
        builder.quad(
            [start + drop, start, end, end + drop],
            _CONCRETE, CityObjectLabel.BRIDGE, Layer.UPRIGHT, size=_DECK,
        )  # fmt: skip
    else:
        foot_start, foot_end = (_foot(p, out, builder.base_z) for p, out in ((start, out_start), (end, out_end)))
        raster.cover(np.stack([start, end, foot_end, foot_start]))
        builder.quad(
            [start, end, foot_end, foot_start], _GRASS, CityObjectLabel.TERRAIN, Layer.TERRAIN,
            size=height, anchor=(start + end) / 2.0,
        )  # fmt: skip
    if height > _RAIL_ABOVE:
        low, high = (np.array([0.0, 0.0, z]) for z in _RAIL_HEIGHT)
        rail = np.stack([start + low, start + high, end + high, end + low])
        for side in (rail, rail[::-1]):
            builder.quad(side, _STEEL, CityObjectLabel.GUARD_RAIL, Layer.UPRIGHT, size=_RAIL_HEIGHT[1])


def _foot(point: Array, outward: Array, base_z: float) -> Array:
    drop = float(point[2]) - base_z
    return np.asarray(point + outward * (_SLOPE * drop) - np.array([0.0, 0.0, drop]))


def _underside(builder: SceneBuilder, section: RoadSection, i: int, j: int) -> None:
    borders = section.borders - np.array([0.0, 0.0, _DECK])
    corners = np.stack([borders[i, 0], borders[i, -1], borders[j, -1], borders[j, 0]])
    builder.quad(corners, _SHADED, CityObjectLabel.BRIDGE, Layer.UPRIGHT, size=3.0)


def _pier(builder: SceneBuilder, section: RoadSection, row: int, raster: RoadRaster) -> None:
    """A square column under the middle of the deck, where no road is in its way."""
    top = section.borders[row].mean(axis=0) - np.array([0.0, 0.0, _DECK])
    height = float(top[2]) - builder.base_z
    if height < 1.0 or raster.at(float(top[0]), float(top[1]))[0] < top[2] - 1.0:
        return
    half = 0.6
    corners = [top + np.array([dx * half, dy * half, 0.0]) for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    down = np.array([0.0, 0.0, -height])
    for a, b in zip(corners, corners[1:] + corners[:1]):
        builder.quad([a, a + down, b + down, b], _CONCRETE, CityObjectLabel.BRIDGE, Layer.UPRIGHT, size=1.2, anchor=top)


def _abutment(builder: SceneBuilder, borders: Array, opens: bool) -> None:
    """The upright end of an embankment, facing the bridge: it begins here where `opens`, else it ends here."""
    feet = [
        _foot(borders[edge], _unit(borders[edge] - borders[other]), builder.base_z)
        for edge, other in ((0, -1), (-1, 0))
    ]
    corners = np.stack([feet[0], borders[0], borders[-1], feet[1]])
    facing = corners[::-1] if opens else corners
    builder.quad(facing, _CONCRETE, CityObjectLabel.BRIDGE, Layer.UPRIGHT, size=2.0)


def _unit(vector: Array) -> Array:
    flat = np.array([vector[0], vector[1], 0.0])
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-9))
