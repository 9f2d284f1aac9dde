"""The run as a checkpoint's tree. Everything outside `provenance` must be the same bytes after an interruption."""

import os
import platform
import socket
import sys
from collections.abc import Mapping
from typing import Any

import cv2
import gymnasium
import h5py
import numpy as np
import torch

import td3_hpc
from td3_hpc.behaviour import BEHAVIOUR, behaviour_difference
from td3_hpc.code import code_digest
from td3_hpc.driving.worker_handle import EpisodeLog
from td3_hpc.td3.kernels import before_there_was_a_choice, computes_bfloat16
from td3_hpc.training.env_slot import EnvSlot

#: What exactness rests on: with any of these different, a resumed run goes on, but not with the same bytes.
EXACTNESS_KEYS = (
    "behaviour",
    "processor",
    "accelerator",
    "threads",
    "kernels",
    "torch",
    "libraries",
    "numpy",
    "opencv",
    "carla",
    "td3_hpc",
)


def provenance(device: torch.device, threads: int, kernels: str) -> dict[str, Any]:
    """Where and with what this attempt computes."""
    return {
        "behaviour": BEHAVIOUR,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} {_cpu_model()}",
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else "none",
        "threads": threads,
        "kernels": kernels,
        "bfloat16": "computed" if computes_bfloat16(device) else "imitated",
        "torch": torch.__version__,
        "libraries": _libraries(device),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "carla": td3_hpc.CARLA_VERSION,
        "td3_hpc": td3_hpc.__version__,
        "code_sha256": code_digest(),
        "gymnasium": gymnasium.__version__,
        "h5py": h5py.version.version,
        "hdf5": h5py.version.hdf5_version,
        "python": sys.version.split()[0],
        "host": socket.gethostname(),
        "job": os.environ.get("SLURM_JOB_ID", ""),
    }


def differences(saved: Mapping[str, Any], now: Mapping[str, Any], precision: str) -> list[str]:
    """What exactness rests on and is not as it was, in words. A checkpoint without a behaviour number has the first."""
    kernels = before_there_was_a_choice(saved["accelerator"], precision)
    before = {"behaviour": 1, "kernels": kernels, **saved}
    changed = [key for key in EXACTNESS_KEYS if before.get(key) != now[key]]
    return [
        behaviour_difference(int(before[key]), now[key])
        if key == "behaviour"
        else f"{key} was {before.get(key)}, is {now[key]}"
        for key in changed
    ]


def slot_tree(slot: EnvSlot) -> dict[str, Any]:
    """An environment's decision in flight, the random action it holds, and its episode in progress: None between two
    episodes."""
    episode = slot.simulation.episode if slot.observation is not None else None
    return {
        "action_in_flight": slot.action,
        "held_action": slot.held,
        "held_for": slot.held_for,
        "standing": slot.standing,
        "episode": None
        if episode is None
        else {
            "index": slot.index,
            "seed": episode.seed,
            "actions": episode.actions,
            "checksums": episode.checksums,
            "first_step": slot.first_step,
        },
    }


def load_slot(slot: EnvSlot, tree: Mapping[str, Any]) -> EpisodeLog | None:
    """Restore a slot from `slot_tree`, all but its observation; returns the episode to rebuild for that, if any.

    A checkpoint written before these were held or counted has none of them.
    """
    slot.action = tree["action_in_flight"]
    slot.held, slot.held_for = tree.get("held_action"), int(tree.get("held_for", 0))
    slot.standing = int(tree.get("standing", 0))
    episode = tree["episode"]
    if episode is None:
        return None
    slot.index, slot.seed, slot.first_step = (int(episode[name]) for name in ("index", "seed", "first_step"))
    return EpisodeLog(slot.seed, None, episode["actions"], episode["checksums"])


def _libraries(device: torch.device) -> str:
    """The builds behind PyTorch that compute: oneDNN and BLAS, or CUDA and cuDNN."""
    if device.type == "cuda":
        return f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]
    lines = (line.strip(" -") for line in torch.__config__.show().splitlines())
    return ", ".join(line for line in lines if line.startswith(("Intel(R)", "OpenMP")))


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        return platform.processor()
