"""docs/carla-in-ci.md does what it says: its test passes on a server as users start it; its script, from nothing."""

import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from td3_hpc.supervision.ports import reserve
from tests.conftest import StartServer
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "carla-in-ci.md").read_text()


def block(language: str) -> str:
    """The page's one block of code in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
    return str(found)


def test_the_test_passes(simulator_server: StartServer, tmp_path: Path) -> None:
    server = simulator_server("Brookfield", options=())
    assert block("python").count("2000") == 1
    (tmp_path / "test_drive.py").write_text(block("python").replace("2000", str(server.port)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_drive.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    server.stop()
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_workflow_says_what_the_three_commands_say() -> None:
    steps = yaml.safe_load(block("yaml"))["jobs"]["test"]["steps"]
    runs = "".join(step.get("run", "") for step in steps)
    (packages,) = re.findall(r"venv/bin/pip install (.*) && venv", PAGE)
    assert f"pip install {packages} " in runs
    assert f"venv/bin/pip install {packages}\n" in block("sh")
    wait = "timeout 120 sh -c 'until grep -q ready simulator.log; do sleep 0.2; done'"
    assert PAGE.count(wait) == 3


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_script_runs_from_nothing(tmp_path: Path) -> None:
    """Takes PyPI. The port is changed, for others may use 2000 here."""
    with closing(reserve(0)) as ports:
        port = str(ports.first)
        (tmp_path / "test_drive.py").write_text(block("python").replace("2000", port))
        script = block("sh").replace("td3-hpc simulator >", f"td3-hpc simulator --port {port} >")
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=tmp_path, capture_output=True, text=True, timeout=1700, env={**os.environ, "TD3_HPC": str(ROOT)},
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
