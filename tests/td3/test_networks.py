"""The networks: sizes, pixel scaling, initialisation."""

import torch
import torch.nn.functional as F

from td3_hpc.td3.networks import STATE_SIZE, ActorNetwork, NatureCNN, PixelBuffer, TwinCriticNetwork, initialise


def plain_features(cnn: NatureCNN, image: torch.Tensor) -> torch.Tensor:
    """The same CNN on pixels that are scaled first."""
    x = F.relu(cnn.conv1(image.double() / 127.5 - 1))
    x = F.relu(cnn.conv3(F.relu(cnn.conv2(x))))
    return F.relu(cnn.linear(x.permute(0, 2, 3, 1).flatten(1)))


def test_the_network_sees_pixels_from_minus_one_to_one():
    cnn = NatureCNN().double()
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (3, 4, 84, 84), dtype=torch.uint8, generator=generator)
    image[0], image[1] = 0, 255
    weights = torch.rand((3, 512), generator=generator, dtype=torch.float64)
    results = []
    for features in (cnn(PixelBuffer(torch.float64).convert(image)), plain_features(cnn, image)):
        cnn.zero_grad()
        (features * weights).sum().backward()
        results.append([features, *(parameter.grad.clone() for parameter in cnn.parameters())])
    for found, expected in zip(*results):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_one_image_gives_the_same_features_as_in_a_batch():
    cnn = NatureCNN().double()
    image = torch.randint(0, 256, (2, 4, 84, 84), dtype=torch.uint8)
    pixels = PixelBuffer(torch.float64).convert(image)
    torch.testing.assert_close(cnn(pixels[:1]), cnn(pixels)[:1], rtol=1e-10, atol=1e-12)


def test_pixels_keep_their_values_and_order():
    for dtype in (torch.float32, torch.bfloat16):
        buffer = PixelBuffer(dtype)
        for size in (2, 3, 3):
            image = torch.randint(0, 256, (size, 4, 84, 84), dtype=torch.uint8)
            pixels = buffer.convert(image)
            assert pixels.is_contiguous(memory_format=torch.channels_last)
            assert torch.equal(pixels.to(torch.uint8), image)


def test_sizes():
    actor, critic = ActorNetwork([256, 256]), TwinCriticNetwork([256, 256])
    assert STATE_SIZE == 565
    cnn, hidden = 1_684_128, 256 * 256 + 256
    assert sum(p.numel() for p in actor.cnn.parameters()) == cnn
    assert sum(p.numel() for p in actor.parameters()) == cnn + (565 * 256 + 256) + hidden + (256 * 2 + 2)
    assert sum(p.numel() for p in critic.parameters()) == cnn + 2 * ((567 * 256 + 256) + hidden + (256 + 1))


def test_initial_weights_follow_pytorchs_default_rule():
    network = TwinCriticNetwork([256, 256])
    initialise(network, torch.Generator().manual_seed(3))
    for layer, fan_in in ((network.cnn.conv1, 256), (network.cnn.linear, 3136), (network.q2.hidden[0], 567)):
        bound = fan_in**-0.5
        assert 0.99 * bound < layer.weight.abs().max() <= bound
        assert abs(layer.weight.std() - bound / 3**0.5) < 0.05 * bound
        assert layer.bias.abs().max() <= bound
    assert not torch.equal(network.q1.hidden[0].weight, network.q2.hidden[0].weight)
