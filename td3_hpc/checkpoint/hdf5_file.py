"""Trees and tables as HDF5 files. Laid out in memory, written whole; reading trusts nothing.

A tree is a nested dict of arrays, numbers, strings, booleans and None. Groups mirror its dicts; a None is an empty
group with the attribute `none`. A table is one dataset a field, in chunks of many rows.
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xxhash

from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.hdf5_image import Hdf5Image, LayoutMaker
from td3_hpc.checkpoint.tree_layout import FORMAT, Descriptions, Tree, TreeLayouts, describe, entry_name, note_file

Schema = Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]

ROWS = "rows/"
"""Begins the paths of a table's fields in descriptions."""
_MAX_DEPTH = 16
_MAX_CHUNK_BYTES = 16 << 20
_MAX_UNPACKED_BYTES = 1 << 30
"""A compressed file may unpack to this; one that is not compressed, to its own size."""
_PLAIN_KINDS = "buifS"  # booleans, integers, floats, fixed-length bytes: nothing that points elsewhere or runs
_BLOSC = 32001
_BLOCK_BYTES = 8 << 20


def checksum(data: bytes) -> str:
    """xxh3_128 in hexadecimal."""
    return xxhash.xxh3_128_hexdigest(data)


def tree_image(tree: Tree, descriptions: Descriptions, run: str = "", layouts: TreeLayouts | None = None) -> Hdf5Image:
    """A file of the tree. Described entries have the attributes `description` and `unit`; `run`: whose it is.

    `layouts`: of the trees before it, which saves most of the work.
    """
    return (layouts or TreeLayouts()).image(tree, descriptions, run)


def table_image(
    rows: Mapping[str, np.ndarray],
    first_row: int,
    compress: bool,
    descriptions: Descriptions | None = None,
    run: str = "",
) -> Hdf5Image:
    """A file of consecutive rows; a field's path in `descriptions` is `rows/<field>`."""
    with LayoutMaker(sum(array.nbytes for array in rows.values())) as maker:
        note_file(maker, run)
        maker.note(maker.root, "first_row", first_row)
        for name, array in rows.items():
            describe(maker, maker.add_rows(maker.root, name, array, compress), ROWS + name, descriptions or {})
    return maker.layout().with_content(rows)


def write_file(path: Path, image: Hdf5Image) -> tuple[int, str]:
    """Put an image at path: temporary name, fsync, rename. Returns its size and checksum.

    The directory is left for the caller to fsync, once for several files. Raises OSError with nothing at path.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    digest, size = xxhash.xxh3_128(), 0
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            for piece in image.pieces():
                digest.update(piece)
                while piece:
                    written = os.write(descriptor, piece[:_BLOCK_BYTES])
                    # Lets the disk begin at once, beside what is still to be copied; fsync then waits for the rest.
                    os.posix_fadvise(descriptor, size, written, os.POSIX_FADV_DONTNEED)
                    size, piece = size + written, piece[written:]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return size, digest.hexdigest()


def read_tree(path: Path) -> dict[str, Any]:
    """The tree in a file. Raises CheckpointDamaged."""
    with _reading(path) as file:
        return file.tree(file.root, 0)


def read_table(path: Path, first_row: int, count: int) -> dict[str, np.ndarray]:
    """The rows in a file, which must be `count` from `first_row` on. Raises CheckpointDamaged."""
    with _reading(path) as file:
        if _number(file.root, "first_row") != first_row:
            raise CheckpointDamaged(f"{path}: does not start at row {first_row}")
        rows = {}
        for name in file.names(file.root):
            dataset = file.dataset(file.root, name)
            if dataset.shape[:1] != (count,):
                raise CheckpointDamaged(f"{path}: {name} has shape {dataset.shape}, {count} rows were expected")
            rows[name] = dataset[...]
        return rows


class _Reader:
    """Reads an open file; everything is held against the file's size and our format before it is allocated."""

    def __init__(self, path: Path, root: h5py.File) -> None:
        self.path = path
        self.root = root
        self._size = path.stat().st_size
        self._unpacked = 0
        self._seen: set[int] = set()

    def names(self, group: h5py.Group) -> Iterator[str]:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise self._damaged(group, name, "is a link to elsewhere")
            yield name

    def tree(self, group: h5py.Group, depth: int) -> dict[str, Any]:
        if depth > _MAX_DEPTH:
            raise CheckpointDamaged(f"{self.path}: nested deeper than {_MAX_DEPTH} groups")
        tree: dict[str, Any] = {}
        for name in self.names(group):
            entry = entry_name(name)
            if group.get(name, getclass=True) is h5py.Group:
                child = group[name]
                self._once(group, name, child)
                tree[entry] = None if _number(child, "none") else self.tree(child, depth + 1)
            else:
                tree[entry] = self._value(group, name)
        return tree

    def dataset(self, group: h5py.Group, name: str) -> h5py.Dataset:
        """A plain dataset that claims no more than the file can hold."""
        dataset = group[name]
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in _PLAIN_KINDS:
            raise self._damaged(group, name, "is not a plain dataset")
        if dataset.is_virtual or dataset.external:
            raise self._damaged(group, name, "keeps its data elsewhere")
        self._once(group, name, dataset)
        filters = dataset.id.get_create_plist()
        compressed = filters.get_nfilters() > 0
        if compressed and [filters.get_filter(i)[0] for i in range(filters.get_nfilters())] != [_BLOSC]:
            raise self._damaged(group, name, "is packed with an unknown filter")
        stored = dataset.id.get_storage_size()
        self._unpacked += dataset.nbytes
        limit = max(self._size, _MAX_UNPACKED_BYTES) if compressed else self._size
        if stored > self._size or self._unpacked > limit or (dataset.nbytes > stored and not compressed):
            raise self._damaged(group, name, f"claims {dataset.nbytes} bytes in a file of {self._size}")
        if dataset.chunks and np.prod(dataset.chunks, dtype=float) * dataset.dtype.itemsize > _MAX_CHUNK_BYTES:
            raise self._damaged(group, name, f"has chunks of {dataset.chunks}")
        return dataset

    def _value(self, group: h5py.Group, name: str) -> Any:
        dataset = self.dataset(group, name)
        is_text = _number(dataset, "text")
        if is_text and (dataset.dtype.kind != "S" or dataset.shape != ()):
            raise self._damaged(group, name, "is called text and is none")
        value = dataset[()]
        if is_text:
            return bytes(value).decode()
        return value.item() if dataset.shape == () else value

    def _once(self, group: h5py.Group, name: str, item: h5py.Group | h5py.Dataset) -> None:
        """Entries that share an object could make a small file unfold without end."""
        address = h5py.h5o.get_info(item.id).addr
        if address in self._seen:
            raise self._damaged(group, name, "is stored twice")
        self._seen.add(address)

    def _damaged(self, group: h5py.Group, name: str, what: str) -> CheckpointDamaged:
        return CheckpointDamaged(f"{self.path}: {group.name.rstrip('/')}/{name} {what}")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[_Reader]:
    """An HDF5 file of our format; whatever the library finds wrong with it becomes CheckpointDamaged."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointDamaged(f"{path}: not a regular file")
        with h5py.File(path, "r") as file:
            if _number(file, "format") != FORMAT:
                raise CheckpointDamaged(f"{path}: not a checkpoint file of format {FORMAT}")
            yield _Reader(path, file)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise CheckpointDamaged(f"{path}: damaged HDF5 ({' '.join(str(error).split())})") from None


def _number(item: h5py.Group | h5py.Dataset, name: str) -> int | None:
    """A whole number or boolean attribute; None where there is none, or something else."""
    if not h5py.h5a.exists(item.id, name.encode()):
        return None
    attribute = h5py.h5a.open(item.id, name.encode())
    if attribute.shape != () or attribute.dtype.kind not in "bui":
        return None
    return int(item.attrs[name])
