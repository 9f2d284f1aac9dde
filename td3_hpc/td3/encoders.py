"""Encoders: networks that make features of the camera's frames, by the name that `agent.encoder` gives.

A new one is a class here with `@encoder("name")`, and nothing else: layers, sizes and preflight's estimate follow.
"""

import math
from collections.abc import Callable
from typing import ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from td3_hpc.errors import BadInput
from td3_hpc.spaces import IMAGE
from td3_hpc.td3.inputs import rows_as_channels
from td3_hpc.td3.kernels import KERNELS, Kernels


class Encoder(nn.Module):
    """Features of raw frames. Its parameters are all that a checkpoint keeps of it: no buffers, no randomness."""

    features: ClassVar[int]
    """Numbers that it makes of one observation."""
    kernels: Kernels = KERNELS["plain"]
    """How to compute, as the agent sets it; one that knows a single way takes no notice."""
    rows: int = 1
    """Rows of pixels that it wants side by side as channels."""
    unit_weights: ClassVar[bool] = False
    """Whether its layers' weights are stored with standard deviation 1, and scaled when it computes."""
    needs_pretraining: ClassVar[bool] = False
    """Whether it is of no use with the weights that it begins with."""

    def __init__(self, bfloat16: bool = False) -> None:
        """`bfloat16`: compute in bfloat16 (autocast); the weights and the features stay as they are."""
        super().__init__()
        self._autocast = bfloat16

    def forward(self, pixels: Tensor) -> Tensor:
        """Features (B, `features`), of the weights' type, of raw pixels (B, 4 * rows, 84 / rows, 84), floats in 0..255.

        The pixels may be of bfloat16, and lie in memory in channels-last order (see `inputs.PixelBuffer`).
        """
        raise NotImplementedError


EncoderType = TypeVar("EncoderType", bound=type[Encoder])
ENCODERS: dict[str, type[Encoder]] = {}


def encoder(name: str) -> Callable[[EncoderType], EncoderType]:
    """Make an encoder known by a name."""

    def register(cls: EncoderType) -> EncoderType:
        ENCODERS[name] = cls
        return cls

    return register


def encoder_named(name: str) -> type[Encoder]:
    """The encoder of a name. Raises BadInput, with the names there are."""
    if name not in ENCODERS:
        raise BadInput(f"agent.encoder: unknown encoder {name!r}; known: {', '.join(sorted(ENCODERS))}")
    return ENCODERS[name]


def _after_convolutions(size: int) -> int:
    """Pixels that `NatureCNN`'s layers leave of a side of the image: 7 of 84."""
    for kernel, stride in ((8, 4), (4, 2), (3, 1)):
        size = (size - kernel) // stride + 1
    return size


@encoder("nature")
class NatureCNN(Encoder):
    """The CNN of Mnih et al. 2015 on 84 x 84 frames: 32 8x8/4, 64 4x4/2, 64 3x3/1, linear 512, each with ReLU."""

    features = 512
    PIXEL_SCALE: ClassVar[float] = IMAGE.high / 2
    """A pixel x in 0..255 counts as x / 127.5 - 1, in [-1, 1]."""
    STRIDE: ClassVar[int] = 4
    """Of the first layer."""

    def __init__(self, bfloat16: bool = False) -> None:
        super().__init__(bfloat16)
        frames, height, width = IMAGE.shape
        self.conv1 = nn.Conv2d(frames, 32, 8, stride=self.STRIDE)
        self.conv2 = nn.Conv2d(32, 64, 4, stride=2)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.linear = nn.Linear(64 * _after_convolutions(height) * _after_convolutions(width), self.features)

    @property
    def rows(self) -> int:  # type: ignore[override]
        """As its kernels have it."""
        return self.kernels.rows

    def forward(self, pixels: Tensor) -> Tensor:
        """See `Encoder`.

        The pixels' scaling is folded into the first layer: conv(x / 127.5 - 1, W) = conv(x, W / 127.5) - sum(W),
        the same function of the weights, and so the same gradients, without a pass over the pixels.
        """
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self._autocast):
            weight, bias = self._parameters_of(self.conv1)
            scaled = rows_as_channels(weight / self.PIXEL_SCALE, self.rows)
            stride = (self.STRIDE // self.rows, self.STRIDE)
            x: Tensor = F.conv2d(pixels, scaled, bias - weight.sum((1, 2, 3)), stride).relu_()
            x = F.conv2d(x, *self._parameters_of(self.conv2), stride=2).relu_()
            x = F.conv2d(x, *self._parameters_of(self.conv3)).relu_()
            x = self._last_layer(x)
        return self._features_of(x, weight.dtype)

    def _parameters_of(self, layer: nn.Conv2d) -> tuple[Tensor, Tensor]:
        """Weight and bias that a convolution computes with."""
        assert layer.bias is not None  # for the type checker
        return layer.weight, layer.bias

    def _features_of(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """The features, of the weights' type, of what the last layer gives (B, 512)."""
        return x.relu_().to(dtype)

    def _last_layer(self, x: Tensor) -> Tensor:
        # The inputs are ordered (y, x, channel), as they lie in memory: flattening is free, both ways.
        weight, bias = self.linear.weight, self.linear.bias
        channels, height, width = x.shape[1:]
        if not self.kernels.convolution or len(x) == 1:
            return F.linear(x.permute(0, 2, 3, 1).flatten(1), weight, bias)
        return F.conv2d(x, weight.view(-1, height, width, channels).permute(0, 3, 1, 2), bias).flatten(1)


@encoder("steady")
class SteadyCNN(NatureCNN):
    """`NatureCNN`'s layers, whose features vary with the picture and do not drift under the heads.

    Weights and biases are stored times sqrt(fan-in / 2) of what the layer computes with: standard deviation 1 at the
    start, when what is computed with has the variance 2 / fan-in of He et al. 2015, which carries the spread of the
    features through layers with ReLU. Adam moves a stored number by about the learning rate per update, of any size: in
    proportion to the weights that is sqrt(fan-in / 6) of `nature`'s, 7 to 23 times less (Karras et al. 2018, "equalized
    learning rate"). The last layer's outputs are normalised over the 512 features of each picture (Ba et al. 2016,
    without parameters) in place of a ReLU, and multiplied by `SPREAD`: at 0.1 the picture's features, which are
    ten times as many, hold up what the heads learn of the vector (docs/learning.md).
    """

    unit_weights = True
    SPREAD: ClassVar[float] = 0.02
    """Standard deviation of one picture's features."""

    def _parameters_of(self, layer: nn.Conv2d) -> tuple[Tensor, Tensor]:
        weight, bias = super()._parameters_of(layer)
        gain = _he_gain(layer)
        return weight * gain, bias * gain

    def _features_of(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        # Scaling what comes out of the last layer is scaling its weights, which are 12 times as many. The norm is of
        # the weights' type: means of rounded squares would be bfloat16's worst.
        return F.layer_norm(x.to(dtype) * _he_gain(self.linear), (self.features,)) * self.SPREAD


@encoder("distances")
class DistanceCNN(Encoder):
    """`SteadyCNN`, and what it is trained to say of the picture: how near is what is in the way, how near a red light.

    Two features in [0, 1]: 1 at the ego's front, 0 from `REACH_M` on. It is trained beforehand (`td3-hpc pretrain`),
    and `agent.pretrained` names the result; without that it says nothing.
    """

    features = 2
    unit_weights = True
    needs_pretraining = True
    REACH_M: ClassVar[float] = 30.0
    """Metres."""
    _GAIN: ClassVar[float] = 0.1
    """Of the readout, whose weights are stored with standard deviation 1 as those of all layers."""

    def __init__(self, bfloat16: bool = False) -> None:
        super().__init__(bfloat16)
        self.body = SteadyCNN(bfloat16)
        self.readout = nn.Linear(self.body.features, self.features)

    @property
    def kernels(self) -> Kernels:  # type: ignore[override]
        """As its body has them."""
        return self.body.kernels

    @kernels.setter
    def kernels(self, kernels: Kernels) -> None:
        self.body.kernels = kernels

    @property
    def rows(self) -> int:  # type: ignore[override]
        """As its body's kernels have it."""
        return self.body.rows

    def forward(self, pixels: Tensor) -> Tensor:
        """See `Encoder`."""
        return torch.sigmoid(self._GAIN * self.readout(self.body(pixels) / self.body.SPREAD))


def _he_gain(layer: nn.Conv2d | nn.Linear) -> float:
    return math.sqrt(2 / layer.weight[0].numel())
