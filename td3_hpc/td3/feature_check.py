"""Whether the picture reaches the heads: does it vary, do the CNNs' features vary with it and stay as they were?

A head cannot read what hardly differs between two pictures, beside a vector that differs much, nor what changes under
it faster than it learns.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from td3_hpc.replay import Batch
from td3_hpc.spaces import IMAGE
from td3_hpc.td3.agent import TD3Agent
from td3_hpc.td3.networks import JOINED


@dataclass(frozen=True)
class FeatureCheck:
    """The features of one update's batch; by network, `actor` and `critic`."""

    update: int
    picture_spread: float
    """Standard deviation of a pixel over the batch's newest pictures, mean over the pixels, which lie in [-1, 1]."""
    feature_spread: dict[str, float]
    """Standard deviation of a feature over the batch, mean over the features."""
    vector_spread: float
    """The same of the numbers that the heads see beside the features."""
    feature_drift: dict[str, float]
    """Mean absolute change of a feature by this update, times 100 updates, as a multiple of `feature_spread`; of the
    actor at its own updates only."""


class FeatureProbe:
    """Made just before an update, from the batch that it is going to use; `check` is called after it."""

    def __init__(self, agent: TD3Agent, batch: Batch) -> None:
        self._agent, self._batch = agent, batch
        self._before = agent.features(batch)

    def check(self) -> FeatureCheck:
        """Compare with the features now."""
        agent = self._agent
        after = agent.features(self._batch)
        spread = {name: _spread(features) for name, features in self._before.items()}
        # An actor's update stands for as many updates as it is delayed by.
        pace = {"actor": 100 / agent.config.policy_freq, "critic": 100.0}
        if agent.updates % agent.config.policy_freq:
            del pace["actor"]
        moved = {name: float((after[name] - self._before[name]).abs().mean()) for name in pace}
        beside = np.concatenate([self._batch.values[entry.name] for entry in JOINED], axis=1)
        return FeatureCheck(
            update=agent.updates,
            picture_spread=float(self._batch.frames[IMAGE.name][:, -1].std(0).mean()) * 2 / IMAGE.high,
            feature_spread=spread,
            vector_spread=_spread(torch.from_numpy(beside)),
            feature_drift={name: moved[name] * pace[name] / max(spread[name], 1e-12) for name in pace},
        )


def _spread(numbers: Tensor) -> float:
    return float(numbers.std(0, correction=0).mean())
