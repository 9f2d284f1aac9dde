"""A cluster profile: how one site's Slurm and Apptainer run a stage."""

import math
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from td3_hpc.config.base import ConfigSection
from td3_hpc.config.sbatch import check_options, gpu_count, node_names, seconds

FilePath = Annotated[Path, Field(strict=False)]  # YAML holds it as text


def _expand(path: Path) -> Path:
    """With `~` and variables as they are where the profile is read. Raises ValueError for one that is not set."""
    text = os.path.expanduser(os.path.expandvars(path))
    if "$" in text or text.startswith("~"):
        raise ValueError(f"{path}: not set here; write the path in full")
    return Path(text)


SharedPath = Annotated[FilePath, AfterValidator(_expand)]
"""Of a file system that the submitting machine and the nodes share: expanded once, at submission."""
Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(gt=0)]


class ContainerConfig(ConfigSection):
    """The Apptainer container that a job runs its stage in."""

    image: SharedPath
    """The SIF file; `~` and variables, as in `$SCRATCH/carla.sif`, are the submitting machine's. Its digest is noted at
    submission, and a job refuses any other file there."""
    gpu: Literal["nvidia", "amd", "none"] = "none"
    """Whose GPUs the nodes have, for the driver that the container needs: `nvidia` is `apptainer --nv`, `amd` is
    `--rocm`, which no AMD GPU was there to try. Profiles of before say `nvidia: true` or `false`."""
    network: Literal["host", "loopback"] = "host"
    """`loopback`: a network of the job's own, where nobody else reaches the simulator's ports. Works without root
    where the site allows user namespaces; TensorBoard and checkpoints are files and need no network."""
    binds: list[str] = []
    """Folders of the node to mount, as SOURCE, SOURCE:TARGET or SOURCE:TARGET:ro. The run directory is always there."""
    environment: dict[str, str] = {}
    """Environment variables for the container, which otherwise sees nothing of the job's environment but
    CUDA_VISIBLE_DEVICES, SLURM_JOB_ID, SLURM_CLUSTER_NAME and SLURM_RESTART_COUNT. A secret is `env:NAME`, a variable
    of the job (Slurm passes those of the submitting shell on), or `file:PATH`, a file of mode 0600 that the node sees:
    the job reads it when it starts. Any other value stands in the job's script, where all who see the run directory can
    read it."""
    python: str = "/opt/td3-hpc/bin/python"
    """The interpreter inside the container that has this package's dependencies."""
    code: Literal["image", "checkout"] = "image"
    """`image`: run the package that is in the image. `checkout`: run a copy of the submitting package, frozen into
    the run directory at submission."""

    @model_validator(mode="before")
    @classmethod
    def _nvidia_was_a_key(cls, values: Any) -> Any:
        """Profiles frozen before `gpu` was a key have `nvidia`, as somebody's own may."""
        if not isinstance(values, dict) or not isinstance(nvidia := values.get("nvidia"), bool):
            return values
        meant = "nvidia" if nvidia else "none"
        if values.get("gpu", meant) != meant:
            raise ValueError(f"gpu ({values['gpu']}) and nvidia ({str(nvidia).lower()}): leave nvidia out")
        return {**{key: value for key, value in values.items() if key != "nvidia"}, "gpu": meant}

    @field_validator("binds")
    @classmethod
    def _binds_are_absolute(cls, binds: list[str]) -> list[str]:
        for bind in binds:
            parts = bind.split(":")
            if len(parts) > 3 or not all(part.startswith("/") for part in parts[:2]):
                raise ValueError(f"{bind!r}: write it as /source, /source:/target or /source:/target:ro")
        return binds


def queues(scheduler: object) -> bool:
    """Whether jobs of a profile's `scheduler` wait in a queue and run on other machines; the others run here, at once.

    Nothing else asks which scheduler it is.
    """
    return scheduler == "slurm"


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
    gpus: Count | str | None = None
    """GPUs of the job, a number or TYPE:NUMBER, where a site asks for them so and not by gres."""
    gpus_per_node: Count | str | None = None
    """The same for each node."""
    gpu_bind: str | None = None
    """Which GPUs a task sees (--gpu-bind), for the job and for its step."""
    constraint: str | None = None
    """Node features, as the site names them."""
    exclude: list[str] = []
    """Nodes to keep away from, by name or as Slurm writes several: n[1-3,7]."""
    nodes: int = Field(1, ge=1)
    """Nodes of a job, at most one for each of the stage's training simulators. The learner, evaluation and every
    nodes-th training simulator are on the first, the others in turn on the other nodes, where the learner must reach
    their ports: CARLA's protocol knows no password."""
    cpus: int = Field(4, ge=1)
    """CPUs of the job, on each node: PyTorch's threads, the simulators, one worker each."""
    cpus_per_gpu: Count | None = None
    """The same for each GPU, where a site asks for CPUs so; leave cpus out then."""
    hint: Literal["compute_bound", "memory_bound", "multithread", "nomultithread"] | None = None
    """How the CPUs are used (--hint), for the job and for its step."""
    exclusive: bool | Literal["user", "mcs"] = False
    """`true`: whole nodes; `user`, `mcs`: shared with the user's, or the group's, own jobs only."""
    memory_gib: Amount | None = None
    """Memory of the job, on each node: replay buffer, networks, simulators. Left out, as are the two below, the site
    decides."""
    mem_per_cpu: Amount | None = None
    """The same for each CPU, in GiB."""
    mem_per_gpu: Amount | None = None
    """The same for each GPU, in GiB."""
    walltime: Count | str | None = None
    """Time limit of one attempt as Slurm reads times: minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S."""
    walltime_minutes: int = Field(240, ge=1)
    """The same in minutes; a resolved copy has this one."""
    signal_lead_s: int = Field(180, ge=1)
    """How long before the time limit Slurm sends SIGUSR1. Slurm may send it up to a minute early, and a checkpoint
    takes seconds to a minute."""
    requeue: Literal["slurm", "chain"] = "slurm"
    """`slurm`: the job is requeued under its own id. `chain`, where a site forbids that: several jobs of one name are
    submitted at once and run one after another (--dependency=singleton)."""
    chain_length: int = Field(10, ge=2)
    """Jobs of such a chain; those that find the run finished end at once."""
    reservation: str | None = None
    """A reservation of the site's to run in."""
    licenses: str | None = None
    """Licences, as NAME or NAME:NUMBER, separated by commas."""
    mail_type: str | None = None
    """When Slurm writes to the user, for example END,FAIL."""
    mail_user: str | None = None
    """To which address."""
    nice: int | None = None
    """Added to what the job's priority is lowered by."""
    comment: str | None = None
    """Words for the site, which some bill by."""
    clusters: str | None = None
    """The cluster of a site that has several under one Slurm; every command of Slurm's is told (-M)."""
    sbatch: dict[str, str | int | bool | None] = {}
    """Any other option of sbatch's, by its long name: `{wckey: mine, contiguous: true}`."""
    modules: list[str] = []
    """Environment modules to load first, for example apptainer."""
    scratch: FilePath = Path("/tmp")
    """A folder on each node's own disk, for the container's /tmp and HOME; the job leaves nothing there, and what a
    job that Slurm had to kill left, the next one removes. `~` and variables, as in `$SLURM_TMPDIR`, are the node's."""
    runs: SharedPath = Path("checkpoints")
    """Where run directories live; on a file system that every node sees. `~` and variables are the submitting
    machine's."""
    container: ContainerConfig | None = None
    """Left out, the job runs this Python without a container, for which it must be on every node."""

    @model_validator(mode="before")
    @classmethod
    def _walltime_becomes_minutes(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(walltime := values.get("walltime"), int | str):
            return values
        limit = seconds(str(walltime))
        if not limit:
            raise ValueError(f"walltime ({walltime}): write it as Slurm does: minutes, 4:00:00, 2-12 or 1-06:30:00")
        minutes = math.ceil(limit / 60)
        if values.get("walltime_minutes", minutes) != minutes:
            raise ValueError(
                f"walltime ({walltime}) and walltime_minutes ({values['walltime_minutes']}): leave one out"
            )
        return {**values, "walltime": None, "walltime_minutes": minutes}

    @field_validator("walltime_minutes", mode="before")
    @classmethod
    def _minutes_are_a_number(cls, value: Any) -> Any:
        if isinstance(value, str) and seconds(value):
            raise ValueError(f"{value} is no number of minutes; write walltime: {value} in its place")
        return value

    @model_validator(mode="before")
    @classmethod
    def _cpus_follow_the_gpus(cls, values: Any) -> Any:
        """With cpus_per_gpu, cpus is a product, which a frozen profile holds as well."""
        if not isinstance(values, dict) or type(values.get("cpus_per_gpu")) is not int:
            return values
        gpus = gpu_count(values)
        if gpus is None:
            raise ValueError("cpus_per_gpu: of how many GPUs? Set gpus_per_node, gpus or gres: gpu:NUMBER")
        cpus = values["cpus_per_gpu"] * gpus
        if values.get("cpus", cpus) != cpus:
            raise ValueError(
                f"cpus ({values['cpus']}) and cpus_per_gpu ({values['cpus_per_gpu']} for each of {gpus}): leave one out"
            )
        return {**values, "cpus": cpus}

    @model_validator(mode="after")
    def _nothing_is_asked_for_twice(self) -> "ClusterConfig":
        alternatives = {
            "memory": ("memory_gib", "mem_per_cpu", "mem_per_gpu"),
            "GPUs": ("gpus", "gpus_per_node", "gres"),
        }
        for what, keys in alternatives.items():
            given = [key for key in keys if getattr(self, key) is not None]
            if what == "GPUs" and not self._gres_has_gpus:
                given = [key for key in given if key != "gres"]
            if len(given) > 1:
                raise ValueError(f"{' and '.join(given)}: each tells the job's {what}; leave all but one out")
        if self.mem_per_gpu is not None and self.gpus_on_a_node is None:
            raise ValueError("mem_per_gpu: of how many GPUs? Set gpus_per_node, gpus or gres: gpu:NUMBER")
        if self.gpus is not None and self.nodes > 1:
            raise ValueError("gpus counts those of the whole job; with nodes above 1 set gpus_per_node in its place")
        if self.clusters is not None and ("," in self.clusters or self.clusters == "all"):
            raise ValueError("clusters: name one, since the run's jobs are looked for there ever after")
        return self

    @field_validator("scratch")
    @classmethod
    def _scratch_is_absolute(cls, scratch: Path) -> Path:
        if not re.match(r"/|~(/|$)|\$\{?[A-Za-z_]", str(scratch)):
            raise ValueError(f"{scratch}: not an absolute path; begin it with /, ~/ or a variable of the node's")
        if "$" in re.sub(r"\$(\{\w+\}|\w+)", "", str(scratch)):
            raise ValueError(f"{scratch}: of variables, only $NAME and ${{NAME}} are understood")
        return scratch

    @field_validator("exclude", mode="before")
    @classmethod
    def _one_text_names_nodes_too(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("exclude")
    @classmethod
    def _nodes_are_named_in_full(cls, names: list[str]) -> list[str]:
        """The job adds nodes to them, one by one."""
        return [name for item in names for name in node_names(item)]

    @field_validator("sbatch")
    @classmethod
    def _sbatch_options_are_free(cls, options: dict[str, Any]) -> dict[str, Any]:
        return check_options(options)

    @field_validator("*")
    @classmethod
    def _text_is_one_line(cls, value: Any) -> Any:
        """A line end would begin another line of the job's script."""
        if isinstance(value, str) and not value.isprintable():
            raise ValueError("holds a line end, or another character that cannot be printed")
        return value

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

    @property
    def queued(self) -> bool:
        """Whether its jobs wait in a queue and run on other machines; the others run here, at once."""
        return queues(self.scheduler)

    @property
    def memory_of_a_node_gib(self) -> float | None:
        """What the job may use on each node; None where the site decides."""
        if self.mem_per_cpu is not None:
            return self.mem_per_cpu * self.cpus
        if self.mem_per_gpu is not None:
            return self.mem_per_gpu * (self.gpus_on_a_node or 1)
        return self.memory_gib

    @property
    def gpus_on_a_node(self) -> int | None:
        """How many GPUs the job asks for on each node; None where it asks for none, or its words are not understood."""
        return gpu_count(self.model_dump(include={"gpus", "gpus_per_node", "gres"}))

    @property
    def brings_driver(self) -> bool:
        """Whether the job's container is given a GPU's driver."""
        return self.container is not None and self.container.gpu != "none"

    @property
    def no_carla(self) -> str | None:
        """Why CARLA cannot render in the profile's jobs; None where nothing here speaks against it.

        CARLA of 0.9.12 and later renders through Vulkan only, and its image is documented for NVIDIA's driver alone
        (Docs/adv_rendering_options.md and build_docker.md of CARLA); `--rocm` brings libraries to compute with.
        """
        if self.container is not None and self.container.gpu == "amd":
            return "CARLA renders through Vulkan, and its image has NVIDIA's driver for that, none for AMD's GPUs"
        if self.container is not None and self.container.gpu == "none":
            return "CARLA renders on a GPU; the container is started without a GPU's driver"
        return None

    @property
    def gpu_request(self) -> str | None:
        """How it asks for GPUs, in the profile's words; None where it does not."""
        for key in ("gpus", "gpus_per_node"):
            if getattr(self, key) is not None:
                return f"{key}: {getattr(self, key)}"
        return self.gres if self._gres_has_gpus else None

    @property
    def _gres_has_gpus(self) -> bool:
        return "gpu" in (self.gres or "")
