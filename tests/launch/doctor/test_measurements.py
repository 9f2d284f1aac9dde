"""Measurements of this very machine, against what the system itself says."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from td3_hpc.launch.doctor import node
from td3_hpc.launch.doctor.context import Context
from td3_hpc.launch.doctor.files import measure_files
from td3_hpc.launch.doctor.measurements import MEASUREMENTS
from td3_hpc.launch.doctor.node import (
    file_system_kind,
    look_for_gpus,
    measure_gpus,
    measure_scratch,
    measure_torch,
    used_gpu_mib,
)
from td3_hpc.launch.doctor.result import DoctorResult
from td3_hpc.launch.doctor.training import measure_saving
from td3_hpc.launch.doctor.vulkan import measure_vulkan
from tests.launch.preflight.plans import stage


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    context = Context(stage(), tmp_path)
    yield context
    context.close()


def test_every_measurement_has_its_place_in_the_result() -> None:
    assert set(MEASUREMENTS) <= set(DoctorResult.model_fields)


def test_cpus_are_those_that_the_process_may_run_on() -> None:
    allowed = sorted(os.sched_getaffinity(0))[:1]
    program = "from td3_hpc.launch.doctor.node import measure_step_cpus; print(measure_step_cpus(None).usable)"
    command = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {allowed}); {program}"]

    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.skipif(not os.access("/sys/fs/cgroup/cpu/tasks", os.W_OK), reason="no cgroup v1 to make a limit in")
def test_a_limit_of_the_control_group_is_seen() -> None:
    group = Path(f"/sys/fs/cgroup/cpu/td3-hpc-test-{os.getpid()}")
    group.mkdir()
    program = "from td3_hpc.launch.doctor.node import measure_step_cpus; print(measure_step_cpus(None).quota)"
    try:
        (group / "cpu.cfs_quota_us").write_text("150000")
        (group / "cpu.cfs_period_us").write_text("100000")
        join = f"echo $$ > {group}/tasks; exec {sys.executable} -c '{program}'"
        assert subprocess.run(["sh", "-c", join], capture_output=True, text=True, check=True).stdout == "1.5\n"
    finally:
        group.rmdir()


def test_the_file_system_is_tried_and_left_clean(context: Context) -> None:
    files = measure_files(context)

    assert files.rename
    assert files.exclusive_link
    assert files.flock
    assert files.fsyncs_per_s > 0
    assert files.write_mib_per_s > 0
    assert (
        files.kind
        == subprocess.run(
            ["findmnt", "-n", "-o", "FSTYPE", "-T", str(context.run_dir)], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    assert list(context.run_dir.iterdir()) == []


def test_the_kind_of_a_mounted_file_system() -> None:
    assert file_system_kind(Path("/proc/self")) == "proc"
    assert file_system_kind(Path("/dev/shm")) == "tmpfs"


def test_scratch_is_where_temporary_files_go(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/dev/shm")

    scratch = measure_scratch(context)

    assert scratch.memory
    assert scratch.free_gib == pytest.approx(shutil.disk_usage("/dev/shm").free / 2**30, abs=0.5)


def test_a_machine_without_nvidia_or_vulkan_says_so(context: Context) -> None:
    if shutil.which("nvidia-smi"):
        assert measure_gpus(context).names
    else:
        assert measure_gpus(context).reason == "no nvidia-smi in the job"
    vulkan = measure_vulkan(context)
    assert bool(vulkan.reason) != bool(vulkan.devices or vulkan.software)


def test_pytorch_is_told_with_its_cuda(context: Context) -> None:
    import torch

    found = measure_torch(context)

    assert (found.version, found.cuda) == (torch.__version__, torch.version.cuda)
    assert bool(found.gpu) == torch.cuda.is_available()


def test_a_checkpoint_of_full_size_is_written_and_removed(context: Context) -> None:
    saving = measure_saving(context)

    assert saving.bytes > 130 * 10**6  # the state and a full segment of rows
    assert saving.seconds > 0
    assert list(context.run_dir.iterdir()) == []


@pytest.mark.skipif(torch.version.hip is not None, reason="this PyTorch is built for AMD's GPUs")
def test_amds_driver_with_a_pytorch_of_another_build_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(node, "AMD_DRIVER", tmp_path)

    assert look_for_gpus().reason == f"AMD's driver, and PyTorch {torch.__version__}, which is not built for it"


def test_nvidia_smis_table_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"  # prints as NVIDIA's does with these options
    program.write_text(
        "#!/bin/sh\ncase $1 in *memory.used*) printf '1200\\n300\\n' ;; "
        "*) printf 'NVIDIA H100 80GB HBM3, 81559, 550.54.15\\nNVIDIA H100 80GB HBM3, 81559, 550.54.15\\n' ;; esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    gpus = look_for_gpus()

    assert gpus.names == ["NVIDIA H100 80GB HBM3"] * 2
    assert gpus.memory_mib == [81559, 81559]
    assert gpus.driver == "550.54.15"
    assert used_gpu_mib() == 1500
    program.write_text(
        "#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate with the driver'\nexit 9\n"
    )
    assert "could not communicate" in look_for_gpus().reason
    assert used_gpu_mib() is None
