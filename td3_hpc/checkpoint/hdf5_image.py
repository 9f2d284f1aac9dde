"""HDF5 files laid out in memory without copying the arrays, so that saving costs little more than writing the bytes.

The library makes the whole file, but for the content of the arrays: for these it only reserves room. Writing then
takes what the library made and the arrays themselves, each at its place.
"""

import functools
import io
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import h5py
import hdf5plugin
import numpy as np

#: Smaller fields of a table are left to the library; smaller pieces of a file are written together.
_LARGE_BYTES = 1 << 14
#: Of one chunk: large ones, for small ones are several times slower.
CHUNK_BYTES = 1 << 20

Object: TypeAlias = h5py.h5g.GroupID | h5py.h5d.DatasetID
"""An entry of the file, by the library's low-level interface: the other one takes five times as long to make one."""
Properties: TypeAlias = h5py.h5p.PropGCID | h5py.h5p.PropDCID

_SCALAR = h5py.h5s.create(h5py.h5s.SCALAR)
_NUMBER = h5py.h5t.py_create(np.dtype(np.int64), logical=True)
_TEXT = h5py.h5t.py_create(h5py.string_dtype(), logical=True)


@functools.lru_cache(256)
def _type(dtype: np.dtype[Any]) -> h5py.h5t.TypeID:
    return h5py.h5t.py_create(dtype, logical=True)


def _timeless(properties: Properties) -> Properties:
    """Without the time of creation, so that equal content makes equal files."""
    properties.set_obj_track_times(False)
    return properties


def _room() -> h5py.h5p.PropDCID:
    """Of a dataset whose room is allocated, and its content not written."""
    properties = _timeless(h5py.h5p.create(h5py.h5p.DATASET_CREATE))
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return properties


_GROUP = _timeless(h5py.h5p.create(h5py.h5p.GROUP_CREATE))
_ROOM = _room()


@dataclass(frozen=True)
class Layout:
    """A file without the content of its arrays. May serve for many files, and be laid out further."""

    memory: "_Memory"
    places: Mapping[str, tuple[int, int]]
    """Path of each array that has any content -> offset, bytes."""

    def with_content(self, arrays: Mapping[str, np.ndarray]) -> "Hdf5Image":
        """The file; `arrays`: by path, each as the layout has it."""
        return Hdf5Image(self.memory.content(), [(at, arrays[path]) for path, (at, _) in self.places.items()])


@dataclass(frozen=True)
class Hdf5Image:
    """A file: `pieces` are its bytes."""

    layout: memoryview
    arrays: Iterable[tuple[int, np.ndarray]]
    """By their offsets."""

    def pieces(self) -> Iterator[memoryview]:
        """The file's content in order; small pieces come together in one."""
        small = bytearray()
        for part in self._parts():
            if len(part) < _LARGE_BYTES:
                small += part
                continue
            if small:
                yield memoryview(small)
                small = bytearray()
            yield part
        yield memoryview(small)

    def _parts(self) -> Iterator[memoryview]:
        at = 0
        for offset, array in sorted(self.arrays, key=lambda item: item[0]):
            yield self.layout[at:offset]
            yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            at = offset + array.nbytes
        yield self.layout[at:]

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces())


@dataclass
class LayoutMaker:
    """Makes a layout, `layout()` once it is closed."""

    content_bytes: int
    """Of all arrays that are added. More room is only reserved, not used."""
    before: Layout | None = None
    """The layout to go on with, which stays as it is."""
    _places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __enter__(self) -> "LayoutMaker":
        before = self.before
        size = len(before.memory.content()) if before else 0
        self._memory = _Memory(size + 2 * self.content_bytes + (64 << 20))
        if before:
            self._places.update(before.places)
            self._memory.take(before.memory.content(), before.places.values())
        self._file = h5py.File(self._memory, "r+" if before else "w", libver="latest")
        self.root: h5py.h5g.GroupID = h5py.h5g.open(self._file.id, b"/")
        return self

    def __exit__(self, *_: object) -> None:
        del self.root
        self._file.close()

    def layout(self) -> Layout:
        return Layout(self._memory, self._places)

    def group(self, path: str) -> h5py.h5g.GroupID:
        """A group that is there already; the root for an empty path."""
        return h5py.h5g.open(self._file.id, path.encode()) if path else self.root

    def add_group(self, group: h5py.h5g.GroupID, name: str) -> h5py.h5g.GroupID:
        """An empty group."""
        return h5py.h5g.create(group, name.encode(), gcpl=_GROUP)

    def add(
        self, group: h5py.h5g.GroupID, name: str, path: str, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> h5py.h5d.DatasetID:
        """Room for a dataset in one piece; `path` tells it apart in the layout's places."""
        space = h5py.h5s.create_simple(shape) if shape else _SCALAR
        dataset = h5py.h5d.create(group, name.encode(), _type(dtype), space, _ROOM)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if size:
            self._places[path] = (dataset.get_offset(), size)
        return dataset

    def add_rows(self, group: h5py.h5g.GroupID, name: str, array: np.ndarray, compress: bool) -> h5py.h5d.DatasetID:
        """A dataset in chunks of many rows: room for its content, or the content itself where the library does more."""
        row_bytes = max(1, array.nbytes // max(1, len(array)))
        chunk = (max(1, min(len(array), CHUNK_BYTES // row_bytes)), *array.shape[1:])
        if compress or array.nbytes < _LARGE_BYTES:
            options = hdf5plugin.Blosc(cname="lz4", clevel=5) if compress else {}
            return h5py.Group(group).create_dataset(name, data=array, chunks=chunk, **options).id
        properties = _room()
        properties.set_chunk(chunk)
        space = h5py.h5s.create_simple(array.shape)
        dataset = h5py.h5d.create(group, name.encode(), _type(array.dtype), space, properties)
        # Reserved early and unfiltered, the chunks follow one another; only the last one is padded.
        self._places[name] = (dataset.get_chunk_info(0).byte_offset, array.nbytes)
        return dataset

    def note(self, item: Object, name: str, value: int | str) -> None:
        """An attribute."""
        array = np.array(value, h5py.string_dtype() if isinstance(value, str) else np.int64)
        kind = _TEXT if isinstance(value, str) else _NUMBER
        h5py.h5a.create(item, name.encode(), kind, _SCALAR).write(array)


class _Memory(io.RawIOBase):
    """A file object in memory of which only what is written takes room."""

    def __init__(self, room: int) -> None:
        self._map = mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._at = 0
        self._size = 0

    def content(self) -> memoryview:
        return memoryview(self._map)[: self._size]

    def take(self, content: memoryview, holes: Iterable[tuple[int, int]]) -> None:
        """Become a copy of another content, but for its holes (offset, bytes)."""
        at = 0
        for offset, size in [*sorted(holes), (len(content), 0)]:
            self._map[at:offset] = content[at:offset]
            at = offset + size
        self._size = len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view[:] = self._map[self._at : self._at + len(view)]
        self._at += len(view)
        return len(view)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._map[self._at : self._at + len(view)] = view
        self._at += len(view)
        self._size = max(self._size, self._at)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        self._size = self._at if size is None else size
        return self._size

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
