"""The optimizer: PyTorch's Adam, without what it loads."""

import subprocess
import sys
from pathlib import Path

import torch

from td3_hpc.td3.adam import Adam, ParameterGroup

SHAPES = ((64, 3), (64,), (2, 64))
WITHOUT_COMPILER = """
import sys
from benchmarks.transitions import fill_ours
from td3_hpc.config import StageConfig
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.device import choose_device
from tests.small_stage import SMALL
config = StageConfig.model_validate(SMALL)
agent = TD3Agent(config.agent, choose_device(config), seed=1)
for _ in range(2):
    agent.update(fill_ours(20).sample(2))
agent.load_state(agent.state())
print("torch._dynamo" in sys.modules)
"""


def parameters(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in SHAPES]


def test_a_step_has_the_bytes_of_pytorchs_adam():
    ours, theirs = parameters(1), parameters(1)
    mine = Adam([ParameterGroup("a", ours[:2], 1e-3), ParameterGroup("b", ours[2:], 1e-2)])
    peer = torch.optim.Adam([{"params": theirs[:2], "lr": 1e-3}, {"params": theirs[2:], "lr": 1e-2}], fused=True)
    for step in range(5):
        for count, (one, other) in enumerate(zip(ours, theirs)):
            if step > 0 or count != 1:  # one parameter has no gradient at first
                gradient = torch.randn(one.shape, generator=torch.Generator().manual_seed(10 * step + count))
                one.grad, other.grad = gradient.clone(), gradient.clone()
        mine.step()
        peer.step()
        mine.zero_grad()
        peer.zero_grad()
        for one, other in zip(ours, theirs):
            assert torch.equal(one, other)
            assert one.grad is None
    for one, other in zip(ours, theirs):
        kept, moments = peer.state[other], mine.state[one]
        assert torch.equal(moments.exp_avg, kept["exp_avg"])
        assert torch.equal(moments.exp_avg_sq, kept["exp_avg_sq"])
        assert moments.step == kept["step"]


def test_the_rate_of_a_group_may_change_between_steps():
    (weight,) = parameters(1)[:1]
    before = weight.detach().clone()
    optimizer = Adam([ParameterGroup("a", [weight], 0.0)])
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert torch.equal(weight, before)
    optimizer.groups[0].rate = 0.5
    optimizer.step()
    assert torch.allclose(weight, before - 0.5)


def test_pytorchs_compiler_is_not_loaded():
    """It takes as long as PyTorch itself, at every start of a job."""
    command, root = [sys.executable, "-c", WITHOUT_COMPILER], Path(__file__).parents[2]
    told = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
    assert told.stdout == "False\n", "something in an update loads torch._dynamo"
