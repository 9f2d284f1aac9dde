"""The networks: sizes, what they see, initialisation."""

import pytest
import torch
from torch import nn

from td3_hpc.config import AgentConfig
from td3_hpc.spaces import ACTION, OBSERVATION
from td3_hpc.td3.networks import initialise, make_networks

STATE = 512 + sum(entry.size for entry in OBSERVATION if not entry.stacked)


def drawn_networks(seed, encoder="nature"):
    generator = torch.Generator().manual_seed(seed)
    networks = make_networks(AgentConfig(encoder=encoder))
    for network in networks:
        network.to_empty(device="cpu")
        initialise(network, generator)
    return networks


def test_sizes():
    actor, critic = make_networks(AgentConfig())
    cnn, hidden = 1_684_128, 256 * 256 + 256
    assert all(parameter.is_meta for network in (actor, critic) for parameter in network.parameters())
    assert sum(p.numel() for p in actor.cnn.parameters()) == cnn
    assert sum(p.numel() for p in actor.parameters()) == cnn + (STATE * 256 + 256) + hidden + (256 * 2 + 2)
    assert sum(p.numel() for p in critic.parameters()) == cnn + 2 * (((STATE + 2) * 256 + 256) + hidden + (256 + 1))


@pytest.mark.parametrize("entry", OBSERVATION, ids=lambda entry: entry.name)
def test_actor_and_critic_see_every_entry_of_the_observation(entry):
    actor, critic = drawn_networks(seed=1)
    observation = {e.name: torch.full((1, *e.shape), float(e.middle)) for e in OBSERVATION}
    changed = {**observation, entry.name: torch.full((1, *entry.shape), float(entry.high))}
    action = torch.zeros(1, *ACTION.shape)
    assert not torch.equal(actor(observation), actor(changed))
    assert all(not torch.equal(q, other) for q, other in zip(critic(observation, action), critic(changed, action)))


def test_initial_weights_follow_pytorchs_default_rule():
    _, network = drawn_networks(seed=3)
    for layer, fan_in in ((network.cnn.conv1, 256), (network.cnn.linear, 3136), (network.q2.hidden[0], STATE + 2)):
        bound = fan_in**-0.5
        assert 0.99 * bound < layer.weight.abs().max() <= bound
        assert abs(layer.weight.std() - bound / 3**0.5) < 0.05 * bound
        assert layer.bias.abs().max() <= bound
    assert not torch.equal(network.q1.hidden[0].weight, network.q2.hidden[0].weight)


def test_the_steady_encoder_s_stored_weights_have_standard_deviation_one():
    actor, _ = drawn_networks(seed=3, encoder="steady")
    for layer in (actor.cnn.conv1, actor.cnn.conv2, actor.cnn.conv3, actor.cnn.linear):
        assert layer.weight.std().item() == pytest.approx(1, abs=0.02)
        assert layer.weight.abs().max() <= 3**0.5
        assert not layer.bias.any()
    assert actor.head.hidden[0].weight.abs().max() <= STATE**-0.5


def test_a_layer_without_a_rule_is_refused_and_norms_begin_with_ones():
    norm = nn.Sequential(nn.LayerNorm(3))
    nn.init.zeros_(norm[0].weight)
    initialise(norm, torch.Generator())
    assert norm[0].weight.tolist() == [1, 1, 1]
    with pytest.raises(TypeError, match="no rule for Embedding"):
        initialise(nn.Sequential(nn.Embedding(3, 2)), torch.Generator())
