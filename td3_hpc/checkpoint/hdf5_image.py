"""HDF5 files laid out in memory without copying the arrays, so that saving costs little more than writing the bytes.

The library makes the whole file, but for the content of large arrays: for these it only reserves room. Writing then
takes what the library made and the arrays themselves, each at its place.
"""

import io
import mmap
import os
from collections.abc import Iterator
from typing import Any

import h5py
import hdf5plugin
import numpy as np

#: Smaller arrays are left to the library.
_LARGE_BYTES = 1 << 14
#: Of one chunk: large ones, for small ones are several times slower.
CHUNK_BYTES = 1 << 20


class Hdf5Image:
    """A file in the making, through `file`, `add` and `add_rows`; once `file` is closed, `pieces` are its bytes."""

    def __init__(self, content_bytes: int) -> None:
        """`content_bytes`: of all arrays that it will hold. More room is only reserved, not used."""
        self._memory = _Memory(2 * content_bytes + (64 << 20))
        self.file = h5py.File(self._memory, "w", libver="latest")
        self._arrays: list[tuple[int, np.ndarray]] = []

    def add(self, group: h5py.Group, name: str, value: Any) -> h5py.Dataset:
        """A dataset in one piece."""
        array = np.asarray(value)
        if array.nbytes < _LARGE_BYTES or array.ndim == 0:
            return group.create_dataset(name, data=array)
        dataset = _reserve(group, name, array, None)
        self._arrays.append((dataset.id.get_offset(), array))
        return dataset

    def add_rows(self, group: h5py.Group, name: str, array: np.ndarray, compress: bool) -> h5py.Dataset:
        """A dataset in chunks of many rows."""
        row_bytes = max(1, array.nbytes // max(1, len(array)))
        chunk = (max(1, min(len(array), CHUNK_BYTES // row_bytes)), *array.shape[1:])
        if compress or array.nbytes < _LARGE_BYTES:
            options = hdf5plugin.Blosc(cname="lz4", clevel=5) if compress else {}
            return group.create_dataset(name, data=array, chunks=chunk, **options)
        dataset = _reserve(group, name, array, chunk)
        # Reserved early and unfiltered, the chunks follow one another; only the last one is padded.
        self._arrays.append((dataset.id.get_chunk_info(0).byte_offset, array))
        return dataset

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


def _reserve(group: h5py.Group, name: str, array: np.ndarray, chunk: tuple[int, ...] | None) -> h5py.Dataset:
    """A dataset whose room is allocated, and whose content is not written."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    if chunk is not None:
        properties.set_chunk(chunk)
    space = h5py.h5s.create_simple(array.shape)
    kind = h5py.h5t.py_create(array.dtype, logical=True)
    return h5py.Dataset(h5py.h5d.create(group.id, name.encode(), kind, space, properties))


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
