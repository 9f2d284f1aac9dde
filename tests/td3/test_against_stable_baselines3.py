"""Update for update, in float64, the networks of Stable-Baselines3's TD3 from the same weights, batches and noise."""

import gymnasium
import pytest
import torch
from stable_baselines3 import TD3
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import DictReplayBufferSamples
from torch import Tensor, nn

from td3_hpc.config import AgentConfig
from td3_hpc.replay import Batch
from td3_hpc.spaces import OBSERVATION, gymnasium_spaces
from td3_hpc.td3 import TD3Agent
from td3_hpc.td3.kernels import KERNELS
from tests.td3.batches import random_batch
from tests.td3.test_agent import EQUAL_RATES, NETWORKS, NO_CLIPPING

OBSERVATION_SPACE, ACTION_SPACE = gymnasium_spaces()


class NoEnvironment(gymnasium.Env):
    """Only the spaces: nothing is driven here."""

    observation_space = OBSERVATION_SPACE
    action_space = ACTION_SPACE


class ChannelsLast(nn.Module):
    """Ours flattens (y, x, channel); any fixed order makes the same network."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


class Features(BaseFeaturesExtractor):
    """CNN features of the pixels in [-1, 1], and the vector."""

    def __init__(self, observation_space: gymnasium.spaces.Dict) -> None:
        self._rest = [entry.name for entry in OBSERVATION if not entry.stacked]
        super().__init__(observation_space, 512 + sum(observation_space[name].shape[0] for name in self._rest))
        self.cnn = nn.Sequential(
            *(nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU()),
            *(ChannelsLast(), nn.Flatten(), nn.Linear(3136, 512), nn.ReLU()),
        )

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        features = self.cnn(observations["image"].double() / 127.5 - 1)
        return torch.cat([features, *(observations[name].double() for name in self._rest)], 1)


class GivenBatch(DictReplayBuffer):
    """A buffer that hands out the batch it was given, in float64."""

    batch: Batch

    def sample(self, batch_size: int, env: object = None) -> DictReplayBufferSamples:
        batch = self.batch
        return DictReplayBufferSamples(
            observations={name: torch.tensor(array) for name, array in batch.observation.items()},
            actions=torch.tensor(batch.action).double(),
            next_observations={name: torch.tensor(array) for name, array in batch.next_observation.items()},
            dones=torch.tensor(batch.terminated).double()[:, None],
            rewards=torch.tensor(batch.reward).double()[:, None],
        )


def peer_of(agent: TD3Agent) -> TD3:
    """Stable-Baselines3's TD3 with an agent's weights."""
    peer = TD3(
        "MultiInputPolicy",
        NoEnvironment(),
        learning_rate=3e-4,
        buffer_size=1,
        replay_buffer_class=GivenBatch,
        tau=agent.config.tau,
        gamma=agent.config.discount,
        policy_delay=agent.config.policy_freq,
        target_policy_noise=agent.config.policy_noise,
        target_noise_clip=agent.config.noise_clip,
        policy_kwargs={
            "features_extractor_class": Features,
            "net_arch": [256, 256],
            "normalize_images": False,
        },
        device="cpu",
    )
    peer.set_logger(Logger(None, []))
    peer.policy.double()
    for name in NETWORKS:
        theirs = list(getattr(peer, name).parameters())
        ours = list(getattr(agent, name).parameters())
        assert [p.shape for p in theirs] == [p.shape for p in ours]
        for target, source in zip(theirs, ours):
            target.data.copy_(source.data)
    return peer


@pytest.mark.parametrize(
    "kernels", ["plain", *(pytest.param(name, marks=pytest.mark.long) for name in KERNELS if name != "plain")]
)
def test_ten_updates_are_equal_within_1e_9(kernels):
    config = AgentConfig(encoder="nature", saturation_penalty=0, learning_rates=EQUAL_RATES, clip_norms=NO_CLIPPING)
    agent = TD3Agent(config, "cpu", seed=3, dtype=torch.float64, kernels=kernels)
    peer = peer_of(agent)
    first = [p.detach().clone() for name in NETWORKS for p in getattr(agent, name).parameters()]
    with torch.random.fork_rng():
        for update in range(10):
            batch = peer.replay_buffer.batch = random_batch(32, seed=update)
            torch.set_rng_state(torch.from_numpy(agent.state()["smoothing_generator"]))
            agent.update(batch)
            peer.train(gradient_steps=1, batch_size=32)
    last = [p for name in NETWORKS for p in getattr(agent, name).parameters()]
    theirs = [p for name in NETWORKS for p in getattr(peer, name).parameters()]
    assert all((a - b).abs().max() > 1e-6 for a, b in zip(first, last))
    assert max((a - b).abs().max().item() for a, b in zip(last, theirs)) <= 1e-9
