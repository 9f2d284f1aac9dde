"""How each kind of simulator is started: its command and environment."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from td3_hpc.code import run_module
from td3_hpc.errors import BadInput

if TYPE_CHECKING:
    from td3_hpc.config.simulator import SimulatorConfig

CARLA_BINARY = Path("CarlaUE4/Binaries/Linux/CarlaUE4-Linux-Shipping")


@dataclass(frozen=True)
class Launch:
    """A command and the environment it runs in."""

    command: list[str]
    environment: dict[str, str]


def launch(config: "SimulatorConfig", town: str, port: int, home: Path) -> Launch | None:
    """How to start the simulator on `port` (and the two above it); None for `external`, which is not ours to start.

    `home` becomes CARLA's home directory: many servers that share one block each other on its cache.
    Raises BadInput where CARLA's binary is missing or cannot be run.
    """
    if config.kind == "external":
        return None
    environment = dict(os.environ)
    if config.kind == "embedded":
        command = [
            *run_module("td3_hpc.simulator"),
            "--host",
            config.host,
            "--port",
            str(port),
            "--town",
            town,
            "--synchronous",
        ]
        if config.maps is not None:
            command += ["--maps", str(config.maps)]
        return Launch(command, environment)
    assert config.carla_root is not None, "the configuration requires it"
    binary = config.carla_root / CARLA_BINARY
    if not os.access(binary, os.X_OK):
        raise BadInput(
            f"{binary}: not an executable file; set simulator.carla_root to the folder that holds CarlaUE4.sh, "
            "or simulator.kind to embedded"
        )
    # CarlaUE4.sh passes on no signals, so its binary is run directly. Its first argument is the Unreal project, as
    # there; the RPC port also sets the streaming (N+1) and secondary (N+2) ports.
    home.mkdir(parents=True, exist_ok=True)
    environment["HOME"] = str(home)
    return Launch([str(binary), "CarlaUE4", *config.options, f"-carla-rpc-port={port}"], environment)
