"""CARLA's own agents drive in our towns: all arrive, and none hits anything or takes a lane of oncoming traffic.

TD3_HPC_CARLA_API names the folder PythonAPI of CARLA 0.9.16. The agents' packages go into an environment of their own,
which takes PyPI; without CARLA's folder, tests/simulator/towns/test_make_towns.py asks what their planner asks.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import StartServer

ROUTES = 10
DRIVE = Path(__file__).parent / "agent_drive.py"


@pytest.fixture(scope="module")
def agents() -> Path:
    """The folder that holds the package `agents`."""
    named = os.environ.get("TD3_HPC_CARLA_API")
    if not named:
        pytest.skip("TD3_HPC_CARLA_API names no folder: CARLA's own agents are not driven")
    folder = Path(named) / "carla"
    assert (folder / "agents" / "navigation" / "behavior_agent.py").exists(), f"{folder} holds no agents"
    return folder


@pytest.fixture(scope="module")
def interpreter(agents: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the client library and what the agents ask for."""
    environment = tmp_path_factory.mktemp("agents") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=300)
    python, wanted = environment / "bin" / "python", agents / "agents" / "requirements.txt"
    install = [str(python), "-m", "pip", "install", "--quiet", "carla==0.9.16", "--requirement", str(wanted)]
    subprocess.run(install, check=True, timeout=600)
    return python


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("town", ["Brookfield", "Hamlet"])
def test_the_agents_arrive(town: str, agents: Path, interpreter: Path, simulator_server: StartServer):
    server = simulator_server(town)
    command = [str(interpreter), str(DRIVE), str(agents), str(server.port), str(ROUTES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3500)
    server.stop()
    assert done.returncode == 0, done.stdout + done.stderr
    drives = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(drives) == 4 * ROUTES
    wrong = [found for found in drives if not found["arrived"] or found["hits"] or found["wrong_way"]]
    assert wrong == []
