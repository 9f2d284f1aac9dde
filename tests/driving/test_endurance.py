"""100,000 ticks with traffic, on a busy machine: no call hangs, and no worker is lost."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from td3_hpc.driving.worker_handle import EnvironmentWorker
from tests.driving.conftest import small_config

TICKS, PIECES, VEHICLES = 100_000, 4, 20


@contextlib.contextmanager
def busy_machine() -> Iterator[None]:
    """One process for every CPU that does nothing but compute."""
    spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("piece", range(PIECES))
def test_nothing_hangs_under_load(make_simulator, tmp_path, piece: int):
    simulator = make_simulator("Brookfield")
    config = small_config(VEHICLES, town="Brookfield")
    worker = EnvironmentWorker(config, tmp_path / "worker.log", port=simulator.port, tm_port=0, timeout_s=60.0)
    steering = np.random.default_rng(piece)
    ticks = episodes = 0
    try:
        with busy_machine():
            worker.start()
            while ticks < TICKS // PIECES:
                worker.reset(1000 * piece + episodes)
                episodes += 1
                ended = False
                while not ended:
                    steer, pedal = steering.uniform((-0.05, 0.2), (0.05, 0.7))
                    worker.send(np.array([steer, pedal], np.float32))
                    result = worker.receive()
                    ticks += config.ticks_per_action
                    ended = result.terminated or result.truncated
    finally:
        worker.close()
    assert simulator.process.poll() is None
    assert "Traceback" not in simulator.log.read_text()
    print(f"{ticks} ticks in {episodes} episodes")
