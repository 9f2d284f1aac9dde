"""The frame-deduplicated replay buffer."""

from td3_hpc.replay.buffer import Batch, Observation, ReplayBuffer

__all__ = ["Batch", "Observation", "ReplayBuffer"]
