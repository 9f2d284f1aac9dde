"""Trees and tables as HDF5 files. They are built in memory, hashed and written whole; reading trusts nothing.

A tree is a nested dict of arrays, numbers, strings, booleans and None. Groups mirror its dicts; a None is an empty
group with the attribute `none`. A table is one dataset a field, in chunks of many rows.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import xxhash

from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.durable import sync_directory

Tree = Mapping[str, Any]
Schema = Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]

FORMAT = 1
_CHUNK_BYTES = 1 << 20
_MAX_DEPTH = 16
_PLAIN_KINDS = "buifS"  # booleans, integers, floats, fixed-length bytes: nothing that points elsewhere or runs


def checksum(data: bytes | memoryview) -> str:
    """xxh3_128 in hexadecimal."""
    return xxhash.xxh3_128_hexdigest(data)


def tree_image(tree: Tree, descriptions: Mapping[str, str]) -> bytes:
    """An HDF5 file of the tree, in memory; `descriptions` (path -> text) become attributes."""
    with h5py.File("tree", "w", driver="core", backing_store=False, libver="latest") as file:
        file.attrs["format"] = FORMAT
        _write_group(file, tree)
        for path, text in descriptions.items():
            if path in file:
                file[path].attrs["description"] = text
        file.flush()
        return bytes(file.id.get_file_image())


def table_image(rows: Mapping[str, np.ndarray], first_row: int, compress: bool) -> bytes:
    """An HDF5 file of consecutive rows, in memory."""
    with h5py.File("table", "w", driver="core", backing_store=False, libver="latest") as file:
        file.attrs["format"] = FORMAT
        file.attrs["first_row"] = first_row
        for name, array in rows.items():
            row_bytes = max(1, array.nbytes // max(1, len(array)))
            chunk = max(1, min(len(array), _CHUNK_BYTES // row_bytes))
            options = hdf5plugin.Blosc(cname="lz4", clevel=5) if compress else {}
            file.create_dataset(name, data=array, chunks=(chunk, *array.shape[1:]), **options)
        file.flush()
        return bytes(file.id.get_file_image())


def write_file(path: Path, image: bytes) -> None:
    """Put an image at path: temporary name, fsync, rename, directory fsync. Raises OSError with nothing at path."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            view = memoryview(image)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_tree(path: Path) -> dict[str, Any]:
    """The tree in a file. Raises CheckpointDamaged."""
    with _reading(path) as file:
        return _read_group(file, path, 0)


def read_table(path: Path, first_row: int, count: int, schema: Schema | None = None) -> dict[str, np.ndarray]:
    """The rows in a file, which must be `count` from `first_row` on. Raises CheckpointDamaged."""
    with _reading(path) as file:
        if file.attrs.get("first_row") != first_row:
            raise CheckpointDamaged(f"{path}: does not start at row {first_row}")
        rows = {}
        for name in file:
            dataset = _dataset(file, name, path)
            if dataset.shape[:1] != (count,):
                raise CheckpointDamaged(f"{path}: {name} has shape {dataset.shape}, {count} rows were expected")
            rows[name] = dataset[...]
        return rows


def _write_group(group: h5py.Group, tree: Tree) -> None:
    for name, value in tree.items():
        if value is None:
            group.create_group(name).attrs["none"] = True
        elif isinstance(value, Mapping):
            _write_group(group.create_group(name), value)
        elif isinstance(value, str):
            group.create_dataset(name, data=np.bytes_(value.encode())).attrs["text"] = "utf-8"
        else:
            group.create_dataset(name, data=np.asarray(value))


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file of our format; whatever the library finds wrong with it becomes CheckpointDamaged."""
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise CheckpointDamaged(f"{path}: not a checkpoint file of format {FORMAT}")
            yield file
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise CheckpointDamaged(f"{path}: damaged HDF5 ({' '.join(str(error).split())})") from None


def _items(group: h5py.Group, path: Path) -> Iterator[str]:
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise CheckpointDamaged(f"{path}: {group.name}/{name} is a link to elsewhere")
        yield name


def _read_group(group: h5py.Group, path: Path, depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        raise CheckpointDamaged(f"{path}: nested deeper than {_MAX_DEPTH} groups")
    tree: dict[str, Any] = {}
    for name in _items(group, path):
        if group.get(name, getclass=True) is h5py.Group:
            child = group[name]
            tree[name] = None if child.attrs.get("none") else _read_group(child, path, depth + 1)
        else:
            tree[name] = _read_value(_dataset(group, name, path))
    return tree


def _dataset(group: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """A dataset whose size has been held against the file's, before anything is allocated."""
    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in _PLAIN_KINDS:
        raise CheckpointDamaged(f"{path}: {group.name}/{name} is not a plain dataset")
    if dataset.is_virtual or dataset.external:
        raise CheckpointDamaged(f"{path}: {dataset.name} keeps its data elsewhere")
    size = path.stat().st_size
    stored = dataset.id.get_storage_size()
    if stored > size or dataset.nbytes > max(stored, 1) * 256:
        raise CheckpointDamaged(f"{path}: {dataset.name} claims {dataset.nbytes} bytes in a file of {size}")
    return dataset


def _read_value(dataset: h5py.Dataset) -> Any:
    value = dataset[()]
    if "text" in dataset.attrs:
        return bytes(value).decode()
    if dataset.shape == ():
        return value.item()
    return value
