"""Real writer processes, real signals, a real full file system."""

import random
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from td3_hpc.errors import UserError
from tests.checkpoint.held_write import HeldWrite
from tests.checkpoint.rows import GrowingRows, content, loaded_rows, open_store, same, tree
from tests.disks import fill_up, small_disk
from tests.paths import ROOT


class Writer:
    """A `tests.checkpoint.writer` process."""

    def __init__(self, run_dir, *options):
        command = [sys.executable, "-m", "tests.checkpoint.writer", str(run_dir), *map(str, options)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def line(self):
        return self.process.stdout.readline().strip()

    def wait_for(self, prefix):
        for line in iter(self.line, ""):
            if line.startswith(prefix):
                return line
        pytest.fail(f"the writer ended with {self.process.wait()} before it said {prefix!r}")

    def kill(self):
        """SIGKILL; returns the last step that it said it had saved."""
        self.process.send_signal(signal.SIGKILL)
        rest = self.process.communicate(timeout=20)[0].splitlines()
        return max((int(line.split()[1]) for line in rest if line.startswith("saved")), default=0)


@pytest.fixture
def writer(tmp_path):
    writers = []

    def start(*options):
        writers.append(Writer(tmp_path / "run", *options))
        return writers[-1]

    yield start
    for one in writers:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def kill_while_saving(run_dir, writer, times):
    rng = random.Random(1)
    for _ in range(times):
        one = writer()
        opened = int(one.wait_for("opened").split()[1])
        one.wait_for("saved")
        time.sleep(rng.uniform(0, 0.15))  # any instant will do: this is the point, not a wait for something
        said = one.kill()
        store = open_store(run_dir)
        checkpoint = store.latest()
        store.close()
        assert checkpoint is not None
        step = checkpoint.manifest.step
        assert step >= max(opened, said - 1), "more than one interval is lost"
        assert store.messages == [], "a kill left a checkpoint that does not verify"
        assert same(checkpoint.state(), tree(step))
        first, rows = loaded_rows(checkpoint)
        assert same(rows, content(first, step * 100))


def test_a_kill_at_any_instant_leaves_a_whole_checkpoint(tmp_path, writer):
    kill_while_saving(tmp_path / "run", writer, 8)


@pytest.mark.long
def test_two_hundred_kills(tmp_path, writer):
    kill_while_saving(tmp_path / "run", writer, 200)


def test_the_second_process_is_refused_until_the_first_is_gone(tmp_path, writer):
    first = writer()
    first.wait_for("saved")
    second = writer()
    refusal = second.wait_for("refused")
    assert f"process {first.process.pid}" in refusal
    assert second.process.wait(20) == 1
    first.kill()
    assert int(writer().wait_for("opened").split()[1]) > 0


def wait_until_stopped(process):
    deadline = time.monotonic() + 20
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline, "the writer did not come to its rename"
        time.sleep(0.01)


def test_a_superseded_writer_harms_nothing_and_is_refused(tmp_path, writer, monkeypatch):
    run_dir = tmp_path / "run"
    store = open_store(run_dir)
    store.save(0, tree(0), GrowingRows())
    store.close()
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    old = writer("--stop-before-rename")
    old.wait_for("opened")
    wait_until_stopped(old.process)  # between its check and its rename

    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")  # Slurm restarts the job elsewhere; the old process lives on
    newer = open_store(run_dir)
    assert newer.latest().manifest.step == 0
    newer.save(1, tree(1), GrowingRows(5))
    writing = HeldWrite(monkeypatch)
    newer.save_in_background(2, tree(2), GrowingRows(9))
    writing.wait_until_begun()
    deadline = time.monotonic() + 20
    while not list((run_dir / "replay").glob("rows-e0003-*-0002.h5")):  # rows are written, the manifest is not
        assert time.monotonic() < deadline
        time.sleep(0.01)

    old.process.send_signal(signal.SIGCONT)
    refused = old.wait_for("")
    assert refused.startswith("refused"), "it renamed its manifest, and must not report it"
    assert "attempt 3" in refused
    assert old.process.wait(20) == 1
    writing.go_on()
    newer.close()
    assert [outcome.error for outcome in newer.poll()] == [None]

    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    newest = open_store(run_dir)
    assert "set aside: another attempt had taken the run over" in newest.messages[0]
    assert (newest.latest().manifest.epoch, newest.latest().manifest.step) == (3, 2)
    assert same(loaded_rows(newest.latest())[1], content(0, 9))
    newest.close()


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", "4m") as disk:
        yield disk


def test_a_write_that_the_system_refuses_costs_one_checkpoint_and_nothing_else(tmp_path):
    """A limit on the size of files, where a small disk cannot be mounted."""
    store = open_store(tmp_path)
    store.save(1, tree(1), GrowingRows(10))
    big = tree(2) | {"big": np.random.default_rng(1).integers(0, 255, 1 << 20, np.uint8)}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, before[1]))
    try:
        with pytest.raises(UserError, match=r"step 2 could not be written \(File too large\).*Make space"):
            store.save(2, big, GrowingRows(20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    files = {path.name for path in (*(tmp_path / "state").iterdir(), *(tmp_path / "replay").iterdir())}
    assert len(files) == 4, f"only epoch, manifest, state and rows of step 1 were expected: {files}"
    store.save(3, big, GrowingRows(30))
    store.close()
    again = open_store(tmp_path)
    assert again.latest().manifest.step == 3
    assert same(loaded_rows(again.latest())[1], content(0, 30))
    again.close()


def test_a_full_disk_costs_one_checkpoint_and_nothing_else(disk):
    store = open_store(disk)
    store.save(1, tree(1), GrowingRows(10))
    filler = disk / "filler"
    fill_up(filler)
    big = tree(2) | {"big": np.random.default_rng(1).integers(0, 255, 1 << 20, np.uint8)}
    with pytest.raises(UserError, match=r"step 2 could not be written \(No space left on device\)"):
        store.save(2, big, GrowingRows(20))
    store.save_in_background(3, big, GrowingRows(30))
    store.wait()
    assert "No space left" in str(store.poll()[0].error)
    assert store.latest().manifest.step == 1
    assert same(store.latest().state(), tree(1))
    filler.unlink()
    store.save(4, big, GrowingRows(40))
    store.close()
    again = open_store(disk)
    assert again.messages == []
    assert again.latest().manifest.step == 4
    assert same(loaded_rows(again.latest())[1], content(0, 40))
    again.close()
