"""Do two checkpoints hold the same bytes? Everything counts but `provenance`: where and when they were made.

Of the configuration's text the meaning counts: an earlier version's lacks the number of its format, and later keys.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from td3_hpc.checkpoint.contents import in_order, read_contents
from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.hdf5_file import read_table
from td3_hpc.checkpoint.manifest import is_there, problems, read_manifest
from td3_hpc.checkpoint.store import Checkpoint
from td3_hpc.config import parse_resolved
from td3_hpc.config.changes import changes
from td3_hpc.errors import BadInput

NOT_COMPARED, CONFIG = "provenance", "config"
_BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Difference:
    """One entry that is not the same."""

    path: str
    what: str


def open_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at a manifest, or the newest one of a run directory. Raises BadInput, CheckpointDamaged."""
    if path.is_dir():
        contents = read_contents(path)
        newest = next(in_order(contents, contents.manifests), None)
        if newest is None:
            raise BadInput(f"{path}: holds no checkpoint; give a run directory or a state/checkpoint-*.json file")
        path = newest if isinstance(newest, Path) else contents.path(newest)
    if not path.is_file():
        raise BadInput(f"{path}: no such checkpoint; give a run directory or a state/checkpoint-*.json file")
    checkpoint = Checkpoint(path.parent.parent, read_manifest(path))
    faults = list(problems(checkpoint.run_dir, checkpoint.manifest))
    if faults:
        raise CheckpointDamaged("\n".join(faults))
    return checkpoint


def newest_complete_step(run_dir: Path) -> int | None:
    """Step of the newest checkpoint whose files are there in their sizes; None where there is none."""
    manifests = read_contents(run_dir).manifests
    return next((manifest.step for manifest in manifests if is_there(run_dir, manifest)), None)


def diff(first: Path, second: Path) -> list[Difference]:
    """The differences between two checkpoints (manifests, or run directories' newest); empty: the same bytes."""
    a, b = open_checkpoint(first), open_checkpoint(second)
    return [*_compare_trees(a.state(), b.state(), ""), *_compare_rows(a, b)]


def _compare_trees(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str) -> Iterator[Difference]:
    for name in sorted(a.keys() | b.keys()):
        path = f"{prefix}{name}"
        if path == NOT_COMPARED:
            continue
        if name not in a or name not in b:
            yield Difference(path, f"only in the {'second' if name not in a else 'first'}")
        elif isinstance(a[name], Mapping) and isinstance(b[name], Mapping):
            yield from _compare_trees(a[name], b[name], f"{path}/")
        else:
            what = (_compare_configs if path == CONFIG else _compare_values)(a[name], b[name])
            if what:
                yield Difference(path, what)


def _compare_values(a: Any, b: Any) -> str:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.dtype != b.dtype or a.shape != b.shape:
            return f"{a.dtype} {a.shape} against {b.dtype} {b.shape}"
        unequal = int((a.reshape(-1).view(np.uint8) != b.reshape(-1).view(np.uint8)).sum())
        return f"{unequal} of {a.nbytes} bytes differ" if unequal else ""
    if type(a) is not type(b):
        return f"{a!r} against {b!r}"
    same = np.asarray(a).tobytes() == np.asarray(b).tobytes() if isinstance(a, float) else a == b
    return "" if same else f"{str(a)[:60]!r} against {str(b)[:60]!r}"


def _compare_configs(a: Any, b: Any) -> str:
    """The keys that differ; of texts that are no configuration, whether they do."""
    try:
        return ", ".join(changes(parse_resolved(a, CONFIG), parse_resolved(b, CONFIG)))
    except (BadInput, AttributeError, TypeError):
        return _compare_values(a, b)


def _compare_rows(a: Checkpoint, b: Checkpoint) -> Iterator[Difference]:
    rows_a, rows_b = ((c.manifest.first_row, c.manifest.next_row) for c in (a, b))
    if rows_a != rows_b:
        yield Difference("replay rows", f"{rows_a[0]} to {rows_a[1]} against {rows_b[0]} to {rows_b[1]}")
        return
    reader_a, reader_b = _Rows(a), _Rows(b)
    differing: dict[str, int] = {}
    for start in range(rows_a[0], rows_a[1], _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, rows_a[1])
        block_a, block_b = reader_a.read(start, stop), reader_b.read(start, stop)
        for name in block_a.keys() | block_b.keys():
            if name not in block_a or name not in block_b or _compare_values(block_a[name], block_b[name]):
                differing.setdefault(name, start)
    for name, start in sorted(differing.items()):
        yield Difference(f"replay rows/{name}", f"differ, first between rows {start} and {start + _BLOCK_ROWS}")


class _Rows:
    """Reads any range of a checkpoint's rows, one segment in memory at a time."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._loaded: tuple[int, int, dict[str, np.ndarray]] = (0, 0, {})

    def read(self, start: int, stop: int) -> dict[str, np.ndarray]:
        parts: list[dict[str, np.ndarray]] = []
        for segment in self._checkpoint.manifest.segments:
            if segment.next_row <= start or segment.first_row >= stop:
                continue
            if self._loaded[:2] != (segment.first_row, segment.next_row):
                count = segment.next_row - segment.first_row
                rows = read_table(self._checkpoint.run_dir / segment.path, segment.first_row, count)
                self._loaded = (segment.first_row, segment.next_row, rows)
            low, high = max(start, segment.first_row), min(stop, segment.next_row)
            parts.append({k: v[low - segment.first_row : high - segment.first_row] for k, v in self._loaded[2].items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else {})}
