"""CARLA's folder PythonAPI, a Python for its programs, and the tables of docs/simulators.md that tell of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT


def folder_of_api(what: str, holds: str) -> Path:
    """The folder that TD3_HPC_CARLA_API names, which holds a file; skips the test of `what` where it names none."""
    named = os.environ.get("TD3_HPC_CARLA_API")
    if not named:
        pytest.skip(f"TD3_HPC_CARLA_API names no folder: CARLA's own {what} are not run")
    assert (Path(named) / holds).exists(), f"{named} holds no {what}"
    return Path(named)


def make_interpreter(environment: Path, packages: tuple[str, ...]) -> Path:
    """A Python with packages from PyPI, in an environment of its own."""
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=300)
    python = environment / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True, timeout=1800)
    return python


def table(cells: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The rows of docs/simulators.md whose first cells match: the groups of these, and what the last one quotes."""
    text = (ROOT / "docs" / "simulators.md").read_text()
    found = re.finditer(rf"^\| {cells} \|(?P<why>.*)\|$", text, re.M)
    return [(row.groups()[:-1], tuple(re.findall(r"`([^`]+)`", row["why"]))) for row in found]
