"""The frame-deduplicated replay buffer."""

from td3_hpc.replay.buffer import Batch, ReplayBuffer

__all__ = ["Batch", "ReplayBuffer"]
