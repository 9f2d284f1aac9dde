"""Observations as tensors: values, types and order stay."""

import pytest
import torch

from td3_hpc.spaces import OBSERVATION
from td3_hpc.td3.inputs import InputTensors, PixelBuffer, rows_as_channels
from tests.td3.batches import random_batch


@pytest.mark.parametrize("rows", [1, 4])
def test_pixels_keep_their_values_and_order(rows):
    for dtype in (torch.float32, torch.bfloat16):
        buffer = PixelBuffer(dtype, rows)
        for size in (2, 1, 3, 3):
            image = torch.randint(0, 256, (size, 5, 84, 84), dtype=torch.uint8)[:, 1:]
            pixels = buffer.convert(image)
            assert pixels.is_contiguous(memory_format=torch.channels_last)
            assert torch.equal(pixels.to(torch.uint8), rows_as_channels(image, rows))


def test_rows_lie_side_by_side_as_channels():
    image = torch.arange(2 * 3 * 8 * 5).reshape(2, 3, 8, 5)
    found = rows_as_channels(image, 4)
    assert found.shape == (2, 12, 2, 5)
    for y in range(8):
        assert torch.equal(found[:, 3 * (y % 4) : 3 * (y % 4 + 1), y // 4], image[:, :, y])
    assert rows_as_channels(image, 1) is image


@pytest.mark.parametrize("pixel_dtype", [torch.float32, torch.bfloat16])
def test_every_entry_is_there_and_pixels_alone_are_of_their_own_type(pixel_dtype):
    inputs, batch = InputTensors(torch.device("cpu"), torch.float32, pixel_dtype), random_batch(3, 1)
    s, s_next = inputs.of_batch(batch)
    one = inputs.of_one({name: arrays[0] for name, arrays in batch.observation.items()})
    for found, expected in ((s, batch.observation), (s_next, batch.next_observation)):
        assert list(found) == [entry.name for entry in OBSERVATION]
        for entry in OBSERVATION:
            assert found[entry.name].dtype == (pixel_dtype if entry.stacked else torch.float32)
            assert torch.equal(found[entry.name].double(), torch.tensor(expected[entry.name]).double())
    for name, tensor in one.items():
        assert torch.equal(tensor, s[name][:1])
