"""Adam (Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization"), by PyTorch's fused kernel.

`torch.optim.Adam` computes the same bytes; but to make one loads PyTorch's compiler, which is not used here and takes
as long as PyTorch itself, at every start of a job.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adam import adam

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
"""PyTorch's defaults, which are the paper's."""


@dataclass
class ParameterGroup:
    """Parameters that are stepped with one learning rate."""

    name: str
    parameters: list[Tensor]
    rate: float

    def gradients(self) -> list[Tensor]:
        """Of the parameters that have one."""
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]


class Moments:
    """What Adam keeps of a parameter: the means of its gradient and of its square, and how many it has seen."""

    def __init__(self, parameter: Tensor) -> None:
        self.step = torch.zeros((), dtype=torch.float32, device=parameter.device)
        self.exp_avg = torch.zeros_like(parameter)
        self.exp_avg_sq = torch.zeros_like(parameter)


class Adam:
    """Steps the parameters of its groups. All moments exist from the start, so that a state has the same entries at any
    time."""

    def __init__(self, groups: Iterable[ParameterGroup]) -> None:
        self.groups = list(groups)
        self.state = {parameter: Moments(parameter) for group in self.groups for parameter in group.parameters}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.state:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step against the gradients; a parameter without one stays."""
        for group in self.groups:
            stepped = [parameter for parameter in group.parameters if parameter.grad is not None]
            moments = [self.state[parameter] for parameter in stepped]
            adam(
                stepped,
                group.gradients(),
                [moment.exp_avg for moment in moments],
                [moment.exp_avg_sq for moment in moments],
                [],
                [moment.step for moment in moments],
                fused=True,
                amsgrad=False,
                beta1=_BETA1,
                beta2=_BETA2,
                lr=group.rate,
                weight_decay=0.0,
                eps=_EPSILON,
                maximize=False,
            )
