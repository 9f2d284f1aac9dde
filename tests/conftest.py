"""Real embedded simulators on ports of their own, for every room's tests."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from td3_hpc.supervision.ports import PortBlock, reserve
from tests.made_once import of_all_processes
from tests.paths import ROOT

settings.register_profile("busy machine", deadline=None)  # how long an example takes says nothing of it
settings.load_profile("busy machine")

pytest_plugins = ["tests.judged_runs", "tests.exported_policy", "tests.told_here"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the server is that the conformance tests (tests/simulator/test_documented_use.py) shall judge."""
    parser.addoption("--carla-host", default="127.0.0.1", help="host of the server that --carla-port names")
    parser.addoption("--carla-port", type=int, help="RPC port of a running server; left out: an embedded one")


signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests send it, and `nohup pytest` ignores it


WHOLE_RUNS = ("drills", "export", "gates/test_gates.py", "pretraining", "slurm", "test_wheel.py", "training")
"""Where tests take longest: they come first, so that no process is left with one of these at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    long = tuple(f"tests/{place}" for place in WHOLE_RUNS)
    items.sort(key=lambda item: not item.nodeid.startswith(long))


START_TIMEOUT_S = 60.0


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's cache for all tests: reference drives are kept there, and shared by the runs that tests make."""
    folder = of_all_processes(tmp_path_factory) / "cache"
    folder.mkdir(exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(folder)
    return folder


@dataclass
class SimulatorServer:
    """One running `python -m td3_hpc.simulator`."""

    port: int
    town: str
    process: subprocess.Popen[bytes]
    log: Path
    """Its standard error."""
    started_in_s: float
    _block: PortBlock

    def stop(self) -> int:
        """End it; returns its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        status = self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._block.close()
        return status


StartServer = Callable[..., SimulatorServer]


@pytest.fixture(scope="session")
def simulator_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """`simulator_server(town="Hamlet", maps=None, options=("--synchronous",))` starts one; all end with the tests."""
    servers: list[SimulatorServer] = []

    def start(
        town: str = "Hamlet", maps: Path | None = None, options: Sequence[str] = ("--synchronous",)
    ) -> SimulatorServer:
        block = reserve(0)
        command = [sys.executable, "-m", "td3_hpc.simulator", "--port", str(block.first), "--town", town, *options]
        command += ["--maps", str(maps)] if maps is not None else []
        log = tmp_path_factory.mktemp("simulator") / "stderr"
        began = time.monotonic()
        with log.open("wb") as stderr:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT)
        server = SimulatorServer(block.first, town, process, log, 0.0, block)
        servers.append(server)
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
        line = process.stdout.readline() if ready else b"nothing"
        assert b"ready" in line, f"said {line!r}; {log.read_text()}"
        server.started_in_s = time.monotonic() - began
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def hamlet_server(simulator_server: StartServer) -> SimulatorServer:
    """A server of the small town, shared by tests that load the world anew before they use it."""
    return simulator_server("Hamlet")


CARLA_TOWNS = ["Town01", "Town02", "Town03", "Town04", "Town05", "Town06", "Town07", "Town10HD"]
"""Those whose OpenDRIVE files can be found in public."""


def need_map(folder: Path, name: str) -> None:
    """Skip the test where a folder of maps lacks a town."""
    if not (folder / f"{name}.xodr").is_file():
        pytest.skip(f"no {name}.xodr in {folder}")


@pytest.fixture(scope="session")
def carla_maps() -> Path:
    """The folder of CARLA's own towns: $TD3_HPC_MAPS, or shared/maps beside the repository."""
    folder = Path(os.environ.get("TD3_HPC_MAPS", ROOT.parent / "shared" / "maps"))
    if not (folder / "Town01.xodr").is_file():
        pytest.skip(f"no Town01.xodr in {folder}; set TD3_HPC_MAPS to a folder of CARLA's OpenDRIVE files")
    return folder
