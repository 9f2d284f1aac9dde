"""What `td3-hpc doctor` measured, kept as JSON beside the profile's runs."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.durable import replace_file
from td3_hpc.formatting import duration


class _Measured(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Gpus(_Measured):
    """What nvidia-smi, or PyTorch for AMD's, shows in the job's container."""

    names: list[str] = []
    memory_mib: list[int] = []
    driver: str = ""
    reason: str = ""
    """Why there are none, where there are none."""


class Vulkan(_Measured):
    """Devices that the Vulkan loader finds there."""

    devices: list[str] = []
    """Real GPUs."""
    software: list[str] = []
    """Renderers that compute on CPUs."""
    reason: str = ""
    """Why there is none, where there is none."""


class Torch(_Measured):
    """PyTorch there."""

    version: str
    cuda: str | None
    """CUDA version that it was built for."""
    rocm: str | None = None
    """ROCm version that it was built for, in place of CUDA."""
    gpu: str | None
    """The device that it computes on; None: the CPU."""
    bfloat16: list[str] | None = None
    """The kinds of device here that compute in bfloat16; None where it was not measured."""


class StepCpus(_Measured):
    """CPUs that the job's step may use."""

    affinity: int
    quota: float | None
    """The control group's limit, in CPUs."""
    machine: int

    @property
    def usable(self) -> int:
        """Whole CPUs."""
        return max(1, min(self.affinity, int(self.quota or self.affinity)))


class Files(_Measured):
    """The run directory's file system, as a node sees it."""

    kind: str
    rename: bool
    exclusive_link: bool
    flock: bool
    fsyncs_per_s: float
    write_mib_per_s: float


class Scratch(_Measured):
    """The node's own disk, as the job sees it."""

    free_gib: float
    memory: bool
    """It is a RAM disk: what is written there counts as memory."""


class SimulationSpeed(_Measured):
    """The simulator there, driven with random actions."""

    version: str
    ready_s: float
    frame: list[int]
    """Height and width of the observation's camera frame, in pixels."""
    frame_values: int
    """Different grey values in it; 1: it is all one colour."""
    steps_per_s: float
    gpu_mib: int | None = None
    """GPU memory that the server took; None without a GPU."""


class Learning(_Measured):
    """The learner there."""

    device: str
    batch_size: int
    updates_per_s: float
    steps_per_s: float
    """Steps of the training loop, each with its update."""
    gpu_mib: int | None = None
    """GPU memory that the learner took; None without a GPU."""


class Saving(_Measured):
    """One checkpoint into the run directory."""

    seconds: float
    bytes: int


class Delivery(_Measured):
    """What became of one signal, sent to the job's step."""

    arrived: bool
    seconds: float | None = None
    """From sending to arrival, by the clocks of both machines."""
    killed: bool = False
    """It ended the process, or its container, instead of being told to it."""


class Restart(_Measured):
    """Starting the job again after it had stopped with exit status 75."""

    restarted: bool
    seconds: float | None = None
    """From the end of the first attempt to the start of the second."""
    reason: str = ""


class DoctorResult(_Measured):
    """Everything, None where it could not be measured; `errors` says why."""

    cluster: str
    written: str
    job: str = ""
    node: str = ""
    simulator: str = ""
    """Kind of the simulator."""
    town: str = ""
    image: str | None = None
    binds: list[str] = []
    cpus_asked: int = 0
    gpus: Gpus | None = None
    vulkan: Vulkan | None = None
    torch: Torch | None = None
    step_cpus: StepCpus | None = None
    files: Files | None = None
    scratch: Scratch | None = None
    simulation: SimulationSpeed | None = None
    learning: Learning | None = None
    saving: Saving | None = None
    usr1: Delivery | None = None
    term: Delivery | None = None
    restart: Restart | None = None
    errors: dict[str, str] = {}

    @property
    def age(self) -> str:
        """How old it is, in words."""
        return f"{duration((datetime.now(timezone.utc) - datetime.fromisoformat(self.written)).total_seconds())} ago"


def result_path(profile: ClusterConfig, cluster: str) -> Path:
    """The file of a profile's result, beside its runs; `cluster` is the profile's name or file."""
    return profile.runs / f"doctor-{Path(cluster).stem}.json"


def read_result(profile: ClusterConfig, cluster: str) -> DoctorResult | None:
    """The last result; None where there is none, or none that this version understands."""
    try:
        return DoctorResult.model_validate_json(result_path(profile, cluster).read_bytes())
    except (OSError, ValidationError):
        return None


def write_result(profile: ClusterConfig, cluster: str, measured: dict[str, Any]) -> DoctorResult:
    """Keep what was measured; returns it."""
    written = datetime.now(timezone.utc).isoformat(timespec="seconds")
    result = DoctorResult.model_validate({**measured, "cluster": cluster, "written": written})
    path = result_path(profile, cluster)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(result.model_dump(), indent=1).encode())
    return result
