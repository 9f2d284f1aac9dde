"""What the job sees of its node: GPUs, PyTorch, CPUs, scratch."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from td3_hpc.launch.doctor.context import Context
from td3_hpc.launch.doctor.result import Gpus, Scratch, StepCpus, Torch

TIMEOUT_S = 30
#: The device of AMD's driver for computing.
AMD_DRIVER = Path("/dev/kfd")


def measure_gpus(context: Context) -> Gpus:
    """The GPUs in the job: see below."""
    return look_for_gpus()


def look_for_gpus() -> Gpus:
    """What nvidia-smi lists here, which `apptainer --nv` brings in; AMD's GPUs where its driver is in its place."""
    if shutil.which("nvidia-smi") is None:
        return _amd_gpus() if AMD_DRIVER.exists() else Gpus(reason="no nvidia-smi in the job")
    rows, output = _nvidia_smi("name", "memory.total", "driver_version")
    if not rows:
        return Gpus(reason=f"nvidia-smi: {output}")
    return Gpus(names=[row[0] for row in rows], memory_mib=[int(row[1]) for row in rows], driver=rows[0][2])


def _amd_gpus() -> Gpus:
    """What a PyTorch for ROCm finds, since `apptainer --rocm` need not bring AMD's own tools. Never tried on one."""
    import torch

    if torch.version.hip is None:
        return Gpus(reason=f"AMD's driver, and PyTorch {torch.__version__}, which is not built for it")
    found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    if not found:
        return Gpus(reason=f"AMD's driver, and no GPU that PyTorch {torch.__version__} finds")
    return Gpus(names=[gpu.name for gpu in found], memory_mib=[gpu.total_memory >> 20 for gpu in found])


def used_gpu_mib() -> int | None:
    """GPU memory in use now, by anybody, on all GPUs that the job sees; None without one."""
    if shutil.which("nvidia-smi") is None:
        return None
    rows, _ = _nvidia_smi("memory.used")
    return sum(int(row[0]) for row in rows) if rows else None


def _nvidia_smi(*columns: str) -> tuple[list[list[str]], str]:
    """A row of the columns for each GPU, and what it printed where there is none."""
    query = ["nvidia-smi", f"--query-gpu={','.join(columns)}", "--format=csv,noheader,nounits"]
    result = subprocess.run(query, capture_output=True, text=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL)
    output = " ".join((result.stdout + result.stderr).split())[-200:]
    if result.returncode != 0:
        return [], output
    rows = [[field.strip() for field in line.split(",")] for line in result.stdout.splitlines()]
    return [row for row in rows if len(row) == len(columns)], output


def measure_torch(context: Context) -> Torch:
    """What PyTorch was built for, and what it finds."""
    return look_for_torch()


def look_for_torch() -> Torch:
    """What PyTorch here was built for, and what it finds."""
    import torch

    from td3_hpc.td3.kernels import computes_bfloat16

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    devices = ["cpu", "cuda"] if gpu else ["cpu"]
    bfloat16 = [device for device in devices if computes_bfloat16(torch.device(device))]
    built_for = torch.version
    return Torch(version=torch.__version__, cuda=built_for.cuda, rocm=built_for.hip, gpu=gpu, bfloat16=bfloat16)


def measure_step_cpus(context: Context) -> StepCpus:
    """The CPUs that this process may run on."""
    return StepCpus(affinity=len(os.sched_getaffinity(0)), quota=_quota(), machine=os.cpu_count() or 1)


def measure_scratch(context: Context) -> Scratch:
    """The folder for temporary files, which the job's script has put on the node's scratch."""
    folder = tempfile.gettempdir()
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"0" * 2**20)
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize / 2**30
    return Scratch(free_gib=free, memory=file_system_kind(Path(folder)) in ("tmpfs", "ramfs"))


def file_system_kind(path: Path) -> str:
    """The type of the file system that a path lies on, as the kernel calls it."""
    best, kind = -1, "unknown"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        mounted, _, described = line.partition(" - ")
        target = Path(mounted.split()[4].encode().decode("unicode_escape"))  # \040 is a space
        if path.resolve().is_relative_to(target) and len(target.parts) >= best:
            best, kind = len(target.parts), described.split()[0]
    return kind


def _quota() -> float | None:
    """CPUs that this process's control group allows, None without a limit there."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            limit = _read(Path("/sys/fs/cgroup") / group.lstrip("/") / "cpu.max")
            quota, period = limit[0] if limit else "max", float(limit[1]) if len(limit) > 1 else 1.0
        elif "cpu" in controllers.split(","):
            folder = Path("/sys/fs/cgroup/cpu") / group.lstrip("/")
            limit, periods = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
            quota, period = limit[0] if limit else "-1", float(periods[0]) if periods else 1.0
        else:
            continue
        if quota not in ("max", "-1"):
            return float(quota) / period
    return None


def _read(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []
