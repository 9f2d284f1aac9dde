"""Batches and observations that need no environment."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from td3_hpc.replay import Batch


def random_batch(size: int, seed: int) -> Batch:
    """Independent random transitions, a fifth of them terminated."""
    generator = np.random.default_rng(seed)
    return Batch(
        frames=generator.integers(0, 256, (size, 5, 84, 84), dtype=np.uint8),
        vector=generator.uniform(-1, 1, (size, 53)).astype(np.float32),
        action=generator.uniform(-1, 1, (size, 2)).astype(np.float32),
        reward=generator.uniform(-1, 1, size).astype(np.float32),
        next_vector=generator.uniform(-1, 1, (size, 53)).astype(np.float32),
        terminated=generator.uniform(size=size) < 0.2,
    )


def random_observation(seed: int) -> dict[str, np.ndarray]:
    """One observation as the environment gives it."""
    batch = random_batch(1, seed)
    return {"image": batch.image[0], "vector": batch.vector[0]}


def leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every entry of a state tree by its dotted path; arrays as bytes."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= leaves(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value.tobytes() if isinstance(value, np.ndarray) else value
    return flat
