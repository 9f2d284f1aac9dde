"""The lock under which jobs are queued."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from td3_hpc.launch.jobs.lock import queue_lock
from td3_hpc.submission_folder import SubmissionFolder
from tests.paths import ROOT


def test_one_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def enter(number: int) -> None:
        with queue_lock(SubmissionFolder(tmp_path)):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    threads = [Thread(target=enter, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1] * 5
    assert list((tmp_path / "submission").iterdir()) == []


HOLD = """
import sys
from pathlib import Path
from td3_hpc.launch.jobs.lock import queue_lock
from td3_hpc.submission_folder import SubmissionFolder
with queue_lock(SubmissionFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_dies_with_its_holder(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    folder = SubmissionFolder(tmp_path)
    holder.kill()
    holder.wait()
    assert folder.lock.exists(), "it should be left for this test"

    with queue_lock(folder, patience_s=3600):
        assert folder.lock.is_dir()

    assert list(folder.path.iterdir()) == []


def test_a_lock_of_a_living_process_is_waited_for_and_that_is_said(
    tmp_path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("td3_hpc.launch.jobs.lock.QUIET_S", 0.0)
    said: list[str] = []

    def wait(seconds: float) -> None:
        said.append(capsys.readouterr().err)
        assert holder.stdin is not None
        holder.stdin.close()
        holder.wait()

    monkeypatch.setattr("td3_hpc.launch.jobs.lock.time.sleep", wait)
    with queue_lock(SubmissionFolder(tmp_path)):
        pass

    here = re.escape(f"process {holder.pid} on {socket.gethostname()}")
    assert re.fullmatch(
        rf"{tmp_path}/submission/lock: {here} queues jobs; waits for it, if it gives no sign until \d\d:\d\d:\d\d\n",
        said[0],
    )


def test_a_lock_whose_holder_is_at_work_is_waited_for_however_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("td3_hpc.launch.jobs.lock.TOUCH_S", 0.1)
    folder, order = SubmissionFolder(tmp_path), list[str]()

    def work() -> None:
        with queue_lock(folder):
            order.append("in")
            time.sleep(2.5)
            order.append("out")

    holder = Thread(target=work)
    holder.start()
    while not order:
        time.sleep(0.01)
    with queue_lock(folder, patience_s=1.0):
        order.append("next")
    holder.join()

    assert order == ["in", "out", "next"]


@pytest.mark.parametrize("holder", ["", "elsewhere 7"], ids=["of a job", "of another machine"])
def test_a_lock_whose_holder_cannot_be_asked_is_taken_over_when_it_is_too_old(tmp_path: Path, holder: str) -> None:
    folder = SubmissionFolder(tmp_path)
    folder.lock.mkdir(parents=True)
    if holder:
        (folder.lock / "holder").write_text(holder)

    with queue_lock(folder, patience_s=0.01):
        assert folder.lock.is_dir()
    assert list(folder.path.iterdir()) == []


def test_of_many_who_find_a_lock_of_the_dead_one_at_a_time_has_it(tmp_path: Path) -> None:
    folder, program = SubmissionFolder(tmp_path), HOLD.replace('print("held", flush=True)', 'print("in", flush=True)')
    program = program.replace("sys.stdin.read()", 'print("out", flush=True)')
    folder.lock.mkdir(parents=True)
    (folder.lock / "holder").write_text(f"{socket.gethostname()} 1")
    log = tmp_path / "log"
    with log.open("a") as file:
        command = [sys.executable, "-c", program, str(tmp_path)]
        processes = [subprocess.Popen(command, cwd=ROOT, stdout=file) for _ in range(6)]
        assert [process.wait(timeout=60) for process in processes] == [0] * 6

    assert log.read_text().split() == ["in", "out"] * 6
