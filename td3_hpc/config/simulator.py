"""Where the simulator comes from and how its supervisor keeps it alive."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from td3_hpc.config.base import ConfigSection


class SimulatorConfig(ConfigSection):
    """One kind of simulator for training and evaluation, each of which gets servers of its own."""

    kind: Literal["embedded", "carla", "external"] = "embedded"
    """`embedded`: the headless simulator of this package. `carla`: CARLA's own binary, started by the supervisor.
    `external`: somebody else's servers at `host` and `port`; never started, never stopped."""
    version: str = "0.9.16"
    """Version that the server must report; anything else is refused, since the client speaks 0.9.16 only."""
    host: str = "127.0.0.1"
    """Address of the server."""
    port: int = Field(0, ge=0, le=65532)
    """First of three ports (N RPC, N+1 streams, N+2 spare) of the training server; 0 finds a free block."""
    evaluation_port: int = Field(0, ge=0, le=65532)
    """The same for the evaluation server."""
    maps: Path | None = Field(None, strict=False)
    """A folder of OpenDRIVE files, or a CARLA installation, whose towns the embedded simulator offers by name."""
    carla_root: Path | None = Field(None, strict=False)
    """Folder of the CARLA installation (holds CarlaUE4/Binaries); needed by `kind: carla`."""
    options: list[str] = ["-RenderOffScreen", "-nosound", "-quality-level=Low"]
    """Command-line options of CARLA's binary."""
    ready_timeout_s: float = Field(60.0, gt=0)
    """A server that is not ready (version, map, first tick, first camera frame) by then is restarted. CARLA: 300."""
    hang_timeout_s: float = Field(10.0, gt=0)
    """A call or tick that takes longer means that the simulator hangs. CARLA: 60."""
    restarts_per_hour: int = Field(12, ge=0)
    """More restarts than this within an hour fail the run, with the simulator's last lines."""
    memory_limit_gib: float = Field(8.0, gt=0)
    """A server that has outgrown this is recycled at the end of an episode (CARLA leaks)."""

    @model_validator(mode="after")
    def _carla_needs_its_root(self) -> "SimulatorConfig":
        if self.kind == "carla" and self.carla_root is None:
            raise ValueError("kind: carla needs carla_root, the folder of the CARLA installation")
        if self.kind == "external" and (self.port == 0 or self.evaluation_port == 0):
            raise ValueError("kind: external needs port and evaluation_port, where your servers listen")
        if self.port and self.evaluation_port and abs(self.port - self.evaluation_port) < 3:
            raise ValueError("port and evaluation_port each take three ports (N, N+1, N+2): set them 3 or more apart")
        return self
