"""The frame-deduplicated replay buffer.

buffer.py  the ring of transitions, and batches drawn from it
rows.py    what one transition is on disk
"""

from td3_hpc.replay.buffer import Batch, ReplayBuffer

__all__ = ["Batch", "ReplayBuffer"]
