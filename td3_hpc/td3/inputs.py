"""Observations as the tensors that the networks read."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from td3_hpc.replay import Batch
from td3_hpc.spaces import OBSERVATION, Observation

Tensors = dict[str, Tensor]
"""A tensor (B, ...) for each entry of the observation, by name."""


class InputTensors:
    """Turns stacks of frames into raw floats (see `PixelBuffer`), and the rest into tensors of the weights' type."""

    def __init__(self, device: torch.device, dtype: torch.dtype, pixel_dtype: torch.dtype) -> None:
        self._device, self._dtype, self._pixel_dtype = device, dtype, pixel_dtype
        self._buffers = {
            entry.name: (PixelBuffer(pixel_dtype), PixelBuffer(pixel_dtype)) for entry in OBSERVATION if entry.stacked
        }

    def of_one(self, observation: Observation) -> Tensors:
        """A batch of one."""
        return {
            entry.name: torch.from_numpy(observation[entry.name]).to(
                self._device, self._pixel_dtype if entry.stacked else self._dtype
            )[None]
            for entry in OBSERVATION
        }

    def of_batch(self, batch: Batch) -> tuple[Tensors, Tensors]:
        """Observations and next observations; their pixels are overwritten by the next call."""
        s: Tensors = {}
        s_next: Tensors = {}
        for entry in OBSERVATION:
            name = entry.name
            if entry.stacked:
                frames = torch.from_numpy(batch.frames[name]).to(self._device)  # once for both
                pixels, next_pixels = self._buffers[name]
                s[name], s_next[name] = pixels.convert(frames[:, :-1]), next_pixels.convert(frames[:, 1:])
            else:
                s[name], s_next[name] = self.tensor(batch.values[name]), self.tensor(batch.next_values[name])
        return s, s_next

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """An array of numbers, of the weights' type."""
        return torch.from_numpy(array).to(self._device, self._dtype)


class PixelBuffer:
    """Turns uint8 images into the raw floats that encoders read, in memory that is used again.

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
