"""What the replay buffer holds, in numbers."""

import numpy as np

from td3_hpc.replay import ReplayBuffer
from td3_hpc.replay.rows import FINAL, KIND, TERMINATED, TRANSITION, TRUNCATED


def replay_contents(replay: ReplayBuffer) -> dict[str, float]:
    """Transitions, how full the buffer is, its ended episodes, and the shares of those terminated and truncated."""
    transitions = episodes = terminated = truncated = 0
    first = replay.first_row
    while first < replay.next_row:
        # Up to where the ring comes round: those rows are views, no copy of the frames.
        end = min(replay.next_row, (first // replay.capacity + 1) * replay.capacity)
        flags = replay.read_rows(first, end)["flags"]
        kind = flags & KIND
        final = flags[kind == FINAL]
        transitions += int(np.count_nonzero(kind == TRANSITION))
        episodes += len(final)
        terminated += int(np.count_nonzero(final & TERMINATED))
        truncated += int(np.count_nonzero(final & TRUNCATED))
        first = end
    contents = {
        "replay/transitions": transitions,
        "replay/fill": (replay.next_row - replay.first_row) / replay.capacity,
        "replay/episodes": episodes,
    }
    if episodes:
        contents |= {"replay/terminated": terminated / episodes, "replay/truncated": truncated / episodes}
    return contents
