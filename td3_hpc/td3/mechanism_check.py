"""TD3's three mechanisms, checked on an update that the run has really made.

What the update computed is computed again from copies, by plain code that shares nothing with the agent's: the formulas
of the paper, the heads from their raw parameters, the noise drawn from a copy of the generator. Only the encoders are
taken as they are, as copies of the agent's own: TD3 prescribes nothing of them. The agent and its generators are only
read.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from td3_hpc.replay import Batch
from td3_hpc.spaces import IMAGE, OBSERVATION
from td3_hpc.td3.agent import TD3Agent
from td3_hpc.td3.kernels import KERNELS
from td3_hpc.td3.stats import UpdateStats

ROWS = 32
"""Transitions of the batch, its first ones, whose targets are computed again."""
TOLERANCE = {"float32": 2e-3, "bfloat16": 2e-2}
"""Largest error of a target, as a share of the largest |Q'| among them, by the configured precision: rounding alone
(TF32 on GPUs included). A maximum in place of the minimum, or no smoothing noise, is far beyond."""
MOVE_TOLERANCE = 1e-5
"""Largest error of a target network's parameter, of the largest one of its tensor."""

Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class MechanismCheck:
    """One update as it was, against what TD3 prescribes."""

    update: int
    target_max_error: float
    """Of y = r + discount (1 - terminated) min(Q1', Q2') over `ROWS` transitions, as a share of the largest |Q'|."""
    target_tolerance: float
    minimum_share: float
    """Mean distance of Q1' and Q2' as a share of the largest |Q'|: how much it matters that the minimum is taken."""
    smoothing_max: float
    """Largest absolute noise on the target policy's actions; at most `noise_clip`."""
    smoothing_expected_max: float
    """The same, drawn anew from a copy of the generator."""
    noise_clip: float
    actor_updated: bool
    """Whether the actor's parameters have changed."""
    expected_actor_update: bool
    """Whether this is a `policy_freq`-th update."""
    actor_updates: int
    expected_actor_updates: int
    """ActorNetwork updates so far, and update / policy_freq."""
    targets_moved: bool
    """Whether a target network's parameter has changed."""
    target_move_max_error: float
    """Of target + tau (online - target), of the largest parameter of its tensor."""

    def faults(self) -> list[str]:
        """What is not as TD3 prescribes, in words."""
        found = []
        if not self.target_max_error <= self.target_tolerance:
            found.append(
                f"a target differs from r + discount (1 - terminated) min(Q1', Q2') by {self.target_max_error:.2g} of "
                "the largest |Q'|"
            )
        slack = 1e-6
        if not self.smoothing_max <= self.noise_clip + slack:
            found.append(f"smoothing noise of {self.smoothing_max:g} is beyond noise_clip ({self.noise_clip:g})")
        if not abs(self.smoothing_max - self.smoothing_expected_max) <= slack:
            found.append(f"smoothing noise reaches {self.smoothing_max:g}, expected {self.smoothing_expected_max:g}")
        if self.actor_updated != self.expected_actor_update:
            found.append("the actor was updated out of turn" if self.actor_updated else "an actor update is missing")
        if self.actor_updates != self.expected_actor_updates:
            found.append(f"{self.actor_updates} actor updates so far, expected {self.expected_actor_updates}")
        if self.targets_moved != self.expected_actor_update:
            found.append("the targets moved out of turn" if self.targets_moved else "the targets did not move")
        if not self.target_move_max_error <= MOVE_TOLERANCE:
            found.append(f"the targets did not move by tau: error {self.target_move_max_error:.2g}")
        return found


class MechanismProbe:
    """Made just before an update, from what the update is going to use; `check` is called after it."""

    def __init__(self, agent: TD3Agent, batch: Batch) -> None:
        self._agent = agent
        self._actor = _copies(agent.actor)
        self._actor_target, self._critic_target = _copies(agent.actor_target), _copies(agent.critic_target)
        self._encoders = copy.deepcopy(agent.actor_target.cnn), copy.deepcopy(agent.critic_target.cnn)
        for encoder in self._encoders:
            encoder.kernels = KERNELS["plain"]
        with torch.no_grad():
            self._expect(batch)

    def _expect(self, batch: Batch) -> None:
        """The noise of the batch, and the targets of its first transitions."""
        agent, config = self._agent, self._agent.config
        kind = agent.actor.head.last.weight
        next_observation = batch.next_observation
        reward, terminated, *entries = (
            torch.from_numpy(array[:ROWS]).to(kind.device, kind.dtype)
            for array in (batch.reward, batch.terminated, *(next_observation[entry.name] for entry in OBSERVATION))
        )
        generator = torch.Generator(kind.device)
        generator.set_state(agent.smoothing_state())
        noise = torch.empty(batch.action.shape, dtype=kind.dtype, device=kind.device)
        noise = noise.normal_(0, 1, generator=generator) * config.policy_noise
        noise = torch.minimum(noise.abs(), torch.full_like(noise, config.noise_clip)) * noise.sign()
        seen_by_actor, seen_by_critic = (_state(encoder, entries) for encoder in self._encoders)
        action = torch.tanh(_head(self._actor_target, "head", seen_by_actor))
        next_action = torch.clamp(action + noise[:ROWS], -1.0, 1.0)
        x = torch.cat([seen_by_critic, next_action], 1)
        q1, q2 = (_head(self._critic_target, name, x)[:, 0] for name in ("q1", "q2"))
        smaller = torch.where(q1 < q2, q1, q2)
        future = torch.where(terminated > 0.5, torch.zeros_like(smaller), smaller)
        self._targets = reward + config.discount * future
        self._largest_q = float(torch.maximum(q1.abs(), q2.abs()).max())
        self._twin_distance = float((q1 - q2).abs().mean())
        self._largest_noise = float(noise.abs().max())

    def check(self, stats: UpdateStats) -> MechanismCheck:
        """Compare with what the update did; `stats` are that update's."""
        agent, config = self._agent, self._agent.config
        error = float((agent.targets.flatten()[:ROWS] - self._targets).abs().max())
        # Rounding of the reward itself counts where Q' is still tiny beside it.
        scale = max(self._largest_q, 1e-3 * float(self._targets.abs().max()), 1e-30)
        due = stats.update % config.policy_freq == 0
        moves = [
            _move_error(before, target, online, config.tau if due else 0.0)
            for before, target, online in (
                (self._actor_target, agent.actor_target, agent.actor),
                (self._critic_target, agent.critic_target, agent.critic),
            )
        ]
        return MechanismCheck(
            update=stats.update,
            target_max_error=error / scale,
            target_tolerance=TOLERANCE[config.precision],
            minimum_share=self._twin_distance / scale,
            smoothing_max=stats.smoothing_abs_max,
            smoothing_expected_max=self._largest_noise,
            noise_clip=config.noise_clip,
            actor_updated=_changed(self._actor, agent.actor),
            expected_actor_update=due,
            actor_updates=agent.actor_updates,
            expected_actor_updates=stats.update // config.policy_freq,
            targets_moved=_changed(self._actor_target, agent.actor_target)
            or _changed(self._critic_target, agent.critic_target),
            target_move_max_error=max(moves),
        )


def _copies(network: nn.Module) -> Parameters:
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def _changed(before: Parameters, network: nn.Module) -> bool:
    return any(not torch.equal(before[name], parameter) for name, parameter in network.named_parameters())


@torch.no_grad()
def _move_error(before: Parameters, target: nn.Module, online: nn.Module, tau: float) -> float:
    worst = 0.0
    online_parameters = dict(online.named_parameters())
    for name, moved in target.named_parameters():
        expected = before[name] * (1.0 - tau) + online_parameters[name] * tau
        scale = max(float(expected.abs().max()), 1e-30)
        worst = max(worst, float((moved - expected).abs().max()) / scale)
    return worst


def _state(encoder: nn.Module, entries: list[Tensor]) -> Tensor:
    """What the heads see (B, n) of the observation's entries: features of the image, then the others."""
    named = dict(zip((entry.name for entry in OBSERVATION), entries, strict=True))
    image = named.pop(IMAGE.name)
    return torch.cat([encoder(image), *(array.reshape(len(array), -1) for array in named.values())], 1)


def _head(parameters: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    layers = sum(key.startswith(f"{name}.hidden.") and key.endswith(".weight") for key in parameters)
    for index in range(layers):
        x = F.relu(
            x @ parameters[f"{name}.hidden.{index}.weight"].T + parameters[f"{name}.hidden.{index}.bias"],
        )
    return x @ parameters[f"{name}.last.weight"].T + parameters[f"{name}.last.bias"]
