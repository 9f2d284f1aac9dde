import sys

import pytest

from td3_hpc.config import SimulatorConfig
from td3_hpc.errors import BadInput
from td3_hpc.supervision.launch_command import launch
from tests.simulator.programs import carla_installation


def test_the_embedded_simulator(tmp_path):
    start = launch(SimulatorConfig(maps="some/maps"), "Hamlet", 2000, tmp_path / "home")
    assert start.command[:3] == [sys.executable, "-m", "td3_hpc.simulator"]
    options = ["--host", "127.0.0.1", "--port", "2000", "--town", "Hamlet", "--synchronous", "--maps", "some/maps"]
    assert start.command[3:] == options
    assert not (tmp_path / "home").exists()


def test_carla_is_started_by_its_binary_with_a_home_of_its_own(tmp_path):
    root = carla_installation(tmp_path / "carla", "exit 0")
    config = SimulatorConfig(kind="carla", carla_root=root, options=["-RenderOffScreen", "-quality-level=Epic"])
    start = launch(config, "Town03", 2000, tmp_path / "home")
    assert start.command[0] == str(root / "CarlaUE4/Binaries/Linux/CarlaUE4-Linux-Shipping")
    assert start.command[1:] == ["CarlaUE4", "-RenderOffScreen", "-quality-level=Epic", "-carla-rpc-port=2000"]
    assert start.environment["HOME"] == str(tmp_path / "home")
    assert (tmp_path / "home").is_dir()


def test_a_carla_root_without_its_binary_is_bad_input(tmp_path):
    config = SimulatorConfig(kind="carla", carla_root=tmp_path)
    with pytest.raises(BadInput, match=r"set simulator\.carla_root"):
        launch(config, "Town03", 2000, tmp_path / "home")


def test_an_external_simulator_is_not_started(tmp_path):
    config = SimulatorConfig(kind="external", port=2000, evaluation_port=2010)
    assert launch(config, "Town03", 2000, tmp_path / "home") is None
