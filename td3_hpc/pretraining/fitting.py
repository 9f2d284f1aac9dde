"""Fitting the encoder `distances` to drives: from a stack of frames, how near obstacle and red light ahead are."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from td3_hpc.pretraining.drives import Episode
from td3_hpc.random_state import generator_state, load_generator_state
from td3_hpc.spaces import STACK
from td3_hpc.td3 import state as trees
from td3_hpc.td3.adam import Adam, ParameterGroup
from td3_hpc.td3.encoders import DistanceCNN
from td3_hpc.td3.inputs import PixelBuffer
from td3_hpc.td3.networks import initialise
from td3_hpc.training.seeding import derived_seed, generator
from td3_hpc.training.signals import StopFlag, StopRequested

NAMES = ("obstacle", "red light")
"""What the features are of."""
_BATCH = 64
_RATE = 1e-3
_SHIFT = 3  # pixels either way, as Yarats et al. 2021 (DrQ) shift what they learn from
_STILL = 8  # of so many decisions in which nothing moves one is taken
_HELD_OUT = 0.15  # of the episodes


@dataclass(frozen=True)
class Samples:
    """Stacks of frames, by the places of their frames among all, and what was ahead."""

    frames: NDArray[np.uint8]
    """(n, 84, 84), of all episodes."""
    stacks: NDArray[np.int64]
    """(m, 4) places of each sample's frames, oldest first."""
    nearness: NDArray[np.float32]
    """(m, 2): 1 at the ego's front, 0 from `DistanceCNN.REACH_M` metres on."""
    held_out: NDArray[np.bool_]
    """(m,): of an episode that nothing is fitted to."""

    @classmethod
    def of(cls, episodes: Iterable[Episode], count: int) -> "Samples":
        """Of `count` episodes, the last ones held out."""
        frames, stacks, ahead, held_out, before = list[Any](), list[Any](), list[Any](), list[bool](), 0
        for number, episode in enumerate(episodes):
            places = np.arange(len(episode.frames))
            taken = places[episode.moved | (places % _STILL == 0)]
            stacks.append(before + np.maximum(taken[:, None] - np.arange(STACK)[::-1], 0))
            frames.append(episode.frames)
            ahead.append(episode.ahead[taken])
            held_out += [number >= count - max(1, round(count * _HELD_OUT))] * len(taken)
            before += len(episode.frames)
        nearness = 1.0 - np.clip(np.concatenate(ahead), 0.0, DistanceCNN.REACH_M) / DistanceCNN.REACH_M
        where = np.concatenate(stacks), nearness.astype(np.float32), np.array(held_out)
        return cls(np.concatenate(frames), *where)


class Fitting:
    """An encoder being fitted: epochs over the samples. Its state is all that is needed to go on exactly."""

    def __init__(self, samples: Samples, seed: int, epochs: int) -> None:
        self._samples, self._epochs = samples, epochs
        self._fitted_to = np.flatnonzero(~samples.held_out)
        self._generator = generator(seed, "fitting")
        self.encoder = DistanceCNN()
        initialise(self.encoder, torch.Generator().manual_seed(derived_seed(seed, "pretrained encoder")))
        self._optimizer = Adam([ParameterGroup("encoder", list(self.encoder.parameters()), _RATE)])
        self._pixels = PixelBuffer(torch.float32)
        self.epoch = 0
        """Epochs done."""

    def run_epoch(self, stop: StopFlag) -> float:
        """One pass over the samples in a new order, each stack shifted a little; returns the mean loss. Raises
        StopRequested at a stop signal: the epoch is then made again, from the state before it."""
        order = self._generator.permutation(self._fitted_to)
        batches = np.array_split(order, max(1, len(order) // _BATCH))
        total = 0.0
        for number, rows in enumerate(batches):
            if stop:
                raise StopRequested
            share = (self.epoch + number / len(batches)) / self._epochs
            self._optimizer.groups[0].rate = _RATE * (1 + math.cos(math.pi * share)) / 2
            stacks = self._samples.frames[self._samples.stacks[rows]]
            shift = self._generator.integers(-_SHIFT, _SHIFT, 2, endpoint=True)
            said = self._say(np.ascontiguousarray(np.roll(stacks, tuple(shift), (2, 3))))
            loss = F.binary_cross_entropy(said, torch.from_numpy(self._samples.nearness[rows]))
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            total += float(loss.detach())
        self.epoch += 1
        return total / len(batches)

    def figures(self) -> dict[str, float]:
        """On the held-out episodes: the mean error in metres where something is within 20 m, how often the nearness of
        something within 20 m is told as above 1/6, and how often that of nothing is; what never was is left out."""
        rows = np.flatnonzero(self._samples.held_out)
        with torch.no_grad():
            said = np.concatenate(
                [self._say(self._samples.frames[self._samples.stacks[part]]).numpy() for part in _parts(rows)]
            )
        true, found = self._samples.nearness[rows], {}
        for column, name in enumerate(NAMES):
            near, free = true[:, column] > 1 / 3, true[:, column] == 0
            error = np.abs(said - true)[near, column]
            if near.any():
                found[f"{name}: error, m"] = DistanceCNN.REACH_M * float(error.mean())
            for of, which in (("seen", near), ("seen where there is none", free)):
                if which.any():
                    found[f"{name}: {of}"] = float((said[which, column] > 1 / 6).mean())
        return found

    def state(self) -> dict[str, Any]:
        """A tree for a file."""
        return {
            "epoch": self.epoch,
            "encoder": trees.network_state(self.encoder),
            "optimizer": trees.optimizer_state(self._optimizer, self.encoder),
            "generator": generator_state(self._generator),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """The reverse. Raises ValueError where it does not fit."""
        self.epoch = int(state["epoch"])
        trees.load_network(self.encoder, state["encoder"], "encoder")
        trees.load_optimizer(self._optimizer, self.encoder, state["optimizer"], "optimizer")
        load_generator_state(self._generator, state["generator"], "generator")

    def _say(self, stacks: NDArray[np.uint8]) -> torch.Tensor:
        said: torch.Tensor = self.encoder(self._pixels.convert(torch.from_numpy(stacks)))
        return said


def _parts(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(rows, max(1, math.ceil(len(rows) / 256)))
