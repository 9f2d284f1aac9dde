"""Trees and tables as HDF5 files. Laid out in memory, written whole; reading trusts nothing.

A tree is a nested dict of arrays, numbers, strings, booleans and None. Groups mirror its dicts; a None is an empty
group with the attribute `none`. A table is one dataset a field, in chunks of many rows.
"""

import contextlib
import functools
import os
import stat
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xxhash

from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.hdf5_image import Hdf5Image, Object

Tree = Mapping[str, Any]
Schema = Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]
Descriptions = Mapping[str, tuple[str, str]]
"""Path of an entry, or a pattern of paths (`*`: anything) -> what it is, and its unit. The first that fits counts."""

FORMAT = 1
ROWS = "rows/"
"""Begins the paths of a table's fields in descriptions."""
_MAX_DEPTH = 16
_MAX_CHUNK_BYTES = 16 << 20
_MAX_UNPACKED_BYTES = 1 << 30
"""A compressed file may unpack to this; one that is not compressed, to its own size."""
_PLAIN_KINDS = "buifS"  # booleans, integers, floats, fixed-length bytes: nothing that points elsewhere or runs
_BLOSC = 32001


def checksum(data: bytes) -> str:
    """xxh3_128 in hexadecimal."""
    return xxhash.xxh3_128_hexdigest(data)


def tree_image(tree: Tree, descriptions: Descriptions, run: str = "") -> Hdf5Image:
    """A file of the tree. Described entries have the attributes `description` and `unit`; `run`: whose it is."""
    with Hdf5Image(_nbytes(tree)) as image:
        image.note(image.root, "format", FORMAT)
        if run:
            image.note(image.root, "run", run)
        _write_group(image, image.root, tree, "", descriptions)
    return image


def table_image(
    rows: Mapping[str, np.ndarray],
    first_row: int,
    compress: bool,
    descriptions: Descriptions | None = None,
    run: str = "",
) -> Hdf5Image:
    """A file of consecutive rows; a field's path in `descriptions` is `rows/<field>`."""
    with Hdf5Image(_nbytes(rows)) as image:
        image.note(image.root, "format", FORMAT)
        if run:
            image.note(image.root, "run", run)
        image.note(image.root, "first_row", first_row)
        for name, array in rows.items():
            _describe(image, image.add_rows(image.root, name, array, compress), ROWS + name, descriptions or {})
    return image


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
                size += len(piece)
                while piece:
                    piece = piece[os.write(descriptor, piece) :]
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


def _nbytes(tree: Tree) -> int:
    return sum(_nbytes(value) if isinstance(value, Mapping) else np.asarray(value).nbytes for value in tree.values())


def _write_group(image: Hdf5Image, group: Object, tree: Tree, prefix: str, descriptions: Descriptions) -> None:
    for name, value in tree.items():
        link, path = _link_name(name), f"{prefix}{name}"
        item: Object
        if value is None:
            item = image.add_group(group, link)
            image.note(item, "none", 1)
        elif isinstance(value, Mapping):
            item = image.add_group(group, link)
            _write_group(image, item, value, f"{path}/", descriptions)
        elif isinstance(value, str):
            item = image.add(group, link, np.bytes_(value.encode()))
            image.note(item, "text", 1)
        else:
            item = image.add(group, link, value)
        _describe(image, item, path, descriptions)


def _describe(image: Hdf5Image, item: Object, path: str, descriptions: Descriptions) -> None:
    for pattern, (description, unit) in descriptions.items():
        if _fits(path, pattern):
            image.note(item, "description", description)
            if unit:
                image.note(item, "unit", unit)
            return


_fits = functools.lru_cache(1 << 16)(fnmatchcase)  # the same paths and patterns at every save


def _link_name(name: str) -> str:
    """HDF5 takes `/` and `.` in a name for a path."""
    quoted = name.replace("%", "%25").replace("/", "%2F")
    return "%2E" if quoted == "." else quoted


def _entry_name(link: str) -> str:
    return link.replace("%2E", ".").replace("%2F", "/").replace("%25", "%")


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
            entry = _entry_name(name)
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
