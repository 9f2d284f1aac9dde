"""What moves: vehicles and walkers as boxes with a recognisable body."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.labels import CityObjectLabel

Floats = NDArray[np.floating[Any]]
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class DynamicBox:
    """One actor as a camera sees it."""

    actor_id: int
    pose: Pose
    """Of the box's centre, metres and degrees."""
    half_x: float
    half_y: float
    half_z: float
    """Half extents of the box, m."""
    colour: Colour
    """BGR, 0-255."""
    label: int
    """CityObjectLabel."""
    brake_light: bool = False


class BodyKey(NamedTuple):
    """All that a body's shape and paint depend on."""

    half_x: float
    half_y: float
    half_z: float
    colour: Colour
    label: int
    brake_light: bool


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """The q faces of one body, or of several one after another, each in its own frame (metres, x forward)."""

    corners: Floats
    """(q, 4, 3)"""
    normal: Floats
    """(q, 3)"""
    paint: Floats
    """(q, 4) BGR, 0-255, and 1 where the face shines by itself."""
    label: NDArray[np.uint8]
    size: Floats
    """(q,) smallest dimension, m."""
    part: NDArray[np.int8]
    """(q,) drawing order within the body: 0 shadow, 1 body and 2 what is on it, 3 what stands on it and 4 the same."""
    owner: NDArray[np.intp]
    """(q,) which of the bodies."""


_GLASS: Colour = (62, 52, 46)
_DARK: Colour = (30, 30, 30)
_SHADOW: Colour = (42, 41, 40)
_HEADLIGHT: Colour = (225, 238, 240)
_TAIL: Colour = (36, 36, 150)
_BRAKE: Colour = (120, 120, 255)
_PLATE: Colour = (215, 215, 215)
_SKIN: Colour = (120, 150, 200)
_TROUSERS: Colour = (70, 52, 48)

_TALL = 1.15  # A vehicle whose box is higher than this (half, m) has no separate cabin: vans, trucks, buses.
_TWO_WHEELS = (CityObjectLabel.MOTORCYCLE, CityObjectLabel.BICYCLE, CityObjectLabel.RIDER)
_FOUR_WHEELS = (CityObjectLabel.CAR, CityObjectLabel.TRUCK, CityObjectLabel.BUS)


class _Mesh:
    """Collects faces in units of the half extents: every coordinate runs from -1 to 1 over the box."""

    def __init__(self, key: BodyKey) -> None:
        self._scale = np.array([key.half_x, key.half_y, key.half_z])
        self._label = key.label
        self.rows: list[tuple[NDArray[np.float64], NDArray[np.float64], Colour, int, int, bool]] = []

    def face(
        self,
        corners: Sequence[Sequence[float]],
        outward: Sequence[float],
        colour: Colour,
        part: int,
        label: int | None = None,
        glow: bool = False,
    ) -> None:
        points = np.array(corners) * self._scale
        normal = np.cross(points[2] - points[0], points[3] - points[1])
        normal = normal / max(float(np.linalg.norm(normal)), 1e-12)
        if float(normal @ (np.array(outward) * self._scale)) < 0.0:
            normal = -normal
        self.rows.append((points, normal, colour, part, self._label if label is None else label, glow))

    def frustum(
        self, low: Sequence[float], high: Sequence[float], z: Sequence[float], colours: Sequence[Colour], part: int,
        label: int | None = None,
    ) -> None:  # fmt: skip
        """A box with slanted sides: `low` and `high` are (x0, x1, y0, y1) at heights z[0] and z[1].

        `colours`: of the front, rear, left, right, top and bottom face.
        """
        (a0, a1, b0, b1), (c0, c1, d0, d1), (z0, z1) = low, high, z
        ground = [(a0, b0, z0), (a1, b0, z0), (a1, b1, z0), (a0, b1, z0)]
        roof = [(c0, d0, z1), (c1, d0, z1), (c1, d1, z1), (c0, d1, z1)]
        sides = [(1, 2), (3, 0), (0, 1), (2, 3)]
        outwards = [(1, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 1, 0)]
        for (i, j), outward, colour in zip(sides, outwards, colours):
            self.face([ground[i], ground[j], roof[j], roof[i]], outward, colour, part, label)
        self.face(roof, (0, 0, 1), colours[4], part, label)
        self.face(ground, (0, 0, -1), colours[5], part, label)

    def box(
        self, bounds: Sequence[float], z: Sequence[float], colour: Colour, part: int, label: int | None = None
    ) -> None:
        self.frustum(bounds, bounds, z, [colour] * 6, part, label)

    def panel(
        self, end: float, y: Sequence[float], z: Sequence[float], colour: Colour, part: int = 2, glow: bool = False
    ) -> None:
        """A patch on the front (end 1) or rear (end -1)."""
        (y0, y1), (z0, z1) = y, z
        self.face([(end, y0, z0), (end, y1, z0), (end, y1, z1), (end, y0, z1)], (end, 0, 0), colour, part, glow=glow)

    def flank(self, side: float, x: Sequence[float], z: Sequence[float], colour: Colour) -> None:
        """A patch on the left (side -1) or right (side 1)."""
        (x0, x1), (z0, z1) = x, z
        self.face([(x0, side, z0), (x1, side, z0), (x1, side, z1), (x0, side, z1)], (0, side, 0), colour, 2)

    def wheel(self, side: float, x: float, radius: tuple[float, float]) -> None:
        """A dark hexagon on the flank; radius along x and z."""
        rx, rz = radius
        z = rz - 1.0
        for sign in (-1.0, 1.0):
            edge = z + sign * rz
            corners = [(x - rx, side, z), (x + rx, side, z), (x + rx * 0.55, side, edge), (x - rx * 0.55, side, edge)]
            self.face(corners, (0, side, 0), _DARK, 2)

    def shadow(self) -> None:
        self.face([(-1, -1, -1), (1, -1, -1), (1, 1, -1), (-1, 1, -1)], (0, 0, 1), _SHADOW, 0)


def _rear_lights(mesh: _Mesh, key: BodyKey, z: tuple[float, float]) -> None:
    colour = _BRAKE if key.brake_light else _TAIL
    for y in ((-0.95, -0.55), (0.55, 0.95)):
        mesh.panel(-1.0, y, z, colour, glow=key.brake_light)


def _wheels(mesh: _Mesh, key: BodyKey) -> None:
    radius = min(0.34 if key.half_z < _TALL else 0.5, key.half_z)
    for side in (-1.0, 1.0):
        for x in (-0.62, 0.62):
            mesh.wheel(side, x, (radius / key.half_x, radius / key.half_z))


def _car(mesh: _Mesh, key: BodyKey) -> None:
    paint, waist, sill = key.colour, 0.12, -0.68
    mesh.box((-0.97, 0.97, -0.95, 0.95), (-0.93, sill), _DARK, 1)
    mesh.frustum((-1, 1, -1, 1), (-0.98, 0.97, -0.96, 0.96), (sill, waist), [paint] * 6, 1)
    _wheels(mesh, key)
    _rear_lights(mesh, key, (-0.22, 0.02))
    mesh.panel(-1.0, (-0.22, 0.22), (-0.42, -0.25), _PLATE)
    for y in ((-0.93, -0.58), (0.58, 0.93)):
        mesh.panel(1.0, y, (-0.25, -0.02), _HEADLIGHT)
    mesh.panel(1.0, (-0.5, 0.5), (-0.45, -0.2), _DARK)
    glass = [_GLASS, _GLASS, _GLASS, _GLASS, paint, paint]
    mesh.frustum((-0.86, 0.45, -0.94, 0.94), (-0.62, 0.1, -0.76, 0.76), (waist, 1.0), glass, 3)
    if key.brake_light:
        mesh.face(
            [(-0.69, -0.2, 0.86), (-0.69, 0.2, 0.86), (-0.655, 0.2, 0.95), (-0.655, -0.2, 0.95)],
            (-1, 0, 0), _BRAKE, 4, glow=True,
        )  # fmt: skip


def _tall(mesh: _Mesh, key: BodyKey) -> None:
    mesh.box((-0.97, 0.97, -0.95, 0.95), (-0.95, -0.72), _DARK, 1)
    mesh.box((-1, 1, -1, 1), (-0.72, 1.0), key.colour, 1)
    _wheels(mesh, key)
    _rear_lights(mesh, key, (-0.6, -0.42))
    mesh.panel(-1.0, (-0.7, 0.7), (0.2, 0.75), _GLASS)
    mesh.panel(1.0, (-0.88, 0.88), (0.05, 0.75), _GLASS)
    for y in ((-0.92, -0.6), (0.6, 0.92)):
        mesh.panel(1.0, y, (-0.6, -0.42), _HEADLIGHT)
    window = (-0.9, 0.9) if key.label == CityObjectLabel.BUS else (0.6, 0.92)
    for side in (-1.0, 1.0):
        mesh.flank(side, window, (0.1, 0.7), _GLASS)


def _two_wheels(mesh: _Mesh, key: BodyKey) -> None:
    mesh.box((-1, 1, -0.2, 0.2), (-1.0, -0.35), _DARK, 1)
    mesh.box((-0.6, 0.5, -0.35, 0.35), (-0.35, -0.1), key.colour, 1)
    rider = CityObjectLabel.RIDER
    mesh.box((-0.45, 0.1, -0.9, 0.9), (-0.1, 0.6), key.colour, 3, rider)
    mesh.box((-0.25, 0.05, -0.35, 0.35), (0.6, 1.0), _SKIN, 4, rider)
    mesh.panel(-1.0, (-0.2, 0.2), (-0.5, -0.35), _BRAKE if key.brake_light else _TAIL, glow=key.brake_light)


def _walker(mesh: _Mesh, key: BodyKey) -> None:
    mesh.box((-0.5, 0.5, -0.6, 0.6), (-1.0, -0.1), _TROUSERS, 1)
    mesh.box((-0.6, 0.6, -1.0, 1.0), (-0.1, 0.62), key.colour, 3)
    mesh.box((-0.4, 0.4, -0.45, 0.45), (0.62, 1.0), _SKIN, 4)


@lru_cache(maxsize=1024)
def body_of(key: BodyKey) -> Body:
    """The faces of one body."""
    mesh = _Mesh(key)
    mesh.shadow()
    if key.label in _FOUR_WHEELS:
        (_tall if key.half_z > _TALL else _car)(mesh, key)
    elif key.label in _TWO_WHEELS:
        _two_wheels(mesh, key)
    elif key.label == CityObjectLabel.PEDESTRIANS:
        _walker(mesh, key)
    else:
        mesh.box((-1, 1, -1, 1), (-1.0, 1.0), key.colour, 1)
    points, normals, colours, parts, labels, glows = zip(*mesh.rows)
    corners = np.array(points)
    edges = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    return Body(
        corners=corners.astype(np.float32),
        normal=np.array(normals, np.float32),
        paint=np.column_stack([np.array(colours, np.float32), np.array(glows, np.float32)]),
        label=np.array(labels, np.uint8),
        size=np.sort(edges, axis=1)[:, 1].astype(np.float32),
        part=np.array(parts, np.int8),
        owner=np.zeros(len(points), np.intp),
    )


@lru_cache(maxsize=64)
def bodies_of(keys: tuple[BodyKey, ...]) -> Body:
    """The faces of several bodies, one after another; `owner` tells whose each face is."""
    bodies: Iterable[Body] = [body_of(key) for key in keys]
    joined = {n: np.concatenate([getattr(b, n) for b in bodies]) for n in Body.__slots__ if n != "owner"}
    counts = [len(body.label) for body in bodies]
    return Body(**joined, owner=np.repeat(np.arange(len(counts)), counts))


def key_of(box: DynamicBox) -> BodyKey:
    """The key of a box's body; extents are rounded to the centimetre and kept above it."""
    return _key_of(box.half_x, box.half_y, box.half_z, box.colour, box.label, box.brake_light)


@lru_cache(maxsize=1024)
def _key_of(half_x: float, half_y: float, half_z: float, colour: Colour, label: int, brake_light: bool) -> BodyKey:
    halves = [max(round(half, 2), 0.01) for half in (half_x, half_y, half_z)]
    return BodyKey(halves[0], halves[1], halves[2], colour, int(label), brake_light)
