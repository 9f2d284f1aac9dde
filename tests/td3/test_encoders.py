"""The encoders: the one of the paper against plain layers, and what every one must do."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from td3_hpc.config import AgentConfig
from td3_hpc.errors import BadInput
from td3_hpc.spaces import IMAGE
from td3_hpc.td3 import TD3Agent
from td3_hpc.td3.encoders import ENCODERS, NatureCNN
from td3_hpc.td3.inputs import PixelBuffer
from td3_hpc.td3.kernels import KERNELS
from tests.td3.batches import leaves, random_batch


def images(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, *IMAGE.shape), dtype=torch.uint8, generator=generator)


def plain_features(cnn: NatureCNN, image: torch.Tensor) -> torch.Tensor:
    """The same CNN on pixels that are scaled first."""
    x = F.relu(cnn.conv1(image.double() / 127.5 - 1))
    x = F.relu(cnn.conv3(F.relu(cnn.conv2(x))))
    return F.relu(cnn.linear(x.permute(0, 2, 3, 1).flatten(1)))


@pytest.mark.parametrize("kernels", KERNELS.values(), ids=KERNELS)
def test_the_network_sees_pixels_from_minus_one_to_one(kernels):
    cnn = NatureCNN().double()
    cnn.kernels = kernels
    image = images(3)
    image[0], image[1] = 0, 255
    weights = torch.rand((3, 512), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    results = []
    for features in (cnn(PixelBuffer(torch.float64, cnn.rows).convert(image)), plain_features(cnn, image)):
        cnn.zero_grad()
        (features * weights).sum().backward()
        results.append([features, *(parameter.grad.clone() for parameter in cnn.parameters())])
    for found, expected in zip(*results):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


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
