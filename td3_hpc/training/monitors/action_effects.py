"""Whether the actions in the replay buffer go with what they did to the ego."""

import numpy as np
import numpy.typing as npt

from td3_hpc.replay import Batch
from td3_hpc.spaces import VECTOR

Floats = npt.NDArray[np.float64]

MOVING = 0.01
"""Of the vector's range of speed; where the ego is slower, before and after, steering and brake do nothing."""
FEWEST = 32
"""Transitions of a moving ego below which a correlation says little."""


def action_effects(batch: Batch) -> dict[str, float]:
    """Rank correlations (Spearman 1904) over a batch's transitions in which the ego moves, in [-1, 1]; 1 is usual.

    `speed`: of the pedal and the change of speed; `heading`: of steering times speed and the change of heading error;
    `waypoints`: of the same and how far the farthest waypoint goes to the left. 0 where nothing changes; empty where
    the ego hardly moves.
    """
    before, after = (values[VECTOR.name].astype(np.float64) for values in (batch.values, batch.next_values))
    moves = np.maximum(before[:, 0], after[:, 0]) > MOVING
    if moves.sum() < FEWEST:
        return {}
    before, change = before[moves], (after - before)[moves]
    steering, pedal = batch.action[moves].astype(np.float64).T
    turn = steering * before[:, 0]
    return {
        "speed": _rank_correlation(pedal, change[:, 0]),
        "heading": _rank_correlation(turn, change[:, 2]),
        "waypoints": _rank_correlation(turn, -change[:, -1]),
    }


def _rank_correlation(x: Floats, y: Floats) -> float:
    x, y = _ranks(x), _ranks(y)
    spread = float(x.std() * y.std())
    return float(np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread else 0.0


def _ranks(x: Floats) -> Floats:
    """Equal numbers have the mean of their ranks."""
    _, which, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]
