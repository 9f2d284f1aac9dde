"""The row of the replay buffer: the one place that says what is stored for a step, and how it is packed.

An episode of T steps takes T + 1 rows. Row t holds observation t (only its newest frame, since the older ones stand
in the rows before) together with the action taken there and its reward; the last row holds the final observation and
says how the episode ended. The rows of episodes that several environments drive at once lie among each other, so each
row says where the row before it and the row after it in its own episode are. `flags` packs two things:

| bits | meaning |
|---|---|
| 0-1 | kind: `TRANSITION`, `FINAL` (an episode's last observation), `PENDING` (newest observation, no action yet) |
| 2-3 | on a `FINAL` row: `TERMINATED` or `TRUNCATED` |
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from td3_hpc.spaces import ACTION, OBSERVATION

SCHEMA: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
    **{entry.row_field: (entry.dtype, entry.row_shape) for entry in (*OBSERVATION, ACTION)},
    "reward": (np.dtype(np.float32), ()),
    "flags": (np.dtype(np.uint8), ()),
    "previous": (np.dtype(np.int32), ()),
    "next": (np.dtype(np.int32), ()),
}
"""Type and shape of each field of a row, in the order in which they are stored.

`previous` and `next` count rows: back to the row before in the episode, 0 on an episode's first row; on to the row
after, 0 on a row that is no `TRANSITION`.
"""

KIND = 0b0000_0011
TRANSITION, FINAL, PENDING = 1, 2, 3
TERMINATED = 0b0000_0100
TRUNCATED = 0b0000_1000

Rows = dict[str, NDArray[Any]]
"""Consecutive rows: field name to array, the row number along the first axis."""


def row_bytes() -> int:
    """Bytes of one row."""
    return sum(dtype.itemsize * int(np.prod(shape)) for dtype, shape in SCHEMA.values())
