"""Batches and observations that need no environment."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from td3_hpc.replay import Batch
from td3_hpc.spaces import ACTION, OBSERVATION, STACK, Entry


def random_batch(size: int, seed: int) -> Batch:
    """Independent random transitions, a fifth of them terminated."""
    generator = np.random.default_rng(seed)

    def draw(entry: Entry, *rows: int) -> np.ndarray:
        return np.stack([entry.random(generator) for _ in range(int(np.prod(rows)))]).reshape(*rows, *entry.row_shape)

    plain = [entry for entry in OBSERVATION if not entry.stacked]
    return Batch(
        frames={entry.name: draw(entry, size, STACK + 1) for entry in OBSERVATION if entry.stacked},
        values={entry.name: draw(entry, size) for entry in plain},
        action=draw(ACTION, size),
        reward=generator.uniform(-1, 1, size).astype(np.float32),
        next_values={entry.name: draw(entry, size) for entry in plain},
        terminated=generator.uniform(size=size) < 0.2,
    )


def random_observation(seed: int) -> dict[str, np.ndarray]:
    """One observation as the environment gives it."""
    return {name: arrays[0] for name, arrays in random_batch(1, seed).observation.items()}


def image_and_rest(observation: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Images (B, 4, 84, 84), and all other entries of a batch's observation side by side (B, n)."""
    rest = [observation[entry.name] for entry in OBSERVATION if not entry.stacked]
    return observation["image"], np.concatenate(rest, axis=1)


def leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every entry of a state tree by its dotted path; arrays as bytes."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= leaves(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value.tobytes() if isinstance(value, np.ndarray) else value
    return flat
