"""Waiting for a parked thread: real threads of this process, asleep in a lock (a futex) or elsewhere."""

import threading
import time

import pytest

from td3_hpc.driving import traffic_manager_wait as parked
from td3_hpc.driving.traffic_manager_wait import ParkedWait, thread_ids


class Sleeper:
    """A thread that sleeps in one lock's futex, and elsewhere for as long as it is told."""

    def __init__(self) -> None:
        self._gate = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._lock.acquire()
        self.away_s = 0.0
        self._ended = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self._ended:
            self._lock.acquire()
            time.sleep(self.away_s)

    def wake(self, away_s: float) -> None:
        self.away_s = away_s
        self._lock.release()

    def end(self) -> None:
        self._ended = True
        self.wake(0.0)
        self.thread.join(5)


@pytest.fixture
def parked_sleeper():
    before = thread_ids()
    sleeper = Sleeper()
    wait = ParkedWait(before)
    wait.wait(5)
    yield sleeper, wait
    wait.close()
    sleeper.end()


def test_returns_at_once_for_a_parked_thread(parked_sleeper):
    _, wait = parked_sleeper
    started = time.perf_counter()
    for _ in range(100):
        wait.wait(5)
    assert time.perf_counter() - started < 0.5


def test_waits_until_the_thread_is_back(parked_sleeper):
    sleeper, wait = parked_sleeper
    sleeper.wake(away_s=0.3)
    while wait._futex():
        time.sleep(0.001)
    started = time.perf_counter()
    wait.wait(5)
    assert 0.1 < time.perf_counter() - started < 2
    assert wait._futex()


def test_gives_up_on_a_thread_that_does_not_come_back(parked_sleeper):
    sleeper, wait = parked_sleeper
    sleeper.wake(away_s=0.6)
    while wait._futex():
        time.sleep(0.001)
    with pytest.raises(TimeoutError, match="did not park"):
        wait.wait(0.2)


def test_without_proof_it_sleeps():
    """Where the file is not readable, or it is not clear which thread it is."""
    wait = ParkedWait(thread_ids())
    started = time.perf_counter()
    wait.wait(5)
    assert time.perf_counter() - started >= parked._FALLBACK_SLEEP_S
    wait.close()
