"""Real embedded simulators on free ports, and maps of the towns."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from td3_hpc.config import EnvironmentConfig, RouteConfig, TrafficConfig


def free_block() -> int:
    """First of three free ports below the range of outgoing connections."""
    for port in range(23000 + os.getpid() % 300 * 20, 32000, 3):
        try:
            for offset in range(3):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return port
    raise RuntimeError("no free ports")


class Simulator:
    """One simulator process, and the faults that may befall it."""

    def __init__(self, town: str, log: Path) -> None:
        self.town, self.log = town, log
        self.port = free_block()
        self.start()

    def start(self) -> None:
        """Start on the same port as before; returns when it is ready."""
        command = [sys.executable, "-m", "td3_hpc.simulator", "--port", str(self.port), "--town", self.town]
        command += ["--synchronous"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline() if ready else b""
        assert b"ready" in line, f"{line!r} {self.log.read_text()}"

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def make_simulator(tmp_path_factory):
    """Factory of simulators that end with the tests."""
    made = []

    def make(town: str = "Hamlet") -> Simulator:
        made.append(Simulator(town, tmp_path_factory.mktemp("simulator") / "log"))
        return made[-1]

    yield make
    for simulator in made:
        simulator.kill()


@pytest.fixture(scope="session")
def hamlet(make_simulator) -> Simulator:
    """A simulator of the small town, shared by tests that leave it as they found it."""
    return make_simulator()


def small_config(vehicles: int = 6, **changes) -> EnvironmentConfig:
    """The small town with short routes."""
    route = RouteConfig(min_length_m=60, max_length_m=200, evaluation_routes=40)
    changes = {"town": "Hamlet", "route": route, **changes}
    return EnvironmentConfig(traffic=TrafficConfig(vehicles=vehicles, port=0, evaluation_port=0), **changes)


def wait_until(condition, timeout: float = 20):
    """Poll until condition() is true; returns its value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "not within the time limit"
        time.sleep(0.02)
    return value
