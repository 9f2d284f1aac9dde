"""Observations as tensors: values, types and order stay."""

import pytest
import torch

from td3_hpc.spaces import OBSERVATION
from td3_hpc.td3.inputs import InputTensors, PixelBuffer
from tests.td3.batches import random_batch


def test_pixels_keep_their_values_and_order():
    for dtype in (torch.float32, torch.bfloat16):
        buffer = PixelBuffer(dtype)
        for size in (2, 3, 3):
            image = torch.randint(0, 256, (size, 4, 84, 84), dtype=torch.uint8)
            pixels = buffer.convert(image)
            assert pixels.is_contiguous(memory_format=torch.channels_last)
            assert torch.equal(pixels.to(torch.uint8), image)


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
