"""Saving checkpoints, in the foreground or the background, and finding the newest one that verifies."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from td3_hpc.checkpoint import retention
from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.hdf5_file import (
    Schema,
    Tree,
    checksum,
    read_table,
    read_tree,
    table_image,
    tree_image,
    write_file,
)
from td3_hpc.checkpoint.manifest import (
    REPLAY_DIR,
    SET_ASIDE_DIR,
    STATE_DIR,
    Manifest,
    Order,
    Segment,
    StoredFile,
    manifest_name,
    manifest_paths,
    order_of,
    problems,
    read_manifest,
)
from td3_hpc.checkpoint.ownership import Ownership, newest_epoch, read_epoch
from td3_hpc.config import CheckpointConfig
from td3_hpc.durable import replace_file
from td3_hpc.errors import UserError

#: Rows of one segment file: 75 MB of the driving task's rows.
SEGMENT_ROWS = 10_240
#: So many small segments at the end are written again as one.
MANY_SMALL = 16


class RowSource(Protocol):
    """A replay buffer, as far as a checkpoint needs it: rows below `sealed_row` never change."""

    @property
    def schema(self) -> Schema: ...

    @property
    def first_row(self) -> int: ...

    @property
    def sealed_row(self) -> int: ...

    def read_rows(self, start: int, stop: int) -> Mapping[str, np.ndarray]: ...


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint that has been written."""

    path: Path
    step: int
    bytes: int
    """Written for it; what earlier ones wrote is not counted."""
    seconds: float

    def as_fields(self) -> dict[str, Any]:
        """For the run's record."""
        return {"name": self.path.name, "at_step": self.step, "bytes": self.bytes, "seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class SaveOutcome:
    """What became of a save in the background."""

    step: int
    info: CheckpointInfo | None
    error: Exception | None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has been verified, ready to be read."""

    run_dir: Path
    manifest: Manifest

    @property
    def first_row(self) -> int:
        """The first row of `rows()`."""
        segments = self.manifest.segments
        return segments[0].first_row if segments else self.manifest.next_row

    def state(self) -> dict[str, Any]:
        """The tree that was saved."""
        return read_tree(self.run_dir / self.manifest.state.path)

    def rows(self) -> Iterator[dict[str, np.ndarray]]:
        """Consecutive blocks of the sealed rows, one segment at a time."""
        for segment in self.manifest.segments:
            count = segment.next_row - segment.first_row
            yield read_table(self.run_dir / segment.path, segment.first_row, count)


class CheckpointStore:
    """The checkpoints of one run directory."""

    def __init__(self, run_dir: Path, config: CheckpointConfig, clock: Callable[[], float] = time.time) -> None:
        self._run_dir = run_dir
        self._config = config
        self._clock = clock
        self._state_dir, self._replay_dir = run_dir / STATE_DIR, run_dir / REPLAY_DIR
        self._ownership = Ownership(self._state_dir)
        self._newest: Manifest | None = None
        self._number = 0
        self._thread: threading.Thread | None = None
        self._outcomes: list[SaveOutcome] = []
        self.messages: list[str] = []
        """What was found wrong on opening, in words."""

    @property
    def epoch(self) -> int:
        """Number of this attempt; 0 before `open_for_writing`."""
        return self._ownership.epoch

    # ---- opening --------------------------------------------------------------------------------------------------
    def open_for_writing(self) -> None:
        """Become the run's one writer. Raises RunDirectoryTaken; sets aside newer checkpoints that do not verify."""
        for directory in (self._state_dir, self._replay_dir):
            directory.mkdir(parents=True, exist_ok=True)
        self._ownership.refuse_live_holder()
        self._newest = self._find_newest()
        self._ownership.claim(self._newest.name if self._newest else None)

    def close(self) -> None:
        """Finish what is being written, and let the next attempt in."""
        self.wait()
        if self.epoch:
            self._ownership.release()

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that verifies, None where there is none yet.

        Raises CheckpointDamaged where there are checkpoints and not one of them verifies: starting anew must be the
        user's decision.
        """
        newest = self._newest if self.epoch else self._find_newest()
        return Checkpoint(self._run_dir, newest) if newest else None

    def _find_newest(self) -> Manifest | None:
        found: list[str] = []
        broken: list[Path] = []
        ignored = orders_to_ignore(self._state_dir)
        for path in manifest_paths(self._run_dir):
            order = order_of(path)
            if order is None or any(order[0] < epoch and order > limit for epoch, limit in ignored):
                continue
            try:
                manifest = read_manifest(path)
                faults = list(problems(self._run_dir, manifest))
            except CheckpointDamaged as error:
                faults = [str(error)]
            if not faults:
                self._set_aside(broken)
                self.messages = found
                return manifest
            broken.append(path)
            found.append(f"checkpoint {path.name} is set aside: {'; '.join(faults)}")
        if broken:
            raise CheckpointDamaged(
                "\n".join(found)
                + f"\n{self._run_dir}: no checkpoint verifies; restore its files from a backup, or move "
                "the run directory away to start anew"
            )
        return None

    def _set_aside(self, paths: list[Path]) -> None:
        """Move broken manifests, and the state files that belong to them alone, out of the way; nothing is deleted."""
        for path in paths:
            target = self._state_dir / SET_ASIDE_DIR
            target.mkdir(exist_ok=True)
            for file in (path, path.with_suffix(".h5")):
                if file.exists():
                    file.rename(target / file.name)

    # ---- saving ---------------------------------------------------------------------------------------------------
    def save(
        self,
        step: int,
        state: Tree,
        rows: RowSource,
        *,
        tags: Mapping[str, Any] | None = None,
        descriptions: Mapping[str, str] | None = None,
    ) -> CheckpointInfo:
        """Write a checkpoint; returns when it is durable. Raises Superseded, or UserError where writing failed."""
        self.wait()
        return self._write(step, state, rows, rows.first_row, rows.sealed_row, tags or {}, descriptions or {})

    def save_in_background(
        self,
        step: int,
        state: Tree,
        rows: RowSource,
        *,
        tags: Mapping[str, Any] | None = None,
        descriptions: Mapping[str, str] | None = None,
    ) -> None:
        """Let a checkpoint be written while the caller goes on; `state` must be the caller's to give away.

        A save that still runs is waited for. `poll` tells the outcome. Raises Superseded.
        """
        self.wait()
        self._ownership.check()
        first_row, next_row = rows.first_row, rows.sealed_row

        def write() -> None:
            try:
                info = self._write(step, state, rows, first_row, next_row, tags or {}, descriptions or {})
                self._outcomes.append(SaveOutcome(step, info, None))
            except Exception as error:  # told to the caller by poll()
                self._outcomes.append(SaveOutcome(step, None, error))

        self._thread = threading.Thread(target=write, name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being written."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def poll(self) -> list[SaveOutcome]:
        """Outcomes of the saves in the background that have ended since the last call."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def _write(
        self,
        step: int,
        state: Tree,
        rows: RowSource,
        first_row: int,
        next_row: int,
        tags: Mapping[str, Any],
        descriptions: Mapping[str, str],
    ) -> CheckpointInfo:
        started = time.monotonic()
        self._ownership.check()
        self._number += 1
        order = (self.epoch, step, self._number)
        try:
            kept, new = self._write_rows(order, rows, first_row, next_row)
            state_file = self._put(
                self._state_dir / Path(manifest_name(order)).with_suffix(".h5"), tree_image(state, descriptions)
            )
            created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock()))
            manifest = Manifest(*order, created, state_file, (*kept, *new), first_row, next_row, dict(tags))
            self._ownership.check()
            path = self._state_dir / manifest.name
            replace_file(path, manifest.to_json())
        except OSError as error:
            raise UserError(
                f"{self._run_dir}: the checkpoint of step {step} could not be written ({error.strerror}); the previous "
                "one is whole. Make space, or check the file system"
            ) from error
        self._newest = manifest
        written = state_file.bytes + sum(segment.bytes for segment in new)
        retention.prune(self._run_dir, self._config)
        return CheckpointInfo(path, step, written, time.monotonic() - started)

    def _write_rows(
        self, order: Order, rows: RowSource, first_row: int, next_row: int
    ) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
        """The segments to keep, and the new ones, which continue them up to `next_row`."""
        old = self._newest.segments if self._newest else ()
        kept = [segment for segment in old if segment.next_row > first_row]
        small = 0
        while small < len(kept) and kept[-1 - small].next_row - kept[-1 - small].first_row < SEGMENT_ROWS // MANY_SMALL:
            small += 1
        if small >= MANY_SMALL and kept[-small].first_row >= first_row:
            del kept[-small:]
        start = kept[-1].next_row if kept else first_row
        new = []
        for begin in range(start, next_row, SEGMENT_ROWS):
            end = min(begin + SEGMENT_ROWS, next_row)
            compress = self._config.compression == "blosc-lz4"
            image = table_image(rows.read_rows(begin, end), begin, compress)
            path = self._replay_dir / f"rows-e{order[0]:04}-{begin:012}-{end:012}-{order[2]:04}.h5"
            file = self._put(path, image)
            new.append(Segment(file.path, file.bytes, file.xxh3_128, begin, end))
        return tuple(kept), tuple(new)

    def _put(self, path: Path, image: bytes) -> StoredFile:
        write_file(path, image)
        return StoredFile(str(path.relative_to(self._run_dir)), len(image), checksum(image))


def orders_to_ignore(state_dir: Path) -> list[tuple[int, Order]]:
    """For each epoch claimed, what it resumed from: what earlier epochs wrote beyond that is never read.

    A superseded attempt that was paused between its last check and its rename still leaves a manifest; by this rule it
    is nobody's checkpoint.
    """
    limits: list[tuple[int, Order]] = []
    for epoch in range(1, newest_epoch(state_dir) + 1 if state_dir.is_dir() else 0):
        holder = read_epoch(state_dir, epoch)
        if holder is not None:
            source = holder.get("resumed_from")
            limits.append((epoch, (source and order_of(Path(source))) or (0, 0, 0)))
    return limits
