"""A manifest makes a checkpoint: written last, it names every file with its size and checksum."""

import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, ClassVar

import xxhash
from pydantic import ConfigDict, Field, TypeAdapter

from td3_hpc.checkpoint.errors import CheckpointDamaged, CheckpointUnreadable
from td3_hpc.checkpoint.sealed_json import seal, unseal
from td3_hpc.checkpoint_names import Order, manifest_name, order_of
from td3_hpc.durable import insist, is_answer
from td3_hpc.errors import BadInput

FORMAT = 2
"""1: without `run` and `line`."""
_BLOCK = 16 << 20
_MAX_BYTES = 32 << 20
"""Of a manifest; 100,000 segments need half of it."""
_STRICT = ConfigDict(strict=True, extra="forbid")

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


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file. Raises CheckpointDamaged, CheckpointUnreadable, BadInput for one of a later version."""
    manifest = read_manifest_of_any_name(path)
    if manifest.order != order_of(path):
        raise CheckpointDamaged(f"{path}: the manifest is of another checkpoint, {manifest.name}")
    return manifest


def read_manifest_of_any_name(path: Path) -> Manifest:
    """The manifest in a file that somebody may have renamed. Raises as `read_manifest` does."""
    try:
        status = insist(path.stat)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            raise CheckpointDamaged(f"{path}: not a manifest's file")
        content = insist(path.read_bytes)
    except OSError as error:
        if not is_answer(error):
            raise _unreadable(path, error) from error
        raise CheckpointDamaged(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return _parsed(content)
    except ValueError as error:
        raise CheckpointDamaged(f"{path}: {error}") from None
    except BadInput as error:  # whole, and no reason to set it aside
        raise BadInput(f"{path}: {error}") from None


@lru_cache(256)  # a save looks through all that are kept
def _parsed(content: bytes) -> Manifest:
    """Raises ValueError, and BadInput for a later format, in words that go on from the file's name."""
    try:
        body = unseal(content)
    except ValueError as error:
        raise ValueError(f"the manifest is damaged ({error})") from None
    number = body.pop("format", None)
    if type(number) is not int or number < 1:
        raise ValueError(f"the manifest is damaged (its format is {number!r})")
    if number > FORMAT:
        raise BadInput(
            f"has checkpoint format {number}, and this version of td3-hpc knows formats up to {FORMAT}; "
            "use the version that wrote it, or a later one"
        )
    try:
        manifest = _MANIFEST.validate_json(json.dumps(body))
    except ValueError as error:
        raise ValueError(f"not a readable manifest ({' '.join(str(error).split())})") from None
    for file in manifest.files():
        if Path(file.path).is_absolute() or ".." in Path(file.path).parts:
            raise ValueError(f"names a file outside the run directory, {file.path}")
    if not _rows_are_complete(manifest):
        raise ValueError(f"its segments do not hold the rows {manifest.first_row} to {manifest.next_row}")
    return manifest


def _rows_are_complete(manifest: Manifest) -> bool:
    """Whether the segments follow one another, from the buffer's oldest row or one before it to its newest."""
    at = min([manifest.first_row, *(segment.first_row for segment in manifest.segments[:1])])
    for segment in manifest.segments:
        if segment.first_row != at or segment.next_row <= at:
            return False
        at = segment.next_row
    return at == manifest.next_row


def problems(run_dir: Path, manifest: Manifest, checksums: bool = True) -> Iterator[str]:
    """Everything wrong with the files of a checkpoint, each named; without their checksums, no file is read.

    Raises CheckpointUnreadable where the file system does not say.
    """
    for file in manifest.files():
        path = run_dir / file.path
        try:
            status = insist(path.stat)
            if not stat.S_ISREG(status.st_mode):
                yield f"{path}: not a regular file"
            elif status.st_size != file.bytes:
                yield f"{path}: has {status.st_size} bytes, {file.bytes} were written"
            elif checksums and insist(partial(file_checksum, path)) != file.xxh3_128:
                yield f"{path}: its content has changed since it was written (checksum)"
        except FileNotFoundError:
            yield f"{path}: missing (a scratch file system's purge removes files that look old)"
        except OSError as error:
            if not is_answer(error):
                raise _unreadable(path, error) from error
            yield f"{path}: cannot be read ({error.strerror})"


def _unreadable(path: Path, error: OSError) -> CheckpointUnreadable:
    return CheckpointUnreadable(
        f"{path}: cannot be read ({error.strerror}), so it cannot be told whether the checkpoint is whole; try again. "
        "Where that does not help, move this file away: the run then goes on from an earlier checkpoint"
    )


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
