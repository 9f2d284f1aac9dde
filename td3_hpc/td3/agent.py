"""TD3 (Fujimoto, van Hoof, Meger 2018, "Addressing Function Approximation Error in Actor-Critic Methods")."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import xxhash
from numpy.typing import NDArray
from torch import Tensor, nn

from td3_hpc.config import AgentConfig
from td3_hpc.random_state import generator_state, load_generator_state
from td3_hpc.replay import Batch
from td3_hpc.spaces import IMAGE, OBSERVATION, Observation
from td3_hpc.td3 import state as trees
from td3_hpc.td3.adam import Adam, ParameterGroup
from td3_hpc.td3.inputs import InputTensors
from td3_hpc.td3.kernels import KERNELS, fastest
from td3_hpc.td3.networks import initialise, make_networks
from td3_hpc.td3.stats import UpdateStats, action_saturation, critic_statistics, read_back

Norms = dict[str, Tensor]

RANDOM_LOW, RANDOM_HIGH = (-1.0, -0.3), (1.0, 1.0)
"""Of the random actions before learning starts: steering and pedal."""
RANDOM_DECISIONS = (3, 12)
"""For how many decisions such an action is held, at least and at most."""
RESTING = (0.0, 0.15)
"""Where the penalty on saturation draws steering and pedal, before their tanh: where no action is better than another,
straight on with a little throttle. A car without any stands, and standing learns nothing."""


class TD3Agent:
    """Policy, twin critics, their targets and optimizers. Every random number comes from generators of its own.

    Each network has an encoder (CNN) of its own, the twin critics share theirs. Two Adam optimizers with two parameter
    groups each, (`actor_cnn`, `actor`) and (`critic_cnn`, `critic`), every group with its learning rate and clipping
    norm.
    """

    def __init__(
        self,
        config: AgentConfig,
        device: str | torch.device,
        seed: int,
        dtype: torch.dtype = torch.float32,
        kernels: str | None = None,
    ) -> None:
        """New networks from `seed` (at least 0), the same bytes whatever ran before; `dtype` is that of the weights.

        `config.precision: bfloat16` computes the CNNs in bfloat16; the heads cost little, and its rounding would be as
        large as what actions differ by in value. `kernels`: a name in `kernels.KERNELS`, by default the fastest here.
        Raises BadInput for an unknown encoder.
        """
        self.config = config
        self.device = torch.device(device)
        pixel_dtype = torch.bfloat16 if config.precision == "bfloat16" else dtype
        kernels = kernels or fastest(self.device, config.precision, torch.get_num_threads())
        initial, smoothing, exploration = np.random.SeedSequence(seed).spawn(3)
        self._smoothing = torch.Generator(self.device).manual_seed(_torch_seed(smoothing))
        self._exploration = np.random.Generator(np.random.PCG64(exploration))

        # Built without storage, since PyTorch would first fill the weights from its global generator.
        actor, critic = make_networks(config, KERNELS[kernels])
        self._inputs = InputTensors(self.device, dtype, pixel_dtype, actor.cnn.rows)
        generator = torch.Generator().manual_seed(_torch_seed(initial))
        for network in (actor, critic):
            # Not `to_empty`, which loads PyTorch's symbolic shapes: half a second.
            storage = {name: torch.empty(weight.shape, dtype=dtype) for name, weight in network.state_dict().items()}
            network.load_state_dict(storage, assign=True)
            initialise(network, generator)
        self.actor, self.critic = actor.to(self.device), critic.to(self.device)
        self.actor_target = copy.deepcopy(self.actor).requires_grad_(False)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)

        rates = config.learning_rates
        self.actor_optimizer = Adam(
            [_group("actor_cnn", [actor.cnn], rates.actor_cnn), _group("actor", [actor.head], rates.actor)]
        )
        self.critic_optimizer = Adam(
            [
                _group("critic_cnn", [critic.cnn], rates.critic_cnn),
                _group("critic", [critic.q1, critic.q2], rates.critic),
            ]
        )
        self.updates = 0
        """Critic updates done."""
        self.actor_updates = 0
        """Policy (and target) updates done."""
        self.targets = torch.empty(0, 1)
        """The targets y (B, 1) of the newest update, for monitors."""

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """The policy's action (2,) in [-1, 1], without noise."""
        with torch.inference_mode():
            action = self.actor(self._inputs.of_one(observation))[0]
        return action.float().cpu().numpy()  # type: ignore[no-any-return]

    def actions(self, observations: Observation) -> NDArray[np.float32]:
        """The policy's actions (n, 2), without noise, for n observations whose entries are (n, ...)."""
        with torch.inference_mode():
            return self.actor(self._inputs.of_many(observations)).float().cpu().numpy()  # type: ignore[no-any-return]

    def value(self, observations: Observation, actions: NDArray[np.float32]) -> NDArray[np.float64]:
        """The smaller of both critics' values (n,) of actions (n, 2), as targets take it; entries are (n, ...)."""
        with torch.inference_mode():
            q1, q2 = self.critic(self._inputs.of_many(observations), self._inputs.tensor(actions))
            return torch.minimum(q1, q2)[:, 0].double().cpu().numpy()  # type: ignore[no-any-return]

    def policy_digest(self) -> str:
        """xxh3_128 of the policy's weights, in hexadecimal."""
        digest = xxhash.xxh3_128()
        for parameter in self.actor.parameters():
            digest.update(parameter.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def explore(self, observations: Sequence[Observation]) -> NDArray[np.float32]:
        """The policy's actions (n, 2) for n observations, in one pass, with Gaussian noise of `exploration_noise`,
        clipped to [-1, 1]."""
        many = {
            entry.name: np.stack([observation[entry.name] for observation in observations]) for entry in OBSERVATION
        }
        actions = self.actions(many)
        noise = self._exploration.normal(0, self.config.exploration_noise, actions.shape)
        return np.clip(actions + noise, -1, 1).astype(np.float32)

    def random_action(self) -> tuple[NDArray[np.float32], int]:
        """An action (2,) for the steps before learning starts, and for how many decisions it is held.

        Uniform in RANDOM_LOW to RANDOM_HIGH and in RANDOM_DECISIONS: a car that is told something else ten times a
        second, and to brake as often as not, stays where it is.
        """
        action = self._exploration.uniform(RANDOM_LOW, RANDOM_HIGH).astype(np.float32)
        return action, int(self._exploration.integers(*RANDOM_DECISIONS, endpoint=True))

    def update(self, batch: Batch) -> UpdateStats:
        """One update of the critics; every `policy_freq`-th one also updates the policy and moves the targets."""
        config = self.config
        s, s_next = self._inputs.of_batch(batch)
        a = self._inputs.tensor(batch.action)
        r = self._inputs.tensor(batch.reward)[:, None]
        # A truncated step is not an end: only a terminated one has no next value.
        alive = 1 - self._inputs.tensor(batch.terminated)[:, None]

        with torch.no_grad():
            noise = torch.empty_like(a).normal_(0, 1, generator=self._smoothing) * config.policy_noise
            noise = noise.clamp(-config.noise_clip, config.noise_clip)
            a_next = (self.actor_target(s_next) + noise).clamp(-1, 1)
            q1_next, q2_next = self.critic_target(s_next, a_next)
            y = r + config.discount * alive * torch.minimum(q1_next, q2_next)

        self.targets = y
        q1, q2 = self.critic(s, a)
        critic_loss = F.mse_loss(q1, y) + F.mse_loss(q2, y)
        before, after = self._descend(self.critic_optimizer, critic_loss)
        self.updates += 1
        scalars = {"critic_loss": critic_loss}
        scalars |= critic_statistics(torch.stack([q1, q2]).detach(), y, torch.stack([q1_next, q2_next]), noise)

        if self.updates % config.policy_freq == 0:
            with torch.no_grad():  # The critic's view of s does not depend on the action.
                critic_state = self.critic.state(s)
            unbounded = self.actor.unbounded(s)
            pi = torch.tanh(unbounded)
            # Q1's slope first, then on from there into the policy: the critic's head is run backward once.
            action = pi.detach().requires_grad_()
            value = self.critic.q1(torch.cat([critic_state, action], 1)).mean()
            (slope,) = torch.autograd.grad(value, action)
            actor_loss, with_its_gradient = -value.detach(), -(slope * pi).sum()
            if config.saturation_penalty > 0:
                penalty = config.saturation_penalty * saturation_penalty(unbounded, slope)
                actor_loss, with_its_gradient = actor_loss + penalty, with_its_gradient + penalty
            actor_before, actor_after = self._descend(self.actor_optimizer, with_its_gradient)
            self.actor_updates += 1
            before, after = before | actor_before, after | actor_after
            scalars |= {"actor_loss": actor_loss, **action_saturation(pi.detach())}

            self._move(self.critic_target, self.critic)
            self._move(self.actor_target, self.actor)
        return read_back(self.updates, scalars, before, after)

    def begin_with(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Give the CNNs of all networks these weights, by the encoder's parameters. Raises ValueError where one does
        not fit."""
        for network in (self.actor, self.critic, self.actor_target, self.critic_target):
            trees.load_network(network.cnn, weights, "pretrained")

    def features(self, batch: Batch) -> dict[str, Tensor]:
        """What the CNNs of `actor` and `critic` make of the batch's observations, each (B, n); changes nothing."""
        s, _ = self._inputs.of_batch(batch)
        with torch.no_grad():
            return {"actor": self.actor.cnn(s[IMAGE.name]), "critic": self.critic.cnn(s[IMAGE.name])}

    def parameter_norms(self) -> dict[str, float]:
        """L2 norm of the parameters of each network."""
        networks = {
            "actor": self.actor,
            "critic": self.critic,
            "actor_target": self.actor_target,
            "critic_target": self.critic_target,
        }
        norms = [nn.utils.get_total_norm([p.detach() for p in network.parameters()]) for network in networks.values()]
        return dict(zip(networks, torch.stack(norms).tolist(), strict=True))

    def smoothing_state(self) -> Tensor:
        """A copy of the smoothing noise's generator, as it stands."""
        return self._smoothing.get_state()

    def state(self) -> trees.Tree:
        """All that `load_state` needs to go on with the same bytes: a tree of copies."""
        return {
            "actor": trees.network_state(self.actor),
            "critic": trees.network_state(self.critic),
            "actor_target": trees.network_state(self.actor_target),
            "critic_target": trees.network_state(self.critic_target),
            "actor_optimizer": trees.optimizer_state(self.actor_optimizer, self.actor),
            "critic_optimizer": trees.optimizer_state(self.critic_optimizer, self.critic),
            "smoothing_generator": trees.to_array(self._smoothing.get_state()),
            "exploration_generator": generator_state(self._exploration),
            "updates": self.updates,
            "actor_updates": self.actor_updates,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore from `state()`; ValueError names the first entry that is missing, unknown or does not fit.

        After an error the agent may be half loaded: it is of no more use.
        """
        networks = {
            "actor": self.actor,
            "critic": self.critic,
            "actor_target": self.actor_target,
            "critic_target": self.critic_target,
        }
        optimizers = {"actor_optimizer": self.actor_optimizer, "critic_optimizer": self.critic_optimizer}
        others = ("smoothing_generator", "exploration_generator", "updates", "actor_updates")
        trees.check_names([*networks, *optimizers, *others], state, "")
        for name, network in networks.items():
            trees.load_network(network, state[name], name)
        for name, optimizer in optimizers.items():
            trees.load_optimizer(optimizer, networks[name.removesuffix("_optimizer")], state[name], name)
        trees.load_torch_generator(self._smoothing, state["smoothing_generator"], "smoothing_generator")
        load_generator_state(self._exploration, state["exploration_generator"], "exploration_generator")
        self.updates = trees.check_count(state["updates"], "updates")
        self.actor_updates = trees.check_count(state["actor_updates"], "actor_updates")

    def _descend(self, optimizer: Adam, loss: Tensor) -> tuple[Norms, Norms]:
        """One step down the loss; the norms of each parameter group's gradient before and after clipping."""
        optimizer.zero_grad()
        # Only into what this optimizer steps: the policy's loss leaves no gradients in the critic.
        loss.backward(inputs=list(optimizer.state))  # type: ignore[no-untyped-call]
        before: Norms = {}
        after: Norms = {}
        for group in optimizer.groups:
            name, gradients = group.name, group.gradients()
            limit: float | None = getattr(self.config.clip_norms, name)
            before[name] = after[name] = nn.utils.get_total_norm(gradients)
            if limit is not None:
                nn.utils.clip_grads_with_norm_(group.parameters, limit, before[name])
                after[name] = nn.utils.get_total_norm(gradients)
        optimizer.step()
        return before, after

    def _move(self, target: nn.Module, online: nn.Module) -> None:
        with torch.no_grad():
            torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), self.config.tau)


def saturation_penalty(unbounded: Tensor, slope: Tensor) -> Tensor:
    """Sum over action components of half their mean squared distance from RESTING times the mean absolute slope of Q1
    along them.

    `unbounded`: the policy's actions before their tanh (B, 2); `slope`: the gradient (B, 2) of the batch's mean Q1 by
    its actions, taken as a constant. It grows with Q as the policy's gradient does, so that one weight serves a whole
    run: with weight 0.3, steering along which Q always rises settles at 0.81, where 1 - tanh(u)^2 = 0.3 u.
    """
    away = unbounded - unbounded.new_tensor(RESTING)
    return 0.5 * (away.square().mean(0) * slope.abs().sum(0)).sum()


def _torch_seed(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def _group(name: str, modules: list[nn.Module], rate: float) -> ParameterGroup:
    return ParameterGroup(name, [parameter for module in modules for parameter in module.parameters()], rate)
