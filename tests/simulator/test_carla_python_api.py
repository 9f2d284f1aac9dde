"""CARLA's own smoke tests on the simulator: what passes is what docs/simulators.md says, and the others name why not.

TD3_HPC_CARLA_API names the folder PythonAPI of CARLA 0.9.16. Its tests are copied and changed in the port alone; their
packages go into an environment of their own, which takes PyPI.
"""

import ast
import math
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import SimulatorServer, StartServer
from tests.simulator.carla_api import folder_of_api, make_interpreter, table
from tests.simulator.opendrive_text import Road, opendrive_text, with_crosswalk
from tests.simulator.protocol import RawClient

PORT = "3654"
"""Where CARLA's tests look for a server."""


class Row(NamedTuple):
    """What is said of a file of tests."""

    file: str
    passing: int
    methods: int
    reasons: tuple[str, ...]
    """Each is in what some method prints that does not pass."""


def rows() -> list[Row]:
    """The table of docs/simulators.md."""
    found = table(r"`(test_\w+\.py)` \| (\d+) of (\d+)")
    return [Row(file, int(a), int(b), reasons) for (file, a, b), reasons in found]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of CARLA's folder of tests."""
    folder = folder_of_api("tests", "test/smoke/test_sync.py") / "test" / "smoke"
    return Path(shutil.copytree(folder, tmp_path_factory.mktemp("carla") / "smoke"))


@pytest.fixture(scope="module")
def interpreter(smoke: Path) -> Path:
    """A Python with the client library and what the tests ask for."""
    return make_interpreter(smoke.parent / "venv", ("carla==0.9.16", "numpy"))


@pytest.fixture(scope="module")
def towns(carla_maps: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CARLA's towns, as 0.9.16 has them: Town03 and Town05 of public repositories are of 2019, before there were
    crosswalks, and get one each. Two straight roads stand in for Town05 where it is missing: the tests of physics,
    which load it, need no more of it than the road south of (27 to 36, -200)."""
    folder = tmp_path_factory.mktemp("towns")
    for path in carla_maps.glob("Town*.xodr"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    if not (folder / "Town05.xodr").exists():
        roads = [Road(x, 260.0, -math.pi / 2.0, 900.0) for x in (29.0, 36.0)]
        (folder / "Town05.xodr").write_text(opendrive_text(roads), encoding="utf-8")
    for name in ("Town03", "Town05"):
        town = folder / f"{name}.xodr"
        town.write_text(with_crosswalk(town.read_text(encoding="utf-8")), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def server(smoke: Path, towns: Path, simulator_server: StartServer) -> Iterator[SimulatorServer]:
    """A server of CARLA's towns, and its port in the tests."""
    started = simulator_server("Town03", towns)
    shared = smoke / "__init__.py"
    text = shared.read_text()
    assert text.count(PORT) == 1
    shared.write_text(text.replace(PORT, str(started.port)))
    yield started
    started.stop()


def methods_of(file: Path) -> list[str]:
    """Names of its test methods, as unittest takes them."""
    return [
        f"smoke.{file.stem}.{node.name}.{method.name}"
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name.startswith("test")
    ]


def test_the_table_has_every_file(smoke: Path) -> None:
    assert {row.file: row.methods for row in rows()} == {
        file.name: len(methods_of(file)) for file in smoke.glob("test_*.py")
    }


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("row", rows(), ids=lambda row: row.file)
def test_a_file_passes_as_the_table_says(
    row: Row, smoke: Path, interpreter: Path, server: SimulatorServer, towns: Path
) -> None:
    if "'Town02'" in (smoke / row.file).read_text() and not (towns / "Town02.xodr").exists():
        pytest.skip("it loads Town02, which is not in the folder of towns")
    passing, said = 0, ""
    for method in methods_of(smoke / row.file):
        with RawClient(server.port) as client:  # as CARLA starts: no step is fixed
            client.call("load_new_episode", "Town03", True)
        command = [str(interpreter), "-m", "unittest", method]
        done = subprocess.run(command, cwd=smoke.parent, capture_output=True, text=True, timeout=3000)
        passing += done.returncode == 0
        said += "" if done.returncode == 0 else done.stderr
    assert passing == row.passing, said
    assert [why for why in row.reasons if why not in said] == [], said
