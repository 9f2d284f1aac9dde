"""The networks: a CNN on the stacked frames, and heads on its features joined with the vector."""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from td3_hpc.replay.rows import ACTION_SIZE, STACK, VECTOR_SIZE

FEATURES = 512
STATE_SIZE = FEATURES + VECTOR_SIZE
"""565: what the heads see of an observation."""

PIXEL_SCALE = 127.5
"""A pixel x in 0..255 counts as x / 127.5 - 1, in [-1, 1]."""


class NatureCNN(nn.Module):
    """The CNN of Mnih et al. 2015 on 84 x 84 frames: 32 8x8/4, 64 4x4/2, 64 3x3/1, linear 512, each with ReLU."""

    def __init__(self, bfloat16: bool = False) -> None:
        """`bfloat16`: compute in bfloat16 (autocast); the weights and the features stay as they are."""
        super().__init__()
        self.conv1 = nn.Conv2d(STACK, 32, 8, stride=4)
        self.conv2 = nn.Conv2d(32, 64, 4, stride=2)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.linear = nn.Linear(64 * 7 * 7, FEATURES)
        self._autocast = bfloat16

    def forward(self, pixels: Tensor) -> Tensor:
        """Features (B, 512) of raw pixels (B, 4, 84, 84), floats in 0..255; see `PixelBuffer`.

        The pixels' scaling is folded into the first layer: conv(x / 127.5 - 1, W) = conv(x, W / 127.5) - sum(W),
        the same function of the weights, and so the same gradients, without a pass over the pixels.
        """
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self._autocast):
            weight, bias = self.conv1.weight, self.conv1.bias
            assert bias is not None  # for the type checker
            x: Tensor = F.conv2d(pixels, weight / PIXEL_SCALE, bias - weight.sum((1, 2, 3)), stride=4).relu_()
            x = self.conv2(x).relu_()
            x = self.conv3(x).relu_()
            x = self._last_layer(x).relu_()
        return x.to(weight.dtype)

    def _last_layer(self, x: Tensor) -> Tensor:
        # The inputs are ordered (y, x, channel), as they lie in memory: flattening is free, both ways.
        weight, bias = self.linear.weight, self.linear.bias
        channels, height, width = x.shape[1:]
        if self._autocast or x.device.type != "cpu" or len(x) == 1:
            return F.linear(x.permute(0, 2, 3, 1).flatten(1), weight, bias)
        # As a convolution over its whole input it is the same product, in half the time of a matrix product on CPUs
        # in float32 (not so in bfloat16, on a GPU, or for a single observation).
        return F.conv2d(x, weight.view(-1, height, width, channels).permute(0, 3, 1, 2), bias).flatten(1)


class MLP(nn.Module):
    """Linear layers with ReLU between them, none after the last."""

    def __init__(self, inputs: int, hidden: Sequence[int], outputs: int, bfloat16: bool = False) -> None:
        """`bfloat16`: as for `NatureCNN`, but not in the last layer, which would round Q-values to three digits."""
        super().__init__()
        sizes = [inputs, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.last = nn.Linear(sizes[-1], outputs)
        self._autocast = bfloat16

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs)."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self._autocast):
            for layer in self.hidden:
                x = layer(x).relu_()
        return self.last(x.to(self.last.weight.dtype))  # type: ignore[no-any-return]


class ActorNetwork(nn.Module):
    """The policy pi(s)."""

    def __init__(self, hidden: Sequence[int], bfloat16: bool = False) -> None:
        super().__init__()
        self.cnn = NatureCNN(bfloat16)
        self.head = MLP(STATE_SIZE, hidden, ACTION_SIZE, bfloat16)

    def forward(self, pixels: Tensor, vector: Tensor) -> Tensor:
        """Actions (B, 2) in [-1, 1]."""
        return torch.tanh(self.unbounded(pixels, vector))

    def unbounded(self, pixels: Tensor, vector: Tensor) -> Tensor:
        """The actions (B, 2) before their tanh."""
        return self.head(torch.cat([self.cnn(pixels), vector], 1))  # type: ignore[no-any-return]


class TwinCriticNetwork(nn.Module):
    """Q1(s, a) and Q2(s, a): two heads on one CNN."""

    def __init__(self, hidden: Sequence[int], bfloat16: bool = False) -> None:
        super().__init__()
        self.cnn = NatureCNN(bfloat16)
        self.q1 = MLP(STATE_SIZE + ACTION_SIZE, hidden, 1, bfloat16)
        self.q2 = MLP(STATE_SIZE + ACTION_SIZE, hidden, 1, bfloat16)

    def state(self, pixels: Tensor, vector: Tensor) -> Tensor:
        """The state (B, 565) that both heads see."""
        return torch.cat([self.cnn(pixels), vector], 1)

    def forward(self, pixels: Tensor, vector: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Q1 and Q2, each (B, 1)."""
        x = torch.cat([self.state(pixels, vector), action], 1)
        return self.q1(x), self.q2(x)


class PixelBuffer:
    """Turns uint8 images into the raw floats that `NatureCNN` reads, in memory that is used again.

    Fresh memory for a batch (14 MB and more) would cost more than the conversion. The result is channels-last: on CPUs
    the first layer's backward pass takes a fraction of its time in the other order.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        """`dtype` of the result; whole numbers up to 255 are exact in bfloat16 too."""
        self._dtype = dtype
        self._bytes = torch.empty(0, dtype=torch.uint8)
        self._pixels = torch.empty(0, dtype=dtype)

    def convert(self, image: Tensor) -> Tensor:
        """The pixels (B, 4, 84, 84) of images of that shape; overwritten by the next call."""
        batch, channels, height, width = image.shape
        shape = torch.Size((batch, height, width, channels))
        if (self._bytes.shape, self._bytes.device) != (shape, image.device):
            self._bytes = torch.empty(shape, dtype=torch.uint8, device=image.device)
            self._pixels = torch.empty(shape, dtype=self._dtype, device=image.device)
        # Reordered as bytes first: faster than to reorder while converting.
        torch.stack(image.unbind(1), -1, out=self._bytes)
        return self._pixels.copy_(self._bytes).permute(0, 3, 1, 2)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights and biases from `generator` by PyTorch's default rule, uniform within 1 / sqrt(fan-in)."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for parameter in layer.parameters(recurse=False):
                nn.init.uniform_(parameter, -bound, bound, generator=generator)
