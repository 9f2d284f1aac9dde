"""TD3 with per-group learning rates and clipping, written out from the papers in float64, sharing no code with ours.

Networks are functions of dictionaries of parameters; Adam is Kingma and Ba's algorithm 1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

Parameters = dict[str, Tensor]


def features(p: Parameters, image: Tensor) -> Tensor:
    """Those of the encoder `nature`."""
    return torch.clamp(_last_layer(p, image), min=0)


def steady_features(p: Parameters, image: Tensor) -> Tensor:
    """Those of the encoder `steady`: what is stored times sqrt(2 / fan-in), each picture's features normalised."""
    scaled = {name: p[name] * (2 / p[name.replace("bias", "weight")][0].numel()) ** 0.5 for name in p if "cnn." in name}
    x = _last_layer(scaled, image)
    centred = x - x.mean(1, keepdim=True)
    return 0.02 * centred / torch.sqrt((centred**2).mean(1, keepdim=True) + 1e-5)


FEATURES = {"nature": features, "steady": steady_features}


def _last_layer(p: Parameters, image: Tensor) -> Tensor:
    x = image.double() / 127.5 - 1
    x = torch.clamp(F.conv2d(x, p["cnn.conv1.weight"], p["cnn.conv1.bias"], stride=4), min=0)
    x = torch.clamp(F.conv2d(x, p["cnn.conv2.weight"], p["cnn.conv2.bias"], stride=2), min=0)
    x = torch.clamp(F.conv2d(x, p["cnn.conv3.weight"], p["cnn.conv3.bias"]), min=0)
    return x.permute(0, 2, 3, 1).reshape(len(x), -1) @ p["cnn.linear.weight"].T + p["cnn.linear.bias"]


def mlp(p: Parameters, name: str, x: Tensor) -> Tensor:
    for layer in (0, 1):
        x = torch.clamp(x @ p[f"{name}.hidden.{layer}.weight"].T + p[f"{name}.hidden.{layer}.bias"], min=0)
    return x @ p[f"{name}.last.weight"].T + p[f"{name}.last.bias"]


def policy(p: Parameters, image: Tensor, vector: Tensor, encoder: str) -> Tensor:
    return torch.tanh(mlp(p, "head", torch.cat([FEATURES[encoder](p, image), vector], 1)))


def q(p: Parameters, name: str, image: Tensor, vector: Tensor, action: Tensor, encoder: str) -> Tensor:
    return mlp(p, name, torch.cat([FEATURES[encoder](p, image), vector, action], 1))[:, 0]


def saturation_penalty(action: Tensor, value_of: Callable[[Tensor], Tensor]) -> Tensor:
    """Per component half the mean squared distance from rest before tanh, times the value's mean absolute slope."""
    given = action.detach().requires_grad_()
    slopes = torch.autograd.grad(value_of(given).sum(), given)[0].abs().mean(0)
    return sum(0.5 * ((torch.atanh(action[:, i]) - rest) ** 2).mean() * slopes[i] for i, rest in enumerate((0.0, 0.15)))


@dataclass
class Adam:
    """Adam with bias correction, one learning rate and clipping norm per group of parameters (by name prefix)."""

    groups: dict[str, tuple[float, float]]
    moments: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    steps: int = 0

    def step(self, p: Parameters, gradients: Parameters) -> None:
        self.steps += 1
        for prefixes, (rate, limit) in self.groups.items():
            names = [name for name in p if name.startswith(tuple(prefixes.split()))]
            norm = torch.sqrt(sum((gradients[name] ** 2).sum() for name in names))
            for name in names:
                g = gradients[name] * min(1.0, limit / (norm.item() + 1e-6))
                m, v = self.moments.get(name, (torch.zeros_like(g), torch.zeros_like(g)))
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
                self.moments[name] = m, v
                m_hat, v_hat = m / (1 - 0.9**self.steps), v / (1 - 0.999**self.steps)
                p[name] = p[name] - rate * m_hat / (torch.sqrt(v_hat) + 1e-8)


def gradients_of(loss: Tensor, p: Parameters) -> Parameters:
    return dict(zip(p, torch.autograd.grad(loss, list(p.values()))))


def with_gradients(p: Parameters) -> Parameters:
    return {name: tensor.detach().requires_grad_() for name, tensor in p.items()}


def moved(target: Parameters, online: Parameters, tau: float) -> Parameters:
    return {name: (1 - tau) * target[name] + tau * online[name].detach() for name in target}
