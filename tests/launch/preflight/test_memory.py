"""The estimate is made of real sizes, and bounds what real runs take; what does not fit is refused with the reason."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.memory import BATCHES, peaks
from td3_hpc.config import load_stage
from td3_hpc.errors import BadInput
from td3_hpc.launch.preflight.finding import Mistake, NotLearnt
from td3_hpc.launch.preflight.memory import (
    GIB,
    check_memory,
    estimate,
    network_parameters,
    replay_bytes,
    state_bytes,
)
from td3_hpc.launch.preflight.memory import _control_group_limit as control_group_limit
from td3_hpc.replay import ReplayBuffer
from td3_hpc.replay.rows import row_bytes
from td3_hpc.td3 import TD3Agent
from tests.launch.preflight.plans import plan, stage
from tests.paths import ROOT


@pytest.mark.parametrize("hidden", ["[256, 256]", "[8]", "[400, 300, 200]"])
def test_the_networks_are_counted_as_they_are(hidden: str) -> None:
    config = stage(f"agent.hidden={hidden}").agent
    agent = TD3Agent(config, "cpu", 1)

    counted = sum(p.numel() for network in (agent.actor, agent.critic) for p in network.parameters())

    assert network_parameters(config) == counted


def test_an_unknown_encoder_is_a_mistake_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^agent\.encoder: unknown encoder 'natur'; known: distances, nature"):
        check_memory(plan(tmp_path / "run", "agent.encoder=natur"))


def test_a_state_file_is_as_large_as_the_agents_state() -> None:
    config = stage().agent

    def nbytes(tree: object) -> int:
        if isinstance(tree, dict):
            return sum(nbytes(item) for item in tree.values())
        return tree.nbytes if isinstance(tree, np.ndarray) else 0

    agent = TD3Agent(config, "cpu", 1)

    assert nbytes(agent.state()) <= state_bytes(config) <= 1.05 * nbytes(agent.state())


def test_the_replay_buffer_counts_at_its_capacity_but_no_more_than_the_run_writes() -> None:
    small = stage("replay.capacity=3000", "training.total_steps=1e6")
    assert replay_bytes(small) == ReplayBuffer(3000, np.random.Generator(np.random.PCG64(1))).nbytes

    assert replay_bytes(stage("replay.capacity=1e6")) < 1100 * 8000


@pytest.mark.parametrize("simulators", [1, 4])
def test_every_simulator_and_its_worker_counts(tmp_path: Path, simulators: int) -> None:
    parts = estimate(plan(tmp_path / "run", f"simulators={simulators}", "replay.capacity=10_000"))

    assert f"{simulators + 1} simulators" in parts
    assert f"{simulators + 1} workers" in parts


def test_carla_counts_by_its_memory_limit(tmp_path: Path) -> None:
    carla = ("simulator.kind=carla", "simulator.carla_root=/carla", "simulator.memory_limit_gib=6")

    assert 12 * GIB <= estimate(plan(tmp_path / "run", *carla))["2 simulators"] < 13 * GIB


def test_a_job_too_small_for_the_1m_run_is_refused_with_what_would_do(tmp_path: Path) -> None:
    too_small = plan(
        tmp_path / "run", "replay.capacity=1e6", "training.total_steps=1e6", scheduler="slurm", memory_gib=6
    )

    with pytest.raises(Mistake, match=r"replay buffer [67]\.\d.* of the job's 6\.0 GiB") as caught:
        check_memory(too_small)

    assert "raise memory_gib to 9 in configs/clusters/here.yaml, or lower replay.capacity to " in caught.value.change
    capacity = caught.value.change.rpartition(" ")[2]
    check_memory(plan(tmp_path / "run", f"replay.capacity={capacity}", "training.total_steps=1e6", scheduler="slurm",
                      memory_gib=6))  # fmt: skip
    check_memory(plan(tmp_path / "run", "replay.capacity=1e6", "training.total_steps=1e6", scheduler="slurm",
                      memory_gib=9))  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ({"mem_per_cpu": 2, "cpus": 2}, "raise mem_per_cpu to 4.5 in"),
        ({"mem_per_gpu": 4, "gpus": 1}, "raise mem_per_gpu to 12 in"),
    ],
)
def test_memory_by_cpu_and_by_gpu_is_the_nodes_product(tmp_path: Path, settings: dict[str, int], change: str) -> None:
    million = ("replay.capacity=1e6", "training.total_steps=1e6")

    with pytest.raises(Mistake, match=r"of the job's 4\.0 GiB") as caught:
        check_memory(plan(tmp_path / "run", *million, scheduler="slurm", **settings))
    assert caught.value.change.startswith(change)


def test_memory_that_the_site_decides_is_a_note(tmp_path: Path) -> None:
    with pytest.raises(NotLearnt, match=r"1\.\d GiB .* the profile asks for none, so the site decides"):
        check_memory(plan(tmp_path / "run", scheduler="slurm"))


def test_without_slurm_this_machines_memory_counts(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="of this machine's"):
        check_memory(plan(tmp_path / "run", "replay.capacity=1e9", "training.total_steps=1e9"))


def test_the_1m_stage_fits_24_gib() -> None:
    one_million = load_stage(ROOT / "configs" / "stages" / "1m.yaml")

    needed = replay_bytes(one_million) + 2 * GIB

    assert replay_bytes(one_million) == 1_050_000 * row_bytes()
    assert needed < 24 * GIB


@pytest.mark.long
def test_the_estimate_bounds_what_a_real_run_takes(tmp_path: Path) -> None:
    batch = BATCHES[0]
    real = peaks(batch)
    pairs = 2 * (real["simulator"] + real["supervisor"] + real["worker"])

    estimated = sum(estimate(plan(tmp_path / "run", f"agent.batch_size={batch}", "replay.capacity=10_000")).values())

    assert real["learner"] + pairs <= estimated <= 2 * (real["learner"] + pairs), real


@pytest.mark.parametrize(
    ("said", "limits", "expected"),
    [
        ("0::/user.slice/job\n", {"user.slice/job/memory.max": "4096", "user.slice/memory.max": "max"}, 4096.0),
        ("0::/user.slice/job\n", {"user.slice/job/memory.max": "max", "user.slice/memory.max": "1024"}, 1024.0),
        ("0::/\n", {"memory.max": "2048"}, 2048.0),
        ("5:cpu,memory:/slurm/job_7\n0::/\n", {"memory/slurm/job_7/memory.limit_in_bytes": "512"}, 512.0),
        ("5:cpu:/slurm\n", {}, math.inf),
    ],
    ids=["own", "a parent's", "the container's", "version 1", "none"],
)
def test_the_least_limit_of_the_control_groups_counts(
    tmp_path: Path, said: str, limits: dict[str, str], expected: float
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(said)
    for name, text in limits.items():
        (tmp_path / "sys/fs/cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys/fs/cgroup" / name).write_text(f"{text}\n")

    assert control_group_limit(tmp_path) == expected
