"""A manifest makes a checkpoint: written last, it names every file with its size and checksum."""

import json
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import xxhash
from pydantic import ConfigDict, Field, TypeAdapter

from td3_hpc.checkpoint import listing
from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.sealed_json import seal, unseal

FORMAT = 2
"""1: without `run` and `line`."""
STATE_DIR, REPLAY_DIR, SET_ASIDE_DIR = "state", "replay", "set-aside"
#: Ends the name of a manifest that retention has dropped, until its files are removed, too.
DROPPED = ".dropped"
_NAME = re.compile(r"^checkpoint-e(\d{4,})-s(\d{9,})-(\d{4,})\.json$")
_FILE_NAME = re.compile(r"^(?:checkpoint-e(\d{4,})-s\d{9,}|rows-e(\d{4,})-\d{12,}-\d{12,})-(\d{4,})\.(?:h5|json)$")
_HALF_WRITTEN = re.compile(r"^\.(.*\.(?:h5|json))(?:\.\d+)?\.tmp$")
_BLOCK = 16 << 20
_MAX_BYTES = 32 << 20
"""Of a manifest; 100,000 segments need half of it."""
_STRICT = ConfigDict(strict=True, extra="forbid")

Order = tuple[int, int, int]
"""Epoch, step, number of the save: the highest is the newest."""
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class StoredFile:
    """A file of a checkpoint."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    path: str
    """Relative to the run directory."""
    bytes: Count
    xxh3_128: str


@dataclass(frozen=True)
class Segment(StoredFile):
    """Sealed rows of the replay buffer."""

    first_row: Count
    next_row: Count


@dataclass(frozen=True)
class Manifest:
    """One checkpoint."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    epoch: Count
    step: Count
    number: Count
    """Of the save, within its epoch."""
    created: str
    state: StoredFile
    segments: tuple[Segment, ...]
    first_row: Count
    """Oldest row that the buffer held."""
    next_row: Count
    """Rows below it are in the segments."""
    tags: Mapping[str, str | bool | int | float] = field(default_factory=dict)
    run: str = ""
    """Identity of the run; empty for one of format 1."""
    line: tuple[str, ...] | None = None
    """Names of the manifests that this attempt and those before it resumed from, the oldest first; none: the run's
    beginning. None for one of format 1, where the epoch files tell it."""

    @property
    def order(self) -> Order:
        return self.epoch, self.step, self.number

    @property
    def name(self) -> str:
        return manifest_name(self.order)

    def files(self) -> tuple[StoredFile, ...]:
        return (self.state, *self.segments)

    def to_json(self) -> bytes:
        return seal({"format": FORMAT, **asdict(self), "tags": dict(self.tags)})


def manifest_name(order: Order) -> str:
    """File name of a manifest."""
    return f"checkpoint-e{order[0]:04}-s{order[1]:09}-{order[2]:04}.json"


def order_of(path: Path) -> Order | None:
    """Epoch, step and number that a manifest's file name tells; None for another file."""
    match = _NAME.match(path.name)
    return (int(match.group(1)), int(match.group(2)), int(match.group(3))) if match else None


def save_of(path: Path) -> tuple[int, int] | None:
    """Epoch and number of the save that a file's name tells, half-written ones included; None for another file."""
    half_written = _HALF_WRITTEN.match(path.name)
    match = _FILE_NAME.match(half_written.group(1) if half_written else path.name)
    return (int(match.group(1) or match.group(2)), int(match.group(3))) if match else None


def is_half_written(path: Path) -> bool:
    """Whether a name is that of a file in the middle of being written."""
    return bool(_HALF_WRITTEN.match(path.name))


def manifest_paths(run_dir: Path) -> list[Path]:
    """The manifests of a run, the newest first."""
    found = [(order, path) for path in listing.paths(run_dir / STATE_DIR) if (order := order_of(path))]
    return [path for _, path in sorted(found, reverse=True)]


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file. Raises CheckpointDamaged."""
    manifest = read_manifest_of_any_name(path)
    if manifest.order != order_of(path):
        raise CheckpointDamaged(f"{path}: the manifest is of another checkpoint, {manifest.name}")
    return manifest


def read_manifest_of_any_name(path: Path) -> Manifest:
    """The manifest in a file that somebody may have renamed. Raises CheckpointDamaged."""
    try:
        if not stat.S_ISREG(path.stat().st_mode) or path.stat().st_size > _MAX_BYTES:
            raise CheckpointDamaged(f"{path}: not a manifest's file")
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointDamaged(f"{path}: cannot be read ({error.strerror})") from None
    try:
        body = unseal(content)
    except ValueError as error:
        raise CheckpointDamaged(f"{path}: the manifest is damaged ({error})") from None
    if body.pop("format", None) not in (1, FORMAT):
        raise CheckpointDamaged(f"{path}: a manifest of a format that this version does not know")
    try:
        manifest = _MANIFEST.validate_json(json.dumps(body))
    except ValueError as error:
        raise CheckpointDamaged(f"{path}: not a readable manifest ({' '.join(str(error).split())})") from None
    for file in manifest.files():
        if Path(file.path).is_absolute() or ".." in Path(file.path).parts:
            raise CheckpointDamaged(f"{path}: names a file outside the run directory, {file.path}")
    if not _rows_are_complete(manifest):
        raise CheckpointDamaged(
            f"{path}: its segments do not hold the rows {manifest.first_row} to {manifest.next_row}"
        )
    return manifest


def _rows_are_complete(manifest: Manifest) -> bool:
    """Whether the segments follow one another, from the buffer's oldest row or one before it to its newest."""
    at = min([manifest.first_row, *(segment.first_row for segment in manifest.segments[:1])])
    for segment in manifest.segments:
        if segment.first_row != at or segment.next_row <= at:
            return False
        at = segment.next_row
    return at == manifest.next_row


def problems(run_dir: Path, manifest: Manifest) -> Iterator[str]:
    """Everything wrong with the files of a checkpoint, each named."""
    for file in manifest.files():
        path = run_dir / file.path
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                yield f"{path}: not a regular file"
            elif status.st_size != file.bytes:
                yield f"{path}: has {status.st_size} bytes, {file.bytes} were written"
            elif file_checksum(path) != file.xxh3_128:
                yield f"{path}: its content has changed since it was written (checksum)"
        except FileNotFoundError:
            yield f"{path}: missing (a scratch file system's purge removes files that look old)"
        except OSError as error:
            yield f"{path}: cannot be read ({error.strerror})"


def is_there(run_dir: Path, manifest: Manifest) -> bool:
    """Whether the files of a checkpoint are there in their sizes; whether they are whole, `problems` tells."""
    try:
        return all((run_dir / file.path).stat().st_size == file.bytes for file in manifest.files())
    except OSError:
        return False


def file_checksum(path: Path) -> str:
    """xxh3_128 of a file."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


_MANIFEST = TypeAdapter(Manifest)
