"""A loaded policy: without PyTorch and CARLA, the same for the same observation, and strict about what it is given."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import td3_hpc
from td3_hpc.errors import BadInput
from td3_hpc.export.policy import load
from td3_hpc.spaces import random_observation

ALONE = """
import sys
import numpy as np
import td3_hpc
policy = td3_hpc.load_policy(sys.argv[1])
action = policy.act({entry.name: np.zeros(entry.shape, entry.dtype) for entry in policy.description.observation})
loaded = {name.partition(".")[0] for name in sys.modules} & {"torch", "carla", "h5py", "gymnasium", "cv2"}
print(action.shape, sorted(loaded))
"""


def test_it_needs_neither_torch_nor_carla(exported: Path):
    done = subprocess.run([sys.executable, "-c", ALONE, str(exported)], capture_output=True, text=True, timeout=120)
    assert done.stdout == "(2,) []\n", done.stdout + done.stderr


def test_folder_and_file_are_the_same_policy(exported: Path):
    observation = random_observation(np.random.default_rng(0))
    folder, file = td3_hpc.load_policy(exported), td3_hpc.load_policy(str(exported / "policy.onnx"))
    assert (folder.act(observation) == file.act(observation)).all()


def test_one_observation_and_many_are_the_same(exported: Path):
    policy, generator = load(exported), np.random.default_rng(1)
    observations = [random_observation(generator) for _ in range(5)]
    many = policy.actions({name: np.stack([one[name] for one in observations]) for name in observations[0]})
    assert np.abs(many - np.stack([policy.act(one) for one in observations])).max() < 1e-6
    assert np.abs(many).max() <= 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((4, 84, 84), np.float32)}, "image is float32"),
        ({"vector": np.zeros(50, np.float32)}, "the policy takes float32 of"),
        ({"vector": None}, "lacks vector"),
    ],
)
def test_another_observation_is_refused(exported: Path, change, message: str):
    observation = {**random_observation(np.random.default_rng(0)), **change}
    with pytest.raises(ValueError, match=message):
        load(exported).act({name: array for name, array in observation.items() if array is not None})


def test_a_folder_without_a_policy_is_told(tmp_path: Path):
    with pytest.raises(BadInput, match=r"policy\.onnx: cannot be read"):
        td3_hpc.load_policy(tmp_path)
