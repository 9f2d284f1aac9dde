"""Saving checkpoints, in the foreground or the background, and finding the newest one that verifies."""

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from td3_hpc.checkpoint import listing, retention
from td3_hpc.checkpoint.errors import CheckpointUnreadable, Superseded
from td3_hpc.checkpoint.hdf5_file import read_table, read_tree, table_image, tree_image, write_file
from td3_hpc.checkpoint.hdf5_image import Hdf5Image
from td3_hpc.checkpoint.manifest import Manifest, Segment, StoredFile
from td3_hpc.checkpoint.ownership import Ownership
from td3_hpc.checkpoint.segments import Range, RowSource, merged, pieces, plan
from td3_hpc.checkpoint.set_aside import move_aside
from td3_hpc.checkpoint.survey import Survey, Verified, survey
from td3_hpc.checkpoint.tree_layout import Descriptions, Tree, TreeLayouts
from td3_hpc.checkpoint_names import REPLAY_DIR, STATE_DIR, Order, manifest_name, save_of
from td3_hpc.config import CheckpointConfig
from td3_hpc.durable import replace_file, sync_directory
from td3_hpc.errors import UserError, failure_of, file_error

#: A run's files get new time stamps this often, lest a scratch purge take them for abandoned.
FRESH_S = 24 * 3600.0
#: Folders in which a file's age tells something: whether a lock's holder is at work, which log is the newest.
_AGE_TELLS = ("lock", "logs")


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint that has been written."""

    path: Path
    step: int
    bytes: int
    """Written for it; what earlier ones wrote is not counted."""
    seconds: float
    written_again: tuple[str, ...] = ()
    """Segments whose file had gone or was cut off; their rows are in this checkpoint's own files."""


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
        return (self._rows_of(segment) for segment in self.manifest.segments)

    def newest_rows(self, least: int) -> tuple[int, list[dict[str, np.ndarray]]]:
        """The first row and the blocks of the last segments that hold so many rows; of all, where they hold fewer."""
        segments, count = list[Segment](), 0
        for segment in reversed(self.manifest.segments):
            if count >= least:
                break
            segments.insert(0, segment)
            count += segment.next_row - segment.first_row
        return segments[0].first_row if segments else 0, [self._rows_of(segment) for segment in segments]

    def _rows_of(self, segment: Segment) -> dict[str, np.ndarray]:
        return read_table(self.run_dir / segment.path, segment.first_row, segment.next_row - segment.first_row)


class CheckpointStore:
    """The checkpoints of one run directory."""

    def __init__(
        self,
        run_dir: Path,
        config: CheckpointConfig,
        clock: Callable[[], float] = time.time,
        keep_fresh: Sequence[Path] = (),
    ) -> None:
        """`keep_fresh`: files and folders whose time stamps are renewed with those of the run's own files."""
        self._run_dir = run_dir
        self._fresh = (run_dir, *keep_fresh)
        self._config = config
        self._clock = clock
        self._state_dir, self._replay_dir = run_dir / STATE_DIR, run_dir / REPLAY_DIR
        self._ownership = Ownership(self._state_dir)
        self._verified = Verified(run_dir)
        self._run = ""
        self._line: tuple[str, ...] = ()
        self._newest: Manifest | None = None
        self._own: list[Manifest] = []
        self._number = 0
        self._layouts = TreeLayouts()
        self._freshened = 0.0
        self._thread: threading.Thread | None = None
        self._outcomes: list[SaveOutcome] = []
        self.messages: list[str] = []
        """What was found wrong on opening, in words."""

    @property
    def epoch(self) -> int:
        """Number of this attempt; 0 before `open_for_writing`."""
        return self._ownership.epoch

    # ---- opening --------------------------------------------------------------------------------------------------
    def check_continuable(self) -> None:
        """Raise RunDirectoryTaken, NotContinued, CheckpointDamaged or CheckpointUnreadable where no attempt may begin.

        Writes nothing.
        """
        self._look()

    def open_for_writing(self) -> None:
        """Become the run's one writer, and set aside what does not count.

        Raises as `check_continuable` does, nothing changed, and UserError where the directory cannot be written:
        BadInput where that will not pass.
        """
        before = self._look()
        with self._told():
            for directory in (self._state_dir, self._replay_dir):
                directory.mkdir(parents=True, exist_ok=True)
            self._run = before.run or secrets.token_hex(16)
            name = before.newest.name if before.newest else None
            self._ownership.claim(name, self._run, above=before.contents.highest_epoch)
        try:
            with self._told():
                self._begin(before)
        except BaseException:
            self._ownership.release()
            raise

    def _look(self) -> Survey:
        with self._told():
            self._ownership.refuse_live_holder()
            return survey(self._run_dir, self._verified)

    def _begin(self, before: Survey) -> None:
        """Look once more: what other attempts did between the look and the claim counts."""
        found = survey(self._run_dir, self._verified, before=self.epoch)
        if (found.newest, found.run or self._run) != (before.newest, self._run):
            self._run = found.run or self._run
            self._ownership.correct(found.newest.name if found.newest else None, self._run)
        self._newest, self._line, self.messages = found.newest, found.line, found.messages
        moved = move_aside(found.contents, found.broken, found.others)
        for other in found.others:
            self.messages.append(f"checkpoint {other.name} is set aside: another attempt had taken the run over")
        if moved:
            self.messages.append(
                f"{len(moved)} files, {sum(moved.values()) / 1e6:.1f} MB, are set aside in {STATE_DIR}/set-aside: "
                f"{', '.join(sorted(moved))}"
            )

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise file_error(
                error,
                f"{self._run_dir}: cannot be used ({error.strerror}); checkpoints need a file system with space, "
                "hard links, and permission to read and write",
            ) from error

    def close(self) -> None:
        """Finish what is being written, and let the next attempt in."""
        self.wait()
        if self.epoch:
            self._ownership.release()

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that verifies, None where there is none yet.

        Raises CheckpointDamaged where there are checkpoints and not one of them verifies, NotContinued where there was
        more than is here: starting anew must be the user's decision.
        """
        if self.epoch:
            return Checkpoint(self._run_dir, self._newest) if self._newest else None
        with self._told():
            found = survey(self._run_dir, self._verified)
        self.messages = found.messages
        return Checkpoint(self._run_dir, found.newest) if found.newest else None

    # ---- saving ---------------------------------------------------------------------------------------------------
    def save(
        self,
        step: int,
        state: Tree,
        rows: RowSource,
        *,
        tags: Mapping[str, Any] | None = None,
        descriptions: Descriptions | None = None,
    ) -> CheckpointInfo:
        """Write a checkpoint; returns when it is durable. Raises Superseded, or UserError where writing failed."""
        self.wait()
        return self._write(step, state, rows, (rows.first_row, rows.sealed_row), tags or {}, descriptions or {})

    def save_in_background(
        self,
        step: int,
        state: Tree,
        rows: RowSource,
        *,
        tags: Mapping[str, Any] | None = None,
        descriptions: Descriptions | None = None,
    ) -> None:
        """Let a checkpoint be written while the caller goes on; `state` must be the caller's to give away.

        A save that still runs is waited for. `poll` tells the outcome. Raises Superseded.
        """
        self.wait()
        self._check_owner(step)
        bounds = rows.first_row, rows.sealed_row

        def write() -> None:
            try:
                info = self._write(step, state, rows, bounds, tags or {}, descriptions or {})
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
        bounds: Range,
        tags: Mapping[str, Any],
        descriptions: Descriptions,
    ) -> CheckpointInfo:
        started = time.monotonic()
        self._check_owner(step)
        self._number += 1
        order = (self.epoch, step, self._number)
        try:
            name = Path(manifest_name(order)).with_suffix(".h5")
            with ThreadPoolExecutor(1) as pool:  # one file's bytes on their way to the disk while the other's are made
                writing = pool.submit(
                    lambda: self._put(self._state_dir / name, tree_image(state, descriptions, self._run, self._layouts))
                )
                segments, lost = self._write_rows(order, rows, bounds, descriptions)
            state_file = writing.result()
            created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock()))
            manifest = Manifest(*order, created, state_file, segments, *bounds, dict(tags), self._run, self._line)
            sync_directory(self._replay_dir)
            self._ownership.check()
            path = self._state_dir / manifest.name
            replace_file(path, manifest.to_json())  # which makes the directory's entries durable, the state's too
        except OSError as error:
            with contextlib.suppress(OSError):
                self._ownership.check()  # a superseded one leaves what it is writing to the newer one
                self._discard(order)
            raise self._not_written(step, error) from error
        # One taken over in this moment must not report it. The manifest stays: the newer attempt may continue from it.
        self._check_owner(step)
        old = self._newest.files() if self._newest else ()
        self._newest = manifest
        self._own = [*(one for one in self._own if (self._state_dir / one.name).exists()), manifest]
        with contextlib.suppress(OSError):  # a later save notes it; until then, the listing tells
            self._ownership.note_saved(manifest.name)
        with contextlib.suppress(OSError, CheckpointUnreadable):  # nor is an old file a fault of the new checkpoint
            retention.prune(self._run_dir, self._config, own=self._own)
            self._keep_fresh()
        written = sum(file.bytes for file in manifest.files() if file not in old)
        return CheckpointInfo(path, step, written, time.monotonic() - started, tuple(lost))

    def is_owner(self) -> bool:
        """Whether the run is this attempt's, as far as the file system says."""
        try:
            self._ownership.check()
        except (OSError, Superseded):
            return False
        return True

    def _check_owner(self, step: int) -> None:
        """Raises Superseded, and UserError where the file system does not say whose the run is."""
        try:
            self._ownership.check()
        except OSError as error:
            raise self._not_written(step, error) from error

    def _not_written(self, step: int, error: OSError) -> UserError:
        return UserError(
            f"{self._run_dir}: the checkpoint of step {step} could not be written ({error.strerror}); the previous "
            "one is whole. Make space, or check the file system",
            code=failure_of(error),
        )

    def _write_rows(
        self, order: Order, rows: RowSource, bounds: Range, descriptions: Descriptions
    ) -> tuple[tuple[Segment, ...], list[str]]:
        """The checkpoint's segments, the new ones written; and those of the old ones whose file has gone."""
        first_row, next_row = bounds
        lost: list[str] = []
        parts = plan(self._newest.segments if self._newest else (), first_row, next_row, lambda s: self._has(s, lost))
        try:
            return self._write_parts(order, rows, merged(parts, first_row), descriptions), lost
        except _Overwritten:  # while the oldest of the small segments were written again: leave them as they are
            return self._write_parts(order, rows, parts, descriptions), lost

    def _write_parts(
        self, order: Order, rows: RowSource, parts: Sequence[Segment | Range], descriptions: Descriptions
    ) -> tuple[Segment, ...]:
        segments: list[Segment] = []
        for part in parts:
            if isinstance(part, Segment):
                segments.append(part)
                continue
            for begin, end in pieces(part):
                path = self._replay_dir / f"rows-e{order[0]:04}-{begin:012}-{end:012}-{order[2]:04}.h5"
                if rows.first_row <= begin:
                    compress = self._config.compression == "blosc-lz4"
                    file = self._put(
                        path, table_image(rows.read_rows(begin, end), begin, compress, descriptions, self._run)
                    )
                if rows.first_row > begin:
                    raise _Overwritten(f"the replay buffer's ring came round to row {begin} before it was saved")
                segments.append(Segment(file.path, file.bytes, file.xxh3_128, begin, end))
        return tuple(segments)

    def _has(self, segment: Segment, lost: list[str]) -> bool:
        """Whether a segment's file is there in its full size; a checkpoint must not build on one that is not."""
        try:
            there = (self._run_dir / segment.path).stat().st_size == segment.bytes
        except FileNotFoundError:
            there = False
        if not there:
            lost.append(segment.path)
        return there

    def _put(self, path: Path, image: Hdf5Image) -> StoredFile:
        return StoredFile(str(path.relative_to(self._run_dir)), *write_file(path, image))

    def _discard(self, order: Order) -> None:
        """Remove what a save that failed has written: on a full disk, the next one needs the space."""
        for path in listing.paths(self._state_dir, self._replay_dir):
            if save_of(path) == (order[0], order[2]):
                path.unlink(missing_ok=True)

    def _keep_fresh(self) -> None:
        """Renew the files' time stamps once a day, and at each attempt's first save."""
        if self._clock() - self._freshened < FRESH_S:
            return
        self._freshened = self._clock()
        linked = [folder for folder in (self._state_dir, self._replay_dir) if folder.is_symlink()]
        for path in (*self._fresh, *linked):  # a walk does not follow links, and replay/ may be one to scratch
            for folder, folders, names in os.walk(path):
                folders[:] = [name for name in folders if not name.startswith(_AGE_TELLS)]
                for name in names:
                    _renew(Path(folder, name))
            _renew(path)


def _renew(path: Path) -> None:
    with contextlib.suppress(OSError):  # gone meanwhile, or another user's
        os.utime(path)


class _Overwritten(UserError):
    """Rows to be saved are no longer in the buffer."""
