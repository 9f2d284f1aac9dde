"""A policy loaded from an exported file: NumPy arrays in, an action out. Needs neither PyTorch nor CARLA."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from td3_hpc.errors import BadInput
from td3_hpc.export.description import Array, Description
from td3_hpc.export.onnx_file import read_onnx

FILE = "policy.onnx"


class Policy:
    """The deterministic policy.

    Attributes:
        description: how observations are made, what actions mean, where the policy is from.
    """

    def __init__(self, content: bytes, description: Description) -> None:
        """`content`: checked by `read_onnx`. One thread, so that the same observation gives the same bytes."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.description = description

    def act(self, observation: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """The action (2,) in [-1, 1] for one observation: an array for each of `description.observation`, by name.

        Raises ValueError for an array of another shape or type, and for one that is missing.
        """
        actions = self.actions({name: np.asarray(array)[None] for name, array in observation.items()})
        return np.asarray(actions[0])

    def actions(self, observations: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """The actions (n, 2) for n observations, whose arrays are (n, ...)."""
        inputs = {entry.name: _fitting(entry, observations) for entry in self.description.observation}
        (actions,) = self._session.run([self.description.action.name], inputs)
        return np.asarray(actions, np.float32)


def load(path: Path) -> Policy:
    """The policy of an exported file, or of the folder that `td3-hpc export` wrote. Raises BadInput in one line."""
    file = path / FILE if path.is_dir() else path
    content, description = read_onnx(file)
    try:
        return Policy(content, description)
    except Exception as error:  # onnxruntime's errors have no common class
        raise BadInput(f"{file}: cannot be run ({str(error).splitlines()[0]}); export the run again") from None


def _fitting(entry: Array, observations: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    if entry.name not in observations:
        raise ValueError(f"the observation lacks {entry.name}")
    array = np.asarray(observations[entry.name])
    if array.shape[1:] != entry.shape or array.dtype.name != entry.dtype:
        found = f"{array.dtype.name} of {array.shape[1:]}"
        raise ValueError(f"{entry.name} is {found}; the policy takes {entry.dtype} of {entry.shape}")
    return array
