"""The device that a run computes on, and how."""

import ctypes
import os
from collections.abc import Mapping
from typing import Any

import cv2
import torch

from td3_hpc.config import StageConfig
from td3_hpc.errors import BadInput
from td3_hpc.td3 import kernels

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def choose_device(config: StageConfig) -> torch.device:
    """The device of the configuration, with everything set that exact repetition needs.

    Raises BadInput where CUDA is asked for and absent.
    """
    wanted = config.training.device
    if wanted == "cuda" and not torch.cuda.is_available():
        raise BadInput("training.device: cuda was asked for and PyTorch finds no CUDA device; set it to auto or cpu")
    torch.set_num_threads(config.training.threads)
    cv2.setNumThreads(config.training.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, cuBLAS is not reproducible
    torch.backends.cudnn.benchmark = False
    keep_memory()
    # As use_deterministic_algorithms(True), which loads PyTorch's compiler; see td3/adam.py.
    torch.set_deterministic_debug_mode("error")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def choose_kernels(config: StageConfig, device: torch.device, saved: Mapping[str, Any] | None) -> str:
    """How the CNN is computed (a name in `td3.kernels.KERNELS`), given the provenance of the run's checkpoint.

    A run keeps what it began with, so that another version's table does not change its bytes. Raises BadInput where
    the configuration asks for what the device cannot do.
    """
    precision, before = config.agent.precision, None
    if saved is not None:
        before = saved.get("kernels") or kernels.before_there_was_a_choice(saved["accelerator"], precision)
    return kernels.choose(config.training.kernels, before, device, precision, config.training.threads)


def check_precision(config: StageConfig, device: torch.device) -> None:
    """Raises BadInput for bfloat16 where the hardware does not compute it: imitated, it is many times slower."""
    if config.agent.precision == "bfloat16" and not kernels.computes_bfloat16(device):
        what = "GPU" if device.type == "cuda" else "processor (it needs avx512_bf16 or amx_bf16)"
        raise BadInput(
            f"agent.precision: bfloat16 is not computed by this {what}, and would be slower; set it to float32, or "
            "train where it is"
        )


def keep_memory() -> None:
    """Have the C library keep freed memory up to 512 MiB, and take blocks up to 32 MiB (the most it may) from there.

    By default it gives large blocks back at once: each update would have some 10,000 pages of activations and gradients
    zeroed by the kernel, a twentieth of its time (mallopt(3)). Without effect where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 512 << 20)
