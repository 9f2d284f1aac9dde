"""Trees laid out as HDF5 files. From save to save most entries keep their shape, and so their places in the file.

Making the file costs the library more than writing it costs a fast disk. So what has kept its shape is laid out once;
a save adds the few other entries to that layout.
"""

import functools
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np

from td3_hpc.checkpoint.hdf5_image import Hdf5Image, Layout, LayoutMaker, Object

Tree = Mapping[str, Any]
Descriptions = Mapping[str, tuple[str, str]]
"""Path of an entry, or a pattern of paths (`*`: anything) -> what it is, and its unit. The first that fits counts."""

FORMAT = 1
_TEXT_BYTES = 16
"""Texts take a multiple of this, padded with zeros, which reading drops: a number in decimal keeps its room."""


class Shape(NamedTuple):
    """An entry without its content."""

    kind: str
    """group, none, text or value"""
    dtype: np.dtype[Any] | None = None
    shape: tuple[int, ...] = ()

    @property
    def bytes(self) -> int:
        return 0 if self.dtype is None else int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class TreeLayouts:
    """Lays out one tree after the other, and keeps what they have in common."""

    def __init__(self) -> None:
        self._shapes: dict[str, Shape] = {}
        self._layout: Layout | None = None
        self._notes: tuple[Descriptions, str] = ({}, "")

    def image(self, tree: Tree, descriptions: Descriptions, run: str = "") -> Hdf5Image:
        """A file of the tree. Described entries have the attributes `description` and `unit`; `run`: whose it is."""
        arrays: dict[str, np.ndarray] = {}
        shapes = dict(_shapes(tree, "", arrays))
        if self._layout is None or self._notes != (descriptions, run):
            self._notes = (dict(descriptions), run)
            self._keep(shapes)
        elif not self._shapes.items() <= shapes.items():
            self._keep({path: shape for path, shape in shapes.items() if self._shapes.get(path) == shape})
        layout = self._layout
        others = {path: shape for path, shape in shapes.items() if path not in self._shapes}
        if layout is None or others:
            layout = self._laid_out(others, layout)
        return layout.with_content(arrays)

    def _keep(self, shapes: dict[str, Shape]) -> None:
        self._shapes, self._layout = shapes, self._laid_out(shapes, None)

    def _laid_out(self, shapes: Mapping[str, Shape], before: Layout | None) -> Layout:
        descriptions, run = self._notes
        with LayoutMaker(sum(shape.bytes for shape in shapes.values()), before) as maker:
            if before is None:
                note_file(maker, run)
            groups = {"": maker.root}
            for path, shape in shapes.items():
                parent, _, name = path.rpartition("/")
                if parent not in groups:
                    groups[parent] = maker.group(parent)
                item: Object
                if shape.dtype is None:
                    item = groups[path] = maker.add_group(groups[parent], name)
                else:
                    item = maker.add(groups[parent], name, path, shape.dtype, shape.shape)
                if shape.kind in ("none", "text"):
                    maker.note(item, shape.kind, 1)
                describe(maker, item, entry_name(path), descriptions)
        return maker.layout()


def note_file(maker: LayoutMaker, run: str) -> None:
    """What every file says of itself."""
    maker.note(maker.root, "format", FORMAT)
    if run:
        maker.note(maker.root, "run", run)


def describe(maker: LayoutMaker, item: Object, path: str, descriptions: Descriptions) -> None:
    """Note what an entry is, where that is known."""
    for pattern, (description, unit) in descriptions.items():
        if _fits(path, pattern):
            maker.note(item, "description", description)
            if unit:
                maker.note(item, "unit", unit)
            return


def entry_name(link: str) -> str:
    """The reverse of `_link_name`."""
    return link.replace("%2E", ".").replace("%2F", "/").replace("%25", "%")


_fits = functools.lru_cache(1 << 16)(fnmatchcase)  # the same paths and patterns at every save


def _shapes(tree: Tree, prefix: str, arrays: dict[str, np.ndarray]) -> Iterator[tuple[str, Shape]]:
    """Path and shape of every entry, a group before what is in it; `arrays` gets their contents."""
    for name, value in tree.items():
        path = f"{prefix}{_link_name(name)}"
        if value is None:
            yield path, Shape("none")
        elif isinstance(value, Mapping):
            yield path, Shape("group")
            yield from _shapes(value, f"{path}/", arrays)
        else:
            kind = "text" if isinstance(value, str) else "value"
            array = _text(value) if isinstance(value, str) else np.asarray(value)
            arrays[path] = array
            yield path, Shape(kind, array.dtype, array.shape)


def _text(value: str) -> np.ndarray:
    encoded = value.encode()
    return np.array(encoded, f"S{-(-max(1, len(encoded)) // _TEXT_BYTES) * _TEXT_BYTES}")


def _link_name(name: str) -> str:
    """HDF5 takes `/` and `.` in a name for a path."""
    quoted = name.replace("%", "%25").replace("/", "%2F")
    return "%2E" if quoted == "." else quoted
