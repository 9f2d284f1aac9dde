"""A cluster profile: how one site's Slurm and Apptainer run a stage."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from td3_hpc.config.base import ConfigSection

FilePath = Annotated[Path, Field(strict=False)]  # YAML holds it as text


class ContainerConfig(ConfigSection):
    """The Apptainer container that a job runs its stage in."""

    image: FilePath
    """The SIF file; its digest is noted at submission, and a job refuses any other file there."""
    nvidia: bool = False
    """Bring the node's NVIDIA driver into the container (`apptainer --nv`)."""
    network: Literal["host", "loopback"] = "host"
    """`loopback`: a network of the job's own, where nobody else reaches the simulator's ports. Works without root
    where the site allows user namespaces; TensorBoard and checkpoints are files and need no network."""
    binds: list[str] = []
    """Folders of the node to mount, as SOURCE, SOURCE:TARGET or SOURCE:TARGET:ro. The run directory is always there."""
    environment: dict[str, str] = {}
    """Environment variables for the container, which otherwise sees nothing of the job's environment but
    CUDA_VISIBLE_DEVICES, SLURM_JOB_ID and SLURM_RESTART_COUNT. A secret is `env:NAME`, a variable of the job (Slurm
    passes those of the submitting shell on), or `file:PATH`, a file of mode 0600 that the node sees: the job reads it
    when it starts. Any other value stands in the job's script, where all who see the run directory can read it."""
    python: str = "/opt/td3-hpc/bin/python"
    """The interpreter inside the container that has this package's dependencies."""
    code: Literal["image", "checkout"] = "image"
    """`image`: run the package that is in the image. `checkout`: run a copy of the submitting package, frozen into
    the run directory at submission."""

    @field_validator("binds")
    @classmethod
    def _binds_are_absolute(cls, binds: list[str]) -> list[str]:
        for bind in binds:
            parts = bind.split(":")
            if len(parts) > 3 or not all(part.startswith("/") for part in parts[:2]):
                raise ValueError(f"{bind!r}: write it as /source, /source:/target or /source:/target:ro")
        return binds


class ClusterConfig(ConfigSection):
    """One site. Times in minutes and seconds, memory in GiB."""

    scheduler: Literal["slurm", "local"] = "slurm"
    """`local` runs the job's script on this machine, in the foreground, without Slurm."""
    slurm_conf: FilePath | None = None
    """Path of slurm.conf, where the site's is not the default one; SLURM_CONF in the environment wins."""
    partition: str | None = None
    """The site's default where not set; so are account and qos."""
    account: str | None = None
    """Whose budget the job uses."""
    qos: str | None = None
    """Quality of service."""
    gres: str | None = None
    """Generic resources, for example gpu:1."""
    constraint: str | None = None
    """Node features, as the site names them."""
    exclude: list[str] = []
    """Nodes to keep away from."""
    nodes: int = Field(1, ge=1)
    """Nodes of a job, at most one for each of the stage's training simulators. The learner, evaluation and every
    nodes-th training simulator are on the first, the others in turn on the other nodes, where the learner must reach
    their ports: CARLA's protocol knows no password."""
    cpus: int = Field(4, ge=1)
    """CPUs of the job, on each node: PyTorch's threads, the simulators, one worker each."""
    memory_gib: float = Field(16.0, gt=0)
    """Memory of the job: replay buffer, networks, both simulators."""
    walltime_minutes: int = Field(240, ge=1)
    """Time limit of one attempt."""
    signal_lead_s: int = Field(180, ge=1)
    """How long before the time limit Slurm sends SIGUSR1. Slurm may send it up to a minute early, and a checkpoint
    takes seconds to a minute."""
    requeue: Literal["slurm", "chain"] = "slurm"
    """`slurm`: the job is requeued under its own id. `chain`, where a site forbids that: several jobs of one name are
    submitted at once and run one after another (--dependency=singleton)."""
    chain_length: int = Field(10, ge=2)
    """Jobs of such a chain; those that find the run finished end at once."""
    modules: list[str] = []
    """Environment modules to load first, for example apptainer."""
    scratch: FilePath = Path("/tmp")
    """A folder on each node's own disk, for the container's /tmp and HOME; the job leaves nothing there, and what a
    job that Slurm had to kill left, the next one removes."""
    runs: FilePath = Path("checkpoints")
    """Where run directories live; on a file system that every node sees."""
    container: ContainerConfig | None = None
    """Left out, the job runs this Python without a container, for which it must be on every node."""

    @model_validator(mode="after")
    def _signal_comes_before_the_limit(self) -> "ClusterConfig":
        if self.signal_lead_s >= self.walltime_minutes * 60:
            raise ValueError(
                f"signal_lead_s ({self.signal_lead_s}) is not below walltime_minutes ({self.walltime_minutes}): the "
                "job would be told to stop as soon as it starts; raise walltime_minutes or lower signal_lead_s"
            )
        if self.scheduler == "local" and self.requeue == "chain":
            raise ValueError("scheduler: local has no queue; leave requeue out")
        if self.nodes > 1 and self.scheduler == "local":
            raise ValueError("scheduler: local has one node; leave nodes out")
        if self.nodes > 1 and self.container is not None and self.container.network == "loopback":
            raise ValueError(
                "container.network: loopback shuts the simulators on other nodes out; use host, or nodes: 1"
            )
        return self

    def for_simulators(self, count: int) -> "ClusterConfig":
        """The profile for a stage with so many training simulators, which has no more nodes than those."""
        return self.model_copy(update={"nodes": min(self.nodes, count)})
