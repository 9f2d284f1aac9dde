"""A manifest makes a checkpoint: written last, it names every file with its size and checksum."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.hdf5_file import checksum

FORMAT = 1
STATE_DIR, REPLAY_DIR, SET_ASIDE_DIR = "state", "replay", "set-aside"
_NAME = re.compile(r"^checkpoint-e(\d{4,})-s(\d{9,})-(\d{4,})\.json$")
_BLOCK = 16 << 20

Order = tuple[int, int, int]
"""Epoch, step, number of the save: the highest is the newest."""


@dataclass(frozen=True)
class StoredFile:
    """A file of a checkpoint."""

    path: str
    """Relative to the run directory."""
    bytes: int
    xxh3_128: str


@dataclass(frozen=True)
class Segment(StoredFile):
    """Sealed rows of the replay buffer."""

    first_row: int
    next_row: int


@dataclass(frozen=True)
class Manifest:
    """One checkpoint."""

    epoch: int
    step: int
    number: int
    """Of the save, within its epoch."""
    created: str
    state: StoredFile
    segments: tuple[Segment, ...]
    first_row: int
    """Oldest row that the buffer held."""
    next_row: int
    """Rows below it are in the segments."""
    tags: Mapping[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> Order:
        return self.epoch, self.step, self.number

    @property
    def name(self) -> str:
        return manifest_name(self.order)

    def files(self) -> tuple[StoredFile, ...]:
        return (self.state, *self.segments)

    def to_json(self) -> bytes:
        body = {"format": FORMAT, **asdict(self), "tags": dict(self.tags)}
        return json.dumps({**body, "checksum": checksum(_canonical(body))}, indent=1).encode()


def manifest_name(order: Order) -> str:
    """File name of a manifest."""
    return f"checkpoint-e{order[0]:04}-s{order[1]:09}-{order[2]:04}.json"


def order_of(path: Path) -> Order | None:
    """Epoch, step and number that a manifest's file name tells; None for another file."""
    match = _NAME.match(path.name)
    return (int(match.group(1)), int(match.group(2)), int(match.group(3))) if match else None


def manifest_paths(run_dir: Path) -> list[Path]:
    """The manifests of a run, the newest first."""
    found = [(order, path) for path in (run_dir / STATE_DIR).glob("checkpoint-*.json") if (order := order_of(path))]
    return [path for _, path in sorted(found, reverse=True)]


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file. Raises CheckpointDamaged."""
    try:
        body = json.loads(path.read_bytes())
        stated = body.pop("checksum")
        if body.get("format") != FORMAT or checksum(_canonical(body)) != stated:
            raise CheckpointDamaged(f"{path}: the manifest is damaged (its checksum does not fit)")
        del body["format"]
        state, segments = body.pop("state"), body.pop("segments")
        manifest = Manifest(state=StoredFile(**state), segments=tuple(Segment(**item) for item in segments), **body)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointDamaged(f"{path}: not a readable manifest ({error})") from None
    if manifest.order != order_of(path):
        raise CheckpointDamaged(f"{path}: the manifest is of another checkpoint, {manifest.name}")
    for file in manifest.files():
        if Path(file.path).is_absolute() or ".." in Path(file.path).parts:
            raise CheckpointDamaged(f"{path}: names a file outside the run directory, {file.path}")
    return manifest


def problems(run_dir: Path, manifest: Manifest) -> Iterator[str]:
    """Everything wrong with the files of a checkpoint, each named."""
    for file in manifest.files():
        path = run_dir / file.path
        try:
            size = path.stat().st_size
            if size != file.bytes:
                yield f"{path}: has {size} bytes, {file.bytes} were written"
            elif file_checksum(path) != file.xxh3_128:
                yield f"{path}: its content has changed since it was written (checksum)"
        except FileNotFoundError:
            yield f"{path}: missing (a scratch file system's purge removes files that look old)"
        except OSError as error:
            yield f"{path}: cannot be read ({error.strerror})"


def file_checksum(path: Path) -> str:
    """xxh3_128 of a file."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
