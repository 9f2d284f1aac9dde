"""Fitting the encoder: what it is shown, that it learns what pictures tell, and that it goes on exactly."""

import numpy as np
import pytest

from td3_hpc.pretraining.drives import Episode
from td3_hpc.pretraining.fitting import Fitting, Samples
from td3_hpc.td3 import state as trees
from td3_hpc.td3.encoders import DistanceCNN
from td3_hpc.training.signals import StopFlag
from tests.td3.batches import leaves


def episode(seed: int, length: int = 40) -> Episode:
    """Something dark comes nearer and grows; beside it, or not, a light that tells its distance by its brightness."""
    generator = np.random.default_rng(seed)
    frames = generator.integers(180, 200, (length, 84, 84)).astype(np.uint8)
    gaps, lines = np.linspace(35.0, 3.0, length), np.full(length, np.inf)
    if seed % 2:
        lines = np.linspace(28.0, 1.0, length)
    for frame, gap, line in zip(frames, gaps, lines, strict=True):
        half = int(min(40, 120 / gap))
        frame[42 - half : 42 + half, 42 - half : 42 + half] = 20
        if np.isfinite(line):
            frame[4:16, 4:16] = int(255 - 8 * line)
    ahead = np.column_stack([gaps, lines]).astype(np.float32)
    return Episode(frames, ahead, np.ones(length, bool))


@pytest.fixture(scope="module")
def samples():
    return Samples.of(map(episode, range(10)), 10)


def test_a_sample_is_the_last_four_frames_and_what_was_ahead_then():
    still = Episode(*(getattr(episode(1), name) for name in ("frames", "ahead")), moved=np.arange(40) < 5)
    samples = Samples.of([episode(0), still], 2)
    assert samples.stacks[:4].tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 2], [0, 1, 2, 3]]
    of_second = samples.stacks[40:]
    assert of_second[0].tolist() == [40, 40, 40, 40], "the first frame is repeated, not the other episode's last"
    assert (of_second[:, -1] - 40).tolist() == [0, 1, 2, 3, 4, 8, 16, 24, 32], "of standing still every eighth"
    assert samples.held_out.tolist() == [False] * 40 + [True] * 9
    np.testing.assert_allclose(samples.nearness[39], (1 - 3 / DistanceCNN.REACH_M, 0.0), atol=1e-6)
    assert samples.nearness[0, 0] == 0, "nothing is near beyond the reach"


def test_it_learns_how_near_things_are(samples):
    fitting = Fitting(samples, seed=1, epochs=6)
    losses = [fitting.run_epoch(StopFlag()) for _ in range(6)]
    assert losses[-1] < 0.8 * losses[0]
    figures = fitting.figures()
    assert figures["obstacle: error, m"] < 5
    assert figures["red light: seen"] > figures["red light: seen where there is none"] + 0.3


def test_a_fitting_that_was_stopped_goes_on_to_the_same_bytes(samples):
    whole, resumed = Fitting(samples, 1, 3), Fitting(samples, 1, 3)
    for _ in range(2):
        whole.run_epoch(StopFlag())
    resumed.load_state(whole.state())
    assert whole.run_epoch(StopFlag()) == resumed.run_epoch(StopFlag())
    assert leaves(trees.network_state(whole.encoder)) == leaves(trees.network_state(resumed.encoder))
