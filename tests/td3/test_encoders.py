"""The encoders: the one of the paper against plain layers, and what every one must do."""

import numpy as np
import pytest
import torch

from td3_hpc.config import AgentConfig
from td3_hpc.errors import BadInput
from td3_hpc.spaces import IMAGE
from td3_hpc.td3 import TD3Agent
from td3_hpc.td3.encoders import ENCODERS, NatureCNN, SteadyCNN
from td3_hpc.td3.inputs import PixelBuffer
from td3_hpc.td3.kernels import KERNELS
from td3_hpc.td3.networks import initialise
from tests.td3 import reference
from tests.td3.batches import leaves, random_batch


def images(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, *IMAGE.shape), dtype=torch.uint8, generator=generator)


def drawn(kind: type[NatureCNN], bfloat16: bool = False) -> NatureCNN:
    """A new encoder, its biases not zero."""
    cnn = kind(bfloat16)
    generator = torch.Generator().manual_seed(3)
    initialise(cnn, generator)
    for name, parameter in cnn.named_parameters():
        if "bias" in name:
            torch.nn.init.uniform_(parameter, -0.1, 0.1, generator=generator)
    return cnn


@pytest.mark.parametrize("kernels", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("kind", [NatureCNN, SteadyCNN])
def test_features_and_gradients_are_those_of_plain_layers_on_scaled_pixels(kind, kernels):
    cnn = drawn(kind).double()
    cnn.kernels = kernels
    image = images(3)
    image[0], image[1] = 0, 255
    weights = torch.rand((3, 512), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    plain = {"cnn." + name: parameter for name, parameter in cnn.named_parameters()}
    expected = {NatureCNN: reference.features, SteadyCNN: reference.steady_features}[kind](plain, image)
    results = []
    for features in (cnn(PixelBuffer(torch.float64, cnn.rows).convert(image)), expected):
        cnn.zero_grad()
        (features * weights).sum().backward()
        results.append([features, *(parameter.grad.clone() for parameter in cnn.parameters())])
    for found, wanted in zip(*results):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-10)


def test_the_steady_features_vary_with_the_picture_and_move_little_with_a_step():
    """Pictures that differ as drives do, little: a road whose vanishing point moves sideways."""
    shifts, columns = torch.arange(-20, 21, 4), torch.arange(84)
    rows = [(128 + 100 * torch.tanh((columns - 42 - shift) / 10)).round() for shift in shifts]
    image = torch.stack(rows)[:, None, None, :].expand(-1, 4, 84, -1).contiguous()
    head = torch.randn(512, generator=torch.Generator().manual_seed(2)) / 512**0.5
    spread, drift = {}, {}
    for kind in (NatureCNN, SteadyCNN):
        cnn = kind()
        initialise(cnn, torch.Generator().manual_seed(1))
        optimizer = torch.optim.Adam(cnn.parameters(), 1e-4)
        before = cnn(image).detach()
        spread[kind] = before.std(0).mean().item()
        for _ in range(20):
            optimizer.zero_grad()
            (cnn(image) @ head - shifts / 20).square().mean().backward()
            optimizer.step()
        drift[kind] = (cnn(image) - before).abs().mean().item() / spread[kind]
    assert spread[SteadyCNN] > spread[NatureCNN]
    assert drift[SteadyCNN] < 0.5 < 5 < drift[NatureCNN]


@pytest.mark.parametrize("name", ENCODERS)
def test_bfloat16_features_agree_with_float32(name):
    """Normalised from what is rounded once, not from rounded squares."""
    pixels = images(8).float()
    exact, rounded = (drawn(ENCODERS[name], bfloat16)(pixels) for bfloat16 in (False, True))
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().mean() < 0.02 * exact.std()


@pytest.mark.parametrize("kernels", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("name", ENCODERS)
def test_one_image_gives_the_same_features_as_in_a_batch(name, kernels):
    encoder = ENCODERS[name]().double()
    encoder.kernels = kernels
    pixels = PixelBuffer(torch.float64, encoder.rows).convert(images(2))
    features = encoder(pixels)
    assert features.shape == (2, encoder.features)
    torch.testing.assert_close(encoder(pixels[:1]), features[:1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ENCODERS)
def test_an_agent_with_it_learns_and_resumes_with_the_same_bytes(name, precision):
    config = AgentConfig(encoder=name, precision=precision)
    whole, resumed = TD3Agent(config, "cpu", 1), TD3Agent(config, "cpu", 2)
    before = leaves(whole.state())
    for update in range(2):
        whole.update(random_batch(4, update))
    after = leaves(whole.state())
    assert all(after[key] != before[key] for key in before if key.startswith(("actor.cnn", "critic.cnn")))
    resumed.load_state(whole.state())
    batch = random_batch(4, 9)
    assert whole.update(batch) == resumed.update(batch)
    assert leaves(whole.state()) == leaves(resumed.state())


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(BadInput, match=r"agent\.encoder: unknown encoder .natur.; known: .*nature"):
        TD3Agent(AgentConfig(encoder="natur"), "cpu", 1)


def test_the_state_of_another_encoder_is_refused_by_name(monkeypatch):
    class Wider(NatureCNN):
        features = 600

    monkeypatch.setitem(ENCODERS, "wider", Wider)
    wider = TD3Agent(AgentConfig(encoder="wider"), "cpu", 1)
    with pytest.raises(ValueError, match=r"actor\.cnn\.linear\.weight: float32 \(512, 3136\), expected float32 \(600,"):
        wider.load_state(TD3Agent(AgentConfig(), "cpu", 1).state())
    assert np.isfinite(wider.update(random_batch(4, 1)).critic_loss)
