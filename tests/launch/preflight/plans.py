"""Plans to check, and results of a doctor to judge, with changes by dotted keys."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from td3_hpc.config import StageConfig, apply_overrides
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.doctor.result import DoctorResult
from td3_hpc.launch.preflight import Plan

STAGE = {
    "name": "try",
    "training": {"total_steps": 1000, "learning_starts": 500},
    "environment": {"traffic": {"port": 0, "evaluation_port": 0}},
}
MEASURED = {
    "node": "n1",
    "job": "7",
    "simulator": "embedded",
    "town": "Brookfield",
    "cpus_asked": 4,
    "gpus": {"reason": "no nvidia-smi in the job"},
    "vulkan": {"reason": "no Vulkan loader (libvulkan.so.1) in the job"},
    "torch": {"version": "2.13.0", "cuda": None, "gpu": None},
    "step_cpus": {"affinity": 4, "quota": None, "machine": 8},
    "files": {
        "kind": "nfs4",
        "rename": True,
        "exclusive_link": True,
        "flock": True,
        "fsyncs_per_s": 80.0,
        "write_mib_per_s": 300.0,
    },
    "scratch": {"free_gib": 100.0, "memory": False},
    "simulation": {"version": "0.9.16", "ready_s": 4.0, "frame": [84, 84], "frame_values": 60, "steps_per_s": 50.0},
    "learning": {"device": "cpu", "batch_size": 256, "updates_per_s": 4.0, "steps_per_s": 4.0},
    "saving": {"seconds": 2.0, "bytes": 150_000_000},
    "usr1": {"arrived": True, "seconds": 0.1},
    "term": {"arrived": True, "seconds": 0.1},
    "restart": {"restarted": True, "seconds": 7.0},
}


def stage(*overrides: str) -> StageConfig:
    """A stage of 1000 steps, changed by `section.key=value`."""
    return StageConfig.model_validate(apply_overrides(STAGE, overrides))


def profile(**settings: Any) -> ClusterConfig:
    """A local profile, unless changed."""
    return ClusterConfig.model_validate({"scheduler": "local", **settings})


def doctor(**changes: Any) -> DoctorResult:
    """What a doctor measured on a good node, with other parts in place."""
    written = datetime.now(timezone.utc).isoformat()
    return DoctorResult.model_validate({**MEASURED, "cluster": "here", "written": written, **changes})


def plan(run_dir: Path, *overrides: str, result: DoctorResult | None = None, rate: float | None = None,
         **settings: Any) -> Plan:  # fmt: skip
    """A plan for a run directory; `result` None: the doctor was never run."""
    settings.setdefault("runs", run_dir.parent)
    return Plan("here", profile(**settings), run_dir, stage(*overrides), rate, result)
