"""HDF5 files laid out in memory without copying the arrays, so that saving costs little more than writing the bytes.

The library makes the whole file, but for the content of large arrays: for these it only reserves room. Writing then
takes what the library made and the arrays themselves, each at its place.
"""

import io
import mmap
import os
from collections.abc import Iterator
from typing import Any, TypeAlias

import h5py
import hdf5plugin
import numpy as np

#: Smaller arrays are left to the library.
_LARGE_BYTES = 1 << 14
#: Of one chunk: large ones, for small ones are several times slower.
CHUNK_BYTES = 1 << 20


_SCALAR = h5py.h5s.create(h5py.h5s.SCALAR)
_TEXT = h5py.string_dtype()

Object: TypeAlias = h5py.h5g.GroupID | h5py.h5d.DatasetID
"""An entry of the file, by the library's low-level interface: the other one takes five times as long to make one."""


class Hdf5Image:
    """A file in the making; once it is closed, `pieces` are its bytes."""

    def __init__(self, content_bytes: int) -> None:
        """`content_bytes`: of all arrays that it will hold. More room is only reserved, not used."""
        self._memory = _Memory(2 * content_bytes + (64 << 20))
        self._file = h5py.File(self._memory, "w", libver="latest")
        self._arrays: list[tuple[int, np.ndarray]] = []
        self.root: h5py.h5g.GroupID = h5py.h5g.open(self._file.id, b"/")

    def __enter__(self) -> "Hdf5Image":
        return self

    def __exit__(self, *_: object) -> None:
        del self.root
        self._file.close()

    def add_group(self, group: h5py.h5g.GroupID, name: str) -> h5py.h5g.GroupID:
        """An empty group."""
        return h5py.h5g.create(group, name.encode())

    def add(self, group: h5py.h5g.GroupID, name: str, value: Any) -> h5py.h5d.DatasetID:
        """A dataset in one piece."""
        array = np.asarray(value)
        large = array.ndim > 0 and array.nbytes >= _LARGE_BYTES
        dataset = _create(group, name, array, None, large)
        if large:
            self._arrays.append((dataset.get_offset(), array))
        elif array.size:
            dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(array))
        return dataset

    def add_rows(self, group: h5py.h5g.GroupID, name: str, array: np.ndarray, compress: bool) -> h5py.h5d.DatasetID:
        """A dataset in chunks of many rows."""
        row_bytes = max(1, array.nbytes // max(1, len(array)))
        chunk = (max(1, min(len(array), CHUNK_BYTES // row_bytes)), *array.shape[1:])
        if compress or array.nbytes < _LARGE_BYTES:
            options = hdf5plugin.Blosc(cname="lz4", clevel=5) if compress else {}
            return h5py.Group(group).create_dataset(name, data=array, chunks=chunk, **options).id
        dataset = _create(group, name, array, chunk, True)
        # Reserved early and unfiltered, the chunks follow one another; only the last one is padded.
        self._arrays.append((dataset.get_chunk_info(0).byte_offset, array))
        return dataset

    def note(self, item: Object, name: str, value: int | str) -> None:
        """An attribute."""
        array = np.array(value, _TEXT if isinstance(value, str) else np.int64)
        kind = h5py.h5t.py_create(array.dtype, logical=True)
        h5py.h5a.create(item, name.encode(), kind, _SCALAR).write(array)

    def pieces(self) -> Iterator[memoryview]:
        """The file's content in order."""
        layout, at = self._memory.content(), 0
        for offset, array in sorted(self._arrays, key=lambda item: item[0]):
            yield layout[at:offset]
            yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            at = offset + array.nbytes
        yield layout[at:]

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces())


def _create(
    group: h5py.h5g.GroupID, name: str, array: np.ndarray, chunk: tuple[int, ...] | None, reserve: bool
) -> h5py.h5d.DatasetID:
    """A dataset; with `reserve`, its room is allocated, and its content not written."""
    properties = None
    if reserve:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        if chunk is not None:
            properties.set_chunk(chunk)
    space = h5py.h5s.create_simple(array.shape) if array.ndim else _SCALAR
    kind = h5py.h5t.py_create(array.dtype, logical=True)
    return h5py.h5d.create(group, name.encode(), kind, space, properties)


class _Memory(io.RawIOBase):
    """A file object in memory of which only what is written takes room."""

    def __init__(self, room: int) -> None:
        self._map = mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._at = 0
        self._size = 0

    def content(self) -> memoryview:
        return memoryview(self._map)[: self._size]

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
