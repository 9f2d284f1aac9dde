"""What was measured on a node, judged: each fault by the figures it shows, and only where the stage minds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from td3_hpc.launch.preflight import Plan, nodes
from td3_hpc.launch.preflight.finding import Mistake, NotLearnt
from tests.launch.preflight.plans import MEASURED, doctor, plan

CARLA = ("simulator.kind=carla", "simulator.carla_root=/carla")
H100 = {"names": ["NVIDIA H100"], "memory_mib": [81559], "driver": "550.54.15"}
ICD = "no Vulkan driver: vkCreateInstance gives -9"


def judged(check: Callable[[Plan], str], run_dir: Path, *overrides: str, **measured: Any) -> str:
    return check(plan(run_dir, *overrides, result=doctor(**measured)))


def test_a_node_without_vulkan_is_a_mistake_for_carla_and_a_note_for_the_embedded_simulator(tmp_path: Path) -> None:
    none = {"vulkan": {"reason": ICD}}

    assert judged(nodes.check_vulkan, tmp_path, **none) == f"none ({ICD}); the embedded simulator needs none"
    with pytest.raises(Mistake, match=f"no Vulkan device on n1: {ICD}") as caught:
        judged(nodes.check_vulkan, tmp_path, *CARLA, **none)
    assert "container.gpu: nvidia" in caught.value.change


def test_software_rendering_is_not_taken_for_a_gpu(tmp_path: Path) -> None:
    software = {"vulkan": {"software": ["llvmpipe (LLVM 15)"]}}

    with pytest.raises(Mistake, match=r"only software rendering \(llvmpipe"):
        judged(nodes.check_vulkan, tmp_path, *CARLA, **software)
    assert judged(nodes.check_vulkan, tmp_path, *CARLA, vulkan={"devices": ["NVIDIA H100"]}) == "NVIDIA H100"


def test_a_gpu_is_missed_only_where_it_is_needed(tmp_path: Path) -> None:
    assert judged(nodes.check_gpu, tmp_path).startswith("none (no nvidia-smi in the job); not needed")
    with pytest.raises(Mistake, match="none: no nvidia-smi"):
        judged(nodes.check_gpu, tmp_path, "training.device=cuda")
    assert judged(nodes.check_gpu, tmp_path, gpus=H100) == "NVIDIA H100 with 80 GiB; driver 550.54.15"


def test_servers_and_learner_share_the_gpus_memory(tmp_path: Path) -> None:
    taken = {
        "gpus": {**H100, "memory_mib": [16384]},
        "simulation": {**MEASURED["simulation"], "gpu_mib": 4000},  # type: ignore[dict-item]
        "learning": {**MEASURED["learning"], "gpu_mib": 1000},  # type: ignore[dict-item]
    }

    assert judged(nodes.check_gpu_memory, tmp_path, **taken) == (
        "2 simulators of 4000 MiB, learner 1000 MiB, of 16384 MiB"
    )
    with pytest.raises(Mistake, match="5 simulators of 4000 MiB"):
        judged(nodes.check_gpu_memory, tmp_path, "simulators=4", **taken)
    assert judged(nodes.check_gpu_memory, tmp_path) == "no GPU to share"


def test_a_pytorch_for_amds_gpus_is_told_with_its_rocm(tmp_path: Path) -> None:
    torch = {"version": "2.13.0+rocm7.1", "cuda": None, "rocm": "7.1", "gpu": "AMD Instinct MI250X"}
    gpus = {"names": ["AMD Instinct MI250X"], "memory_mib": [65520]}

    told = "PyTorch 2.13.0+rocm7.1 for ROCm 7.1, on AMD Instinct MI250X"
    assert judged(nodes.check_torch, tmp_path, gpus=gpus, torch=torch) == told
    assert judged(nodes.check_gpu, tmp_path, gpus=gpus) == "AMD Instinct MI250X with 64 GiB"
    with pytest.raises(Mistake, match=r"for ROCm 7\.1; it sees no GPU"):
        judged(nodes.check_torch, tmp_path, gpus=gpus, torch={**torch, "gpu": None})


@pytest.mark.parametrize(
    ("torch", "found"),
    [
        ({"version": "2.13.0", "cuda": None, "gpu": None}, "for CPUs, but there is a GPU to train on"),
        ({"version": "2.13.0", "cuda": "13.0", "gpu": None}, r"the driver 550\.54\.15 is older than 580\.65"),
        ({"version": "2.13.0", "cuda": "12.6", "gpu": None}, "it sees no GPU"),
    ],
)
def test_a_driver_that_pytorch_cannot_use_is_a_mistake(tmp_path: Path, torch: dict, found: str) -> None:
    with pytest.raises(Mistake, match=found):
        judged(nodes.check_torch, tmp_path, gpus=H100, torch=torch)
    assert judged(nodes.check_torch, tmp_path, "training.device=cpu", gpus=H100, torch=torch).endswith("on the CPU")


@pytest.mark.parametrize(
    ("cpus", "fits"),
    [
        ({"affinity": 4, "quota": None, "machine": 64}, True),
        ({"affinity": 1, "quota": None, "machine": 64}, False),
        ({"affinity": 64, "quota": 1.0, "machine": 64}, False),
        ({"affinity": 64, "quota": 4.0, "machine": 64}, True),
        ({"affinity": 2, "quota": None, "machine": 2}, True),  # a profile that asks for more than there is
    ],
)
def test_a_step_gets_the_jobs_cpus(tmp_path: Path, cpus: dict, fits: bool) -> None:
    if fits:
        assert "of 4 asked for" in judged(nodes.check_step_cpus, tmp_path, step_cpus=cpus)
        return
    with pytest.raises(Mistake, match="1 of 4 asked for") as caught:
        judged(nodes.check_step_cpus, tmp_path, step_cpus=cpus)
    assert "--cpus-per-task" in caught.value.change


def test_signals_that_do_not_arrive_or_kill(tmp_path: Path) -> None:
    assert judged(nodes.check_usr1, tmp_path) == "arrived after 0.1 s"
    with pytest.raises(Mistake, match="SIGUSR1 was sent and never arrived"):
        judged(nodes.check_usr1, tmp_path, usr1={"arrived": False})
    with pytest.raises(Mistake, match="SIGTERM ended the job's step before the trainer could save"):
        judged(nodes.check_term, tmp_path, term={"arrived": False, "killed": True})


def test_a_job_that_is_not_started_again_is_told_of_the_chain(tmp_path: Path) -> None:
    failed = doctor(restart={"restarted": False, "reason": "Slurm does not requeue it"})

    with pytest.raises(Mistake, match="was not started again: Slurm does not requeue it") as caught:
        nodes.check_restart(plan(tmp_path, result=failed, scheduler="slurm"))
    assert caught.value.change == "set requeue: chain in configs/clusters/here.yaml"
    assert judged(nodes.check_restart, tmp_path) == "started again 7 s later"


@pytest.mark.parametrize(("part", "word"), [("rename", "rename"), ("exclusive_link", "exclusive_link")])
def test_a_file_system_without_what_checkpoints_rest_on(tmp_path: Path, part: str, word: str) -> None:
    with pytest.raises(Mistake, match=f"without a working {word}"):
        judged(nodes.check_files, tmp_path, files={**MEASURED["files"], part: False})  # type: ignore[dict-item]
    assert "flock does not (not needed)" in judged(
        nodes.check_files,
        tmp_path,
        files={**MEASURED["files"], "flock": False},  # type: ignore[dict-item]
    )


def test_a_black_frame_is_a_mistake(tmp_path: Path) -> None:
    black = {**MEASURED["simulation"], "frame_values": 1}  # type: ignore[dict-item]

    with pytest.raises(Mistake, match="camera frame of 84 x 84 is all one colour"):
        judged(nodes.check_frame, tmp_path, simulation=black)
    assert "60 grey values" in judged(nodes.check_frame, tmp_path)


def test_scratch_in_memory_is_said_and_a_full_one_refused(tmp_path: Path) -> None:
    assert "counts as the job's memory" in judged(
        nodes.check_scratch, tmp_path, scratch={"free_gib": 9, "memory": True}
    )
    with pytest.raises(Mistake, match=r"0\.1 GiB free"):
        judged(nodes.check_scratch, tmp_path, scratch={"free_gib": 0.1, "memory": False})


def test_what_could_not_be_measured_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotLearnt, match="the job ended in the middle of it"):
        judged(nodes.check_rate, tmp_path, learning=None, errors={"learning": "the job ended in the middle of it"})


def test_measurements_of_another_image_are_not_taken_for_this_ones(tmp_path: Path) -> None:
    assert judged(nodes.check_doctor, tmp_path) == "measured 0 s ago on n1"
    with pytest.raises(NotLearnt, match=r"on n1, with /old\.sif instead of none") as caught:
        judged(nodes.check_doctor, tmp_path, image="/old.sif")
    assert caught.value.change == "run `td3-hpc doctor --cluster here`"


def test_bfloat16_is_a_mistake_where_the_node_does_not_compute_it(tmp_path: Path) -> None:
    bfloat16 = "agent.precision=bfloat16"
    torch = {"version": "2.13.0", "cuda": None, "gpu": None}

    with pytest.raises(Mistake, match="bfloat16, which the processor does not compute") as caught:
        judged(nodes.check_torch, tmp_path, bfloat16, torch={**torch, "bfloat16": []})
    assert caught.value.change.startswith("set agent.precision: float32")
    assert judged(nodes.check_torch, tmp_path, bfloat16, torch={**torch, "bfloat16": ["cpu"]}).endswith("on the CPU")
    assert judged(nodes.check_torch, tmp_path, bfloat16, torch=torch).endswith("on the CPU"), "not measured"
    assert judged(nodes.check_torch, tmp_path, torch={**torch, "bfloat16": []}).endswith("on the CPU")
