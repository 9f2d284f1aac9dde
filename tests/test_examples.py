"""examples/: an exported policy drives by them, with nothing of this package."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from td3_hpc.driving.observation.vector import observation_vector
from td3_hpc.driving.route import Anchor, Route, RouteTracker
from tests.conftest import StartServer
from tests.paths import ROOT

EXAMPLES = ROOT / "examples"
ALLOWED = {"carla", "numpy", "cv2", "onnxruntime", "exported", "leaderboard", "srunner"}


def run(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=200, cwd=EXAMPLES
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_they_import_nothing_else(path: Path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
    assert names - set(sys.stdlib_module_names) <= ALLOWED


def test_the_scripts_vector_is_the_environments(exported: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from exported import Exported

    angle = np.linspace(0.0, np.pi / 2, 80)
    points = np.stack([50 * np.sin(angle), 50 * (1 - np.cos(angle))], axis=1)
    steps = np.concatenate(([0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()))
    turned = np.degrees(angle)
    route = Route(
        Anchor(0, 0.0), Anchor(0, steps[-1]), np.column_stack([points, np.zeros(80)]),
        np.column_stack([np.zeros(80), turned, np.zeros(80)]), steps,
    )  # fmt: skip
    tracker, policy = RouteTracker(route), Exported(str(exported / "policy.onnx"))
    policy.begin(points, turned)
    spacing, scale = policy.task["route"]["waypoint_spacing_m"], policy.task["speed_range_kmh"] / 3.6
    for index in range(0, 60, 3):
        x, y = points[index] + (0.3, -0.2)
        yaw = turned[index] + 5.0
        velocity = 6.0 * np.array((np.cos(np.radians(yaw)), np.sin(np.radians(yaw))))
        position = tracker.update(x, y, yaw)
        ours = observation_vector(route, position, spacing, x, y, yaw, 6.0 / scale)
        theirs = policy._vector(np.array((x, y)), yaw, velocity)
        assert np.abs(ours - theirs).max() < 0.1, "a point a metre, where the environment interpolates"


@pytest.fixture(scope="module")
def server(simulator_server: StartServer):
    started = simulator_server("Hamlet")
    yield started
    started.stop()


def test_the_policy_drives_by_a_plain_script(exported: Path, server):
    said = run("drive.py", exported / "policy.onnx", "--port", server.port, "--seconds", 3, "--metres", 60)
    assert said.split(":")[0] in ("arrived", "out of time") or said.startswith("hit "), said


def test_the_policy_drives_for_the_leaderboard(exported: Path, server):
    loop = ROOT / "tests" / "leaderboard_loop.py"
    said = run(loop, EXAMPLES / "leaderboard_agent.py", exported / "policy.onnx", server.port, 60, 3)
    assert "m left, MAP, VehicleControl(" in said
