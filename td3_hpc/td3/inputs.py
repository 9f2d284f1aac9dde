"""Observations as the tensors that the networks read."""

from typing import Any

import cv2
import torch
from numpy.typing import NDArray
from torch import Tensor

from td3_hpc.replay import Batch
from td3_hpc.spaces import OBSERVATION, Observation

Tensors = dict[str, Tensor]
"""A tensor (B, ...) for each entry of the observation, by name."""


class InputTensors:
    """Turns stacks of frames into raw floats (see `PixelBuffer`), and the rest into tensors of the weights' type."""

    def __init__(self, device: torch.device, dtype: torch.dtype, pixel_dtype: torch.dtype, rows: int = 1) -> None:
        self._device, self._dtype, self._pixel_dtype, self._rows = device, dtype, pixel_dtype, rows
        self._buffers = {
            entry.name: (PixelBuffer(pixel_dtype, rows), PixelBuffer(pixel_dtype, rows))
            for entry in OBSERVATION
            if entry.stacked
        }

    def of_one(self, observation: Observation) -> Tensors:
        """A batch of one."""
        return self.of_many({entry.name: observation[entry.name][None] for entry in OBSERVATION})

    def of_many(self, observations: Observation) -> Tensors:
        """A batch of observations whose entries are (n, ...)."""
        many = {entry.name: torch.from_numpy(observations[entry.name]).to(self._device) for entry in OBSERVATION}
        return {
            entry.name: rows_as_channels(many[entry.name], self._rows).to(self._pixel_dtype)
            if entry.stacked
            else many[entry.name].to(self._dtype)
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

    def __init__(self, dtype: torch.dtype, rows: int = 1) -> None:
        """`dtype` of the result; whole numbers up to 255 are exact in bfloat16 too. `rows`: see `rows_as_channels`."""
        self._dtype, self._rows = dtype, rows
        self._bytes = self._in_rows = torch.empty(0, dtype=torch.uint8)
        self._pixels = torch.empty(0, dtype=dtype)

    def convert(self, image: Tensor) -> Tensor:
        """The pixels of images (B, 4, 84, 84), as `rows_as_channels` orders them; overwritten by the next call."""
        batch, frames, height, width = image.shape
        rows, device = self._rows, image.device
        shape = (batch, height // rows, rows, width, frames)
        if (self._bytes.shape, self._bytes.device) != (shape, device):
            self._bytes = torch.empty(shape, dtype=torch.uint8, device=device)
            in_rows = (batch, height // rows, width, rows, frames)
            self._in_rows = self._bytes if rows == 1 else torch.empty(in_rows, dtype=torch.uint8, device=device)
            self._pixels = torch.empty(in_rows, dtype=self._dtype, device=device)
        # Reordered as bytes first: faster than to reorder while converting.
        if device.type == "cpu":
            planes = [plane.reshape(batch, -1) for plane in image.numpy().swapaxes(0, 1)]
            cv2.merge(planes, self._bytes.numpy().reshape(batch, -1, frames))
        else:
            torch.stack(image.unbind(1), -1, out=self._bytes.view(batch, height, width, frames))
        if rows > 1:  # the four frames of a pixel move as one number
            self._in_rows.view(torch.int32).copy_(self._bytes.view(torch.int32).transpose(2, 3))
        return self._pixels.copy_(self._in_rows.view(self._pixels.shape)).flatten(3).permute(0, 3, 1, 2)


def rows_as_channels(x: Tensor, rows: int) -> Tensor:
    """Of every `rows` rows of pixels one, with their channels side by side: (N, C, H, W) to (N, rows * C, H / rows, W).

    A convolution over images in this form, its weights in the same form, is the convolution over the images, if the
    kernel's height and its stride are multiples of `rows`.
    """
    if rows == 1:
        return x
    number, channels, height, width = x.shape
    return x.reshape(number, channels, height // rows, rows, width).permute(0, 3, 1, 2, 4).flatten(1, 2)
