"""Does the run fit the job's memory? The figures were measured by `python -m benchmarks memory`."""

import contextlib
import math
from pathlib import Path

import psutil

from td3_hpc.config import AgentConfig, StageConfig
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.preflight.finding import Mistake, NotLearnt
from td3_hpc.launch.preflight.plan import Plan
from td3_hpc.replay.rows import row_bytes

MIB, GIB = 2**20, 2**30
#: Peak PSS of each process on x86_64 with PyTorch 2.13 for CPUs, in MiB, rounded up by a tenth or more.
PROGRAM_MIB = 550
"""The learner without networks, batch and replay: Python, PyTorch, OpenCV, HDF5."""
SIMULATOR_MIB = {"embedded": 150, "external": 0}
"""One server with a town of a few kilometres. CARLA's bound is the configuration's memory_limit_gib."""
WORKER_MIB = 110
"""One environment worker with its Traffic Manager, and for a moment the readiness probe."""
SUPERVISOR_MIB = 30
"""One simulator's supervisor."""
BATCH_MIB = 0.4
"""Activations, gradients and pixels, for each transition of a batch."""
CUDA_MIB = 3000
"""What CUDA's libraries take in the learner's own memory: an allowance, not measured."""
SEGMENT_MIB = 160
"""A replay segment on its way to the file: its rows, and its HDF5 image."""


def network_parameters(config: AgentConfig) -> int:
    """Parameters of the actor and the twin critics, targets not counted. Raises BadInput for an unknown encoder."""
    from td3_hpc.td3.networks import make_networks  # loads PyTorch

    return sum(parameter.numel() for network in make_networks(config) for parameter in network.parameters())


def state_bytes(config: AgentConfig) -> int:
    """What a checkpoint's state file holds: weights, targets and both Adam moments in float32, and little more."""
    return 4 * 4 * network_parameters(config) + MIB


def replay_bytes(stage: StageConfig) -> int:
    """The replay buffer at its capacity, or with every row that the run can write, where that is less."""
    rows = stage.training.total_steps + stage.training.total_steps // 20 + 1  # an episode's end takes a row, too
    return min(stage.replay.capacity, rows) * row_bytes()


def estimate(plan: Plan) -> dict[str, float]:
    """Bytes of each part at the run's largest, on the learner's node."""
    stage, servers = plan.stage, plan.simulators_beside_learner
    workers = stage.simulators + 1  # all of them beside the learner
    kind = stage.simulator.kind
    server = SIMULATOR_MIB[kind] * MIB if kind != "carla" else stage.simulator.memory_limit_gib * GIB
    supervisors = 0 if kind == "external" else SUPERVISOR_MIB * MIB
    # In memory: the state and a gradient (5 of 4 bytes a parameter); while saving, a copy of it and the file's image.
    networks = 4 * 5 * network_parameters(stage.agent) + 2 * state_bytes(stage.agent) + SEGMENT_MIB * MIB
    return {
        "replay buffer": replay_bytes(stage),
        "networks, and saving them": networks,
        "batch": BATCH_MIB * MIB * stage.agent.batch_size,
        "learner's program": (PROGRAM_MIB + (CUDA_MIB if _on_gpu(plan) else 0)) * MIB,
        f"{servers} simulators": servers * (server + supervisors),
        f"{workers} workers": workers * WORKER_MIB * MIB,
    }


def _on_gpu(plan: Plan) -> bool:
    """Whether PyTorch will find a GPU: as the doctor measured, or as the profile asks."""
    if plan.stage.training.device == "cpu":
        return False
    if plan.doctor_result and plan.doctor_result.torch:
        return plan.doctor_result.torch.gpu is not None
    return plan.stage.training.device == "cuda" or plan.profile.gpu_request is not None


def check_memory(plan: Plan) -> str:
    """Replay buffer, networks, batch, simulators and workers against the job's memory."""
    parts = estimate(plan)
    needed = sum(parts.values())
    listed = ", ".join(f"{name} {_gib(size)}" for name, size in parts.items())
    available, whose = job_memory(plan)
    if available is None:
        raise NotLearnt(
            f"{_gib(needed)} GiB ({listed}); the profile asks for none, so the site decides",
            f"set memory_gib to {-(-needed // GIB):.0f} in {plan.profile_file} where the site gives less",
        )
    found = f"{_gib(needed)} GiB ({listed}) of {whose} {_gib(available)} GiB"
    if needed <= available:
        return found
    rows = int((available - needed + parts["replay buffer"]) / row_bytes() // 1000 * 1000)
    smaller = f", or lower replay.capacity to {rows}" if rows > stage_minimum(plan.stage) else ""
    wanted = -(-needed // GIB)
    if not plan.profile.queued:
        raise Mistake(found, f"run it on a machine with {wanted:.0f} GiB{smaller}")
    key, parts_of_it = _memory_key(plan.profile)
    amount = wanted / parts_of_it
    raise Mistake(found, f"raise {key} to {math.ceil(amount * 10) / 10:g} in {plan.profile_file}{smaller}")


def _memory_key(profile: ClusterConfig) -> tuple[str, int]:
    """The profile's key of the job's memory, and how many times it counts on a node."""
    if profile.mem_per_cpu is not None:
        return "mem_per_cpu", profile.cpus
    if profile.mem_per_gpu is not None:
        return "mem_per_gpu", profile.gpus_on_a_node or 1
    return "memory_gib", 1


def stage_minimum(stage: StageConfig) -> int:
    """Rows below which the configuration itself is refused."""
    return max(stage.agent.batch_size + 8, 2 * stage.checkpoint.every_steps)


def job_memory(plan: Plan) -> tuple[float | None, str]:
    """Bytes that the job may take, and whose they are; None where the site decides."""
    if plan.profile.queued:
        gib = plan.profile.memory_of_a_node_gib
        return (None if gib is None else gib * GIB), "the job's"
    return min(psutil.virtual_memory().total, _control_group_limit()), "this machine's"


def _control_group_limit(root: Path = Path("/")) -> float:
    """The least limit of the control groups that this process runs in (cgroups(7)); infinite without one."""
    limit = float("inf")
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for _, controllers, group in (line.split(":", 2) for line in [*lines, "0::/"]):
        top, name = root / "sys/fs/cgroup", "memory.max"
        if "memory" in controllers.split(","):  # version 1
            top, name = top / "memory", "memory.limit_in_bytes"
        elif controllers:
            continue
        own = top / group.lstrip("/")
        for folder in (own, *own.parents):
            with contextlib.suppress(OSError, ValueError):  # "max" where there is none
                limit = min(limit, float((folder / name).read_text(encoding="utf-8")))
            if folder == top:
                break
    return limit


def _gib(size: float) -> str:
    return f"{size / GIB:.1f}"
