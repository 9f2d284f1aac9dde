"""The agent on a CUDA device: the same promises as on a CPU."""

import numpy as np
import pytest
import torch

from td3_hpc.config import AgentConfig
from td3_hpc.td3 import TD3Agent
from tests.td3.batches import leaves, random_batch, random_observation

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def agent(seed: int, device: str, precision: str = "float32", dtype: torch.dtype = torch.float32) -> TD3Agent:
    return TD3Agent(AgentConfig.model_validate({"precision": precision}), device, seed, dtype)


def test_starts_from_the_same_weights_as_on_a_cpu():
    on_cpu, on_gpu = (agent(1, device).state() for device in ("cpu", "cuda"))
    for name in ("actor", "critic", "actor_target", "critic_target"):
        assert leaves(on_cpu[name]) == leaves(on_gpu[name])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_state_resumes_with_the_same_generators(precision):
    uninterrupted, resumed = agent(1, "cuda", precision), agent(2, "cuda", precision)
    for update in range(4):
        uninterrupted.update(random_batch(32, update))
    state = uninterrupted.state()
    resumed.load_state(state)
    assert leaves(resumed.state()) == leaves(state)
    stats = [learner.update(random_batch(32, 9)) for learner in (uninterrupted, resumed)]
    assert stats[0].smoothing_std == stats[1].smoothing_std
    assert stats[0].critic_loss == pytest.approx(stats[1].critic_loss, rel=1e-5)


def test_acts_as_on_a_cpu():
    observation = random_observation(1)
    on_cpu, on_gpu = (agent(1, device, dtype=torch.float64).act(observation) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(on_cpu, on_gpu, atol=1e-6)
