"""The networks: an encoder on the camera's frames, and heads on its features and the rest of the observation."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from td3_hpc.config import AgentConfig
from td3_hpc.spaces import ACTION, IMAGE, OBSERVATION
from td3_hpc.td3.encoders import Encoder, encoder_named
from td3_hpc.td3.inputs import Tensors
from td3_hpc.td3.kernels import KERNELS, Kernels

JOINED = [entry for entry in OBSERVATION if not entry.stacked]
"""What the heads see as it is, beside the features."""


class MLP(nn.Module):
    """Linear layers with ReLU between them, none after the last."""

    def __init__(self, inputs: int, hidden: Sequence[int], outputs: int) -> None:
        super().__init__()
        sizes = [inputs, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.last = nn.Linear(sizes[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs)."""
        for layer in self.hidden:
            x = layer(x).relu_()
        return self.last(x)  # type: ignore[no-any-return]


class _Network(nn.Module):
    """An encoder of its own, and the state that its heads see of an observation."""

    def __init__(self, config: AgentConfig, kernels: Kernels) -> None:
        super().__init__()
        self.cnn = encoder_named(config.encoder)(config.precision == "bfloat16")
        self.cnn.kernels = kernels
        self.state_size = self.cnn.features + sum(entry.size for entry in JOINED)

    def state(self, observation: Tensors) -> Tensor:
        """(B, state_size): the features, then the other entries in their order."""
        return torch.cat([self.cnn(observation[IMAGE.name]), *(observation[e.name].flatten(1) for e in JOINED)], 1)


class ActorNetwork(_Network):
    """The policy pi(s)."""

    def __init__(self, config: AgentConfig, kernels: Kernels) -> None:
        super().__init__(config, kernels)
        self.head = MLP(self.state_size, config.hidden, ACTION.size)

    def forward(self, observation: Tensors) -> Tensor:
        """Actions (B, 2) in [-1, 1]."""
        return torch.tanh(self.unbounded(observation))

    def unbounded(self, observation: Tensors) -> Tensor:
        """The actions (B, 2) before their tanh."""
        return self.head(self.state(observation))  # type: ignore[no-any-return]


class TwinCriticNetwork(_Network):
    """Q1(s, a) and Q2(s, a): two heads on one encoder."""

    def __init__(self, config: AgentConfig, kernels: Kernels) -> None:
        super().__init__(config, kernels)
        inputs = self.state_size + ACTION.size
        self.q1 = MLP(inputs, config.hidden, 1)
        self.q2 = MLP(inputs, config.hidden, 1)

    def forward(self, observation: Tensors, action: Tensor) -> tuple[Tensor, Tensor]:
        """Q1 and Q2, each (B, 1)."""
        x = torch.cat([self.state(observation), action], 1)
        return self.q1(x), self.q2(x)


def make_networks(config: AgentConfig, kernels: Kernels = KERNELS["plain"]) -> tuple[ActorNetwork, TwinCriticNetwork]:
    """Actor and critic without storage, on PyTorch's meta device. Raises BadInput for an unknown encoder."""
    with torch.device("meta"):
        return ActorNetwork(config, kernels), TwinCriticNetwork(config, kernels)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights and biases from `generator` by PyTorch's default rule, uniform within 1 / sqrt(fan-in).

    Those of an encoder with `unit_weights` are uniform within sqrt(3), of standard deviation 1, and their biases zero.
    Norm layers begin with ones and zeros. Raises TypeError for a layer whose rule is not known here.
    """
    encoders = [module for module in network.modules() if isinstance(module, Encoder) and module.unit_weights]
    unit = {layer for encoder in encoders for layer in encoder.modules()}
    for layer in network.modules():
        parameters = list(layer.parameters(recurse=False))
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer in unit:
            nn.init.uniform_(layer.weight, -math.sqrt(3), math.sqrt(3), generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for parameter in parameters:
                nn.init.uniform_(parameter, -bound, bound, generator=generator)
        elif isinstance(layer, (nn.LayerNorm, nn.GroupNorm)):
            layer.reset_parameters()
        elif parameters:
            raise TypeError(f"initialise() knows no rule for {type(layer).__name__}; give it one")
