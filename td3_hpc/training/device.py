"""The device that a run computes on."""

import os

import cv2
import torch

from td3_hpc.config import StageConfig
from td3_hpc.errors import BadInput


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
    torch.use_deterministic_algorithms(True)
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")
