"""Who may take a run directory over."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from td3_hpc.checkpoint import ownership as ownership_module
from td3_hpc.checkpoint.errors import RunDirectoryTaken, Superseded
from td3_hpc.checkpoint.ownership import Ownership

ELSEWHERE = {
    "host": "another-node",
    "machine": "b 1",
    "pid": 1,
    "started": 0.0,
    "job": "41",
    "attempt": "0",
    "since": "now",
}


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run directory whose newest epoch is held by job 41 on another node; this is job 42."""
    monkeypatch.setattr(ownership_module, "SIGN_OF_LIFE_S", 0.05)
    monkeypatch.setattr(ownership_module, "SILENCE_S", 1.0)
    (tmp_path / "epoch-0001.json").write_text(json.dumps(ELSEWHERE))
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    return tmp_path


@pytest.fixture
def alive(held: Path):
    """The holder shows signs of life."""
    ended = threading.Event()

    def show() -> None:
        while not ended.wait(0.05):
            os.utime(held / "epoch-0001.json")

    thread = threading.Thread(target=show)
    thread.start()
    yield held
    ended.set()
    thread.join()


def test_a_live_holder_on_another_node_keeps_its_run_unless_slurm_says_that_its_job_has_ended(
    alive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunDirectoryTaken, match=r"process 1 on another-node \(job 41\) since now"):
        Ownership(alive).claim(None)
    monkeypatch.setenv("TD3_HPC_ENDED_JOB", "40")
    with pytest.raises(RunDirectoryTaken):
        Ownership(alive).claim(None)

    monkeypatch.setenv("TD3_HPC_ENDED_JOB", "41")
    ownership = Ownership(alive)
    ownership.claim(None)
    assert ownership.epoch == 2
    ownership.release()


@pytest.mark.parametrize(("holders", "takes_over"), [("other", False), ("own", True), ("", True)])
def test_what_a_cluster_does_not_know_of_a_job_of_another_one_means_nothing(
    alive: Path, monkeypatch: pytest.MonkeyPatch, holders: str, takes_over: bool
) -> None:
    (alive / "epoch-0001.json").write_text(json.dumps({**ELSEWHERE, "cluster": holders}))
    monkeypatch.setenv("TD3_HPC_ENDED_JOB", "41")
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "own")
    ownership = Ownership(alive)
    if takes_over:
        ownership.claim(None)
        ownership.release()
    else:
        with pytest.raises(RunDirectoryTaken):
            ownership.claim(None)


def test_a_holder_without_a_job_is_not_taken_for_an_ended_one(alive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (alive / "epoch-0001.json").write_text(json.dumps({**ELSEWHERE, "job": ""}))
    monkeypatch.setenv("TD3_HPC_ENDED_JOB", "")

    with pytest.raises(RunDirectoryTaken):
        Ownership(alive).claim(None)


def test_a_silent_holder_elsewhere_is_taken_for_dead_and_stops_if_it_is_not(held: Path) -> None:
    silent, newer = Ownership(held), Ownership(held)
    silent.epoch = 1
    silent.check()
    newer.claim(None)
    assert newer.epoch == 2
    with pytest.raises(Superseded, match=r"attempt 2 .* has taken this run over; attempt 1 stops"):
        silent.check()
    newer.release()


def test_a_clock_far_ahead_takes_no_live_run_over(alive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ownership_module.time.time
    monkeypatch.setattr(ownership_module.time, "time", lambda: real() + 365 * 24 * 3600)
    with pytest.raises(RunDirectoryTaken):
        Ownership(alive).claim(None)


def test_a_link_that_was_made_although_the_file_system_says_that_it_was_there_is_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS sends a request again whose answer was lost, and the server finds the link there."""
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    ownership = Ownership(tmp_path)
    ownership.claim(None)
    assert ownership.epoch == 1
    ownership.check()
    ownership.release()


def test_a_holder_in_another_container_of_this_machine_is_not_mistaken_for_a_dead_one(alive: Path) -> None:
    boot = ownership_module._machine().split()[0]
    (alive / "epoch-0001.json").write_text(json.dumps({**ELSEWHERE, "machine": f"{boot} pid:[1]", "pid": 2**22 + 1}))
    with pytest.raises(RunDirectoryTaken):
        Ownership(alive).claim(None)


def test_the_holder_renews_its_sign_of_life_until_it_releases(held: Path) -> None:
    (held / "epoch-0001.json").unlink()
    ownership = Ownership(held)
    ownership.claim(None)
    assert ownership_module._shows_life(held / "epoch-0001.json")
    ownership.release()
    assert json.loads((held / "epoch-0001.json").read_text())["released"] is True
    assert Ownership(held).refuse_live_holder() == 1


def test_of_two_claims_at_once_one_wins(tmp_path: Path) -> None:
    start, results = threading.Barrier(8), []

    def claim() -> None:
        one = Ownership(tmp_path)
        start.wait()
        results.append(one._create(1, None))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 7 + [True]


def test_a_holder_that_was_killed_and_that_nobody_has_waited_for_is_no_live_one(tmp_path: Path) -> None:
    claim = "import sys; from pathlib import Path; from td3_hpc.checkpoint.ownership import Ownership; "
    claim += "Ownership(Path(sys.argv[1])).claim(None); print('claimed', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", claim, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "claimed\n"
        with pytest.raises(RunDirectoryTaken):
            Ownership(tmp_path).claim(None)
        holder.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
        Ownership(tmp_path).claim(None)
    finally:
        holder.kill()
        holder.communicate()
