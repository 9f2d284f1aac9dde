"""Attempts that start, save, are killed, superseded, copied, restored and mangled in any order: nothing whole is lost.

The newest checkpoint that was ever reported durable, and is still whole, is either continued from or named in a
refusal, and is never deleted but by retention or by a command that was told to.
"""

import contextlib
import secrets
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xxhash
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from td3_hpc.checkpoint import CheckpointDamaged, CheckpointStore, NotContinued, choice, contents, retention
from td3_hpc.checkpoint import ownership as ownership_module
from td3_hpc.checkpoint import store as store_module
from td3_hpc.checkpoint.errors import RunDirectoryTaken
from td3_hpc.checkpoint.set_aside import remove_set_aside, set_aside_files
from td3_hpc.checkpoint_names import order_of
from td3_hpc.config import CheckpointConfig
from td3_hpc.errors import UserError
from tests.checkpoint.model_ledger import Attempt, Reported, in_line
from tests.checkpoint.rows import GrowingRows
from tests.checkpoint.unreliable_disk import InTurn, Killed, UnreliableDisk, copy_over, write

CONFIG = CheckpointConfig(keep_last=2, keep_best=False)
STATE_AND_REPLAY = ("state", "replay")
steps_done = 0

kill_points = st.none() | st.integers(0, 25)


class Model(RuleBasedStateMachine):
    plant = None
    """A fault, planted by a function of a MonkeyPatch."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.root = Path(tempfile.mkdtemp(prefix="model-"))
        self.run = self.root / "run"
        self.foreign = self.root / "foreign"
        for folder in (self.run, self.foreign, self.root / "snapshots"):
            folder.mkdir()
        self.live: list[Attempt] = []
        self.reported: dict[str, Reported] = {}
        self.snapshots: list[Path] = []
        self.clean = True
        self.given_up: set[str] = set()
        """Names that lay in their places when somebody had the run begin anew."""
        self.forced = False
        numbers = iter(range(10**9))
        self.patch.setattr(secrets, "token_hex", lambda count: f"{next(numbers):0{2 * count}x}")
        self.patch.setattr(store_module, "ThreadPoolExecutor", InTurn)
        self.patch.setattr(ownership_module.Ownership, "_show_life", lambda _: None)
        self.patch.setattr(ownership_module, "_is_alive", self._is_alive)
        self.patch.setattr(ownership_module, "_is_restart_of", lambda _: self.forced)
        self._foreign_run()
        self.disk = UnreliableDisk(self.run, self.patch)
        if self.plant:
            type(self).plant(self.patch)

    def _foreign_run(self) -> None:
        store = CheckpointStore(self.foreign, CONFIG)
        store.open_for_writing()
        for step in (1, 2, 3):
            store.save(step, {"x": np.full(3, 7 * step)}, GrowingRows(3 * step))
        store.close()

    def _is_alive(self, holder) -> bool:
        return any(attempt.store._ownership._content.get("claim") == holder.get("claim") for attempt in self.live)

    def teardown(self) -> None:
        self.patch.undo()
        shutil.rmtree(self.root)

    # ---- what an honest observer sees ------------------------------------------------------------------------------
    def _digest(self, path: Path) -> str | None:
        try:
            return xxhash.xxh3_128_hexdigest(path.read_bytes())
        except OSError:
            return None

    def whole(self) -> list[Reported]:
        """The reported ones that lie whole in their places, the newest last."""
        found = [
            one
            for one in self.reported.values()
            if all(self._digest(self.run / path) == digest for path, digest in one.digests)
        ]
        return sorted(found, key=lambda one: one.order)

    def kept(self) -> set[str]:
        """Names of the reported ones whose files lie whole in their places or set aside."""
        aside = {self._digest(path) for path in (self.run / "state" / "set-aside").glob("*")}
        return {
            one.name
            for one in self.reported.values()
            if all(self._digest(self.run / path) == digest or digest in aside for path, digest in one.digests)
        }

    @contextlib.contextmanager
    def nothing_lost(self, by_retention_of=None):
        """What is whole before is kept after; retention may drop all but the newest of its own line."""
        whole, before = self.whole(), self.kept()
        yield
        lost = before - self.kept()
        if lost and by_retention_of is not None:
            newest = by_retention_of()
            there = {path.name: order_of(path) for path in (self.run / "state").glob("checkpoint-*.json")}
            kept = sorted(order for name, order in there.items() if order and in_line(name, newest))[
                -CONFIG.keep_last :
            ]
            lost -= {one.name for one in whole if in_line(one.name, newest) and [one.order] < kept[:1]}
        assert not lost, f"deleted unasked: {lost}"

    # ---- attempts --------------------------------------------------------------------------------------------------
    @initialize()
    def first(self) -> None:
        self.start(None, False)

    @rule(kill=kill_points, force=st.booleans())
    def start(self, kill: int | None, force: bool) -> None:
        """A job starts; `force`: after a lost node, whose old process lives on."""
        count()
        self.forced = force
        best = ([one for one in self.whole() if one.name not in self.given_up] or [None])[-1]
        store = CheckpointStore(self.run, CONFIG)
        try:
            with self.nothing_lost(), self.disk.killing(kill):
                store.open_for_writing()
        except Killed:
            for other in self.live:
                other.perhaps_superseded |= force
            return
        except RunDirectoryTaken:
            assert self.live
            return
        except (NotContinued, CheckpointDamaged) as error:
            self._check_refusal(str(error), best)
            return
        newest = store.latest()
        if best is not None:
            assert newest is not None, f"began anew although {best.name} is whole"
            assert newest.manifest.order >= best.order, f"{newest.manifest.name}, although {best.name} is whole"
        for other in self.live:
            other.superseded = True
        step = newest.manifest.step if newest else 0
        rows = GrowingRows(newest.manifest.next_row if newest else 0, 25)
        self.live.append(Attempt(store, step, rows=rows))

    def _check_refusal(self, message: str, best: Reported | None) -> None:
        assert not self.clean, f"refused for no reason: {message}"
        assert best is None or best.name in message, f"{best.name} is whole and not named: {message}"

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 5), times=st.integers(1, 4), growth=st.integers(0, 6), background=st.booleans())
    def save(self, which: int, times: int, growth: int, background: bool) -> None:
        attempt = self.live[which % len(self.live)]
        for more in range(times):
            if attempt in self.live:
                self._save(attempt, min(more, 1), growth, background, None)

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 5), growth=st.integers(0, 6), kill=st.integers(0, 30))
    def save_and_be_killed(self, which: int, growth: int, kill: int) -> None:
        attempt = self.live[which % len(self.live)]
        self._save(attempt, 1, growth, False, kill)
        if attempt in self.live:
            self.live.remove(attempt)

    def _save(self, attempt: Attempt, more: int, growth: int, background: bool, kill: int | None) -> None:
        count()
        attempt.step += more
        attempt.rows.sealed_row += growth
        state = {"x": np.full(3, attempt.step), "who": attempt.store.epoch}
        store = attempt.store
        try:
            with self.nothing_lost(lambda: store._newest), self.disk.killing(kill):
                if background:
                    store.save_in_background(attempt.step, state, attempt.rows)
                    store.wait()
                    error = next((outcome.error for outcome in store.poll()), None)
                    if error is not None:
                        raise error
                else:
                    store.save(attempt.step, state, attempt.rows)
        except Killed:
            self.live.remove(attempt)
            return
        except UserError:
            self.live.remove(attempt)
            if self.clean and not attempt.superseded and not attempt.perhaps_superseded:
                raise
            return
        if attempt.superseded:
            assert not self.clean, "a superseded attempt reported a checkpoint"
            return
        self._report(store._newest)

    def _report(self, manifest) -> None:
        paths = [f"state/{manifest.name}", *(file.path for file in manifest.files())]
        digests = tuple((path, self._digest(self.run / path)) for path in paths)
        assert all(digest for _, digest in digests), "reported, and not there"
        self.reported[manifest.name] = Reported(manifest.name, manifest.order, manifest.line, manifest.run, digests)

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 5))
    def hand_over(self, which: int) -> None:
        count()
        attempt = self.live.pop(which % len(self.live))
        with self.nothing_lost():
            attempt.store.close()

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 5))
    def kill(self, which: int) -> None:
        count()
        self.live.pop(which % len(self.live))

    @rule()
    def machine_crashes(self) -> None:
        count()
        self.live.clear()
        whole = self.whole()
        self.disk.crash()
        lost = {one.name for one in whole} - {one.name for one in self.whole()}
        assert not lost, f"reported durable, and gone after a crash: {lost}"

    @rule()
    def listings_lag(self) -> None:
        count()
        self.disk.freeze_listings()

    @rule()
    def listings_catch_up(self) -> None:
        count()
        self.disk.thaw_listings()

    # ---- what people do --------------------------------------------------------------------------------------------
    @rule()
    def copy(self) -> None:
        count()
        self.snapshots.append(self.root / "snapshots" / str(len(self.snapshots)))
        copy_over(self.run, self.snapshots[-1])

    def _meddle(self) -> None:
        """Somebody changes files; that takes longer than listings lag."""
        self.clean = False
        self.disk.thaw_listings()

    @precondition(lambda self: self.snapshots)
    @rule(which=st.integers(0, 5), over=st.booleans())
    def restore(self, which: int, over: bool) -> None:
        count()
        self._meddle()
        snapshot = self.snapshots[which % len(self.snapshots)]
        snapshot.mkdir(exist_ok=True)
        if over:
            copy_over(snapshot, self.run)
            self.disk.sync_all()
        else:
            self.disk.replace_by(snapshot)
            self.run.mkdir(exist_ok=True)

    @rule(
        how=st.sampled_from(["duplicate", "rename", "cut", "flip", "remove", "exchange", "claim"]),
        which=st.integers(0, 30),
        at=st.integers(0, 10**6),
        suffix=st.sampled_from([" (conflicted copy).json", ".sync-conflict-1.json", ".bak", "~"]),
    )
    def mangle(self, how: str, which: int, at: int, suffix: str) -> None:
        count()
        files = [
            path for folder in STATE_AND_REPLAY for path in sorted((self.run / folder).glob("*")) if path.is_file()
        ]
        if not files:
            return
        self._meddle()
        path = files[which % len(files)]
        content = path.read_bytes()
        other = files[at % len(files)]
        if how == "duplicate":
            write(path.with_name(path.name.removesuffix(".json") + suffix), content)
        elif how == "rename":
            path.rename(path.with_name(path.name.removesuffix(".json") + suffix) if at % 2 else other)
        elif how == "cut":
            write(path, content[: at % max(1, len(content))])
        elif how == "flip" and content:
            write(
                path,
                content[: at % len(content)]
                + bytes([content[at % len(content)] ^ 1])
                + content[at % len(content) + 1 :],
            )
        elif how == "remove":
            path.unlink()
        elif how == "exchange":
            theirs = sorted((self.foreign / path.parent.name).glob("*"))
            same = [one for one in theirs if one.name == path.name]
            write(path, (same or theirs)[at % len(same or theirs)].read_bytes())
        elif how == "claim" and (self.run / "state" / "epoch-0001.json").exists():
            write(
                self.run / "state" / f"epoch-{at % 12 + 1:04}.json", (self.run / "state/epoch-0001.json").read_bytes()
            )
        self.disk.sync_all()

    @rule(which=st.none() | st.integers(0, 9))
    def continue_by_command(self, which: int | None) -> None:
        count()
        state = self.run / "state"
        choices = sorted([*state.glob("checkpoint-*json*"), *state.glob("set-aside/checkpoint-*.json")])
        self.forced = False
        chosen = choices[which % len(choices)] if which is not None and choices else None
        with self.nothing_lost():
            try:
                manifest, _ = choice.continue_from(self.run, chosen)
            except (UserError, OSError):
                return
        whole = self.whole()
        assert not whole or whole[-1].order <= manifest.order

    @rule()
    def begin_anew_by_command(self) -> None:
        count()
        self.forced = False
        with self.nothing_lost(), contextlib.suppress(UserError, OSError):
            choice.set_all_aside(self.run)
            # What a crash has brought back and no listing shows yet stays in place, and was told not to count.
            self.given_up |= {one.name for one in self.whole()}

    @rule()
    def prune_by_command(self) -> None:
        count()
        with self.nothing_lost(lambda: self._newest_manifest()):
            retention.prune(self.run, CONFIG)

    @rule()
    def remove_set_aside_by_command(self) -> None:
        count()
        whole = {one.name for one in self.whole()}
        remove_set_aside(self.run, set_aside_files(self.run))
        assert whole <= {one.name for one in self.whole()}, "more was removed than was set aside"

    def _newest_manifest(self):
        manifests = contents.read_contents(self.run).manifests
        return manifests[0] if manifests else None


def count() -> None:
    global steps_done
    steps_done += 1


def run_model(examples: int, steps: int = 50, **options) -> None:
    run_state_machine_as_test(
        options.pop("model", Model),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
            database=None,
            report_multiple_bugs=False,
            **options,
        ),
    )


def test_nothing_whole_is_lost():
    before = steps_done
    run_model(20, derandomize=True)
    print(f"{steps_done - before} steps of the model")
    assert steps_done - before >= 500


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_whole_is_lost_in_twenty_thousand_steps():
    before = steps_done
    while steps_done - before < 20_000:
        run_model(50, phases=[Phase.generate])
        print(f"{steps_done - before} steps", flush=True)
    print(f"{steps_done - before} steps of the model")
