"""Sampled batches per second and bytes per transition, against Stable-Baselines3's DictReplayBuffer.

    python -m benchmarks replay

20,000 transitions in episodes of 200, batches of 256, each unit 20 batches. Memory is what the process grew by while
its buffer was created and filled. Promised: at most 7,700 bytes a transition, and no fewer batches a second.
"""

from stable_baselines3.common.buffers import DictReplayBuffer

from benchmarks.pairs import Facts, Setup, Work, measure, resident_bytes
from benchmarks.transitions import ACTION_SPACE, OBSERVATION_SPACE, fill_ours, fill_theirs, transitions

TRANSITIONS = 20_000
BATCH = 256
BATCHES = 20


def ours() -> tuple[Work, Facts]:
    """This package's buffer."""
    list(transitions(2))  # what generating them needs is not the buffer's
    before = resident_bytes()
    replay = fill_ours(TRANSITIONS)
    facts = {"bytes": (resident_bytes() - before) / len(replay)}

    def work() -> None:
        for _ in range(BATCHES):
            replay.sample(BATCH)

    return work, facts


def stable_baselines3() -> tuple[Work, Facts]:
    """Stable-Baselines3's."""
    list(transitions(2))
    before = resident_bytes()
    buffer = DictReplayBuffer(TRANSITIONS, OBSERVATION_SPACE, ACTION_SPACE, "cpu")
    fill_theirs(buffer, TRANSITIONS)
    facts = {"bytes": (resident_bytes() - before) / buffer.size()}

    def work() -> None:
        for _ in range(BATCHES):
            buffer.sample(BATCH)

    return work, facts


def main() -> None:
    """Measure with one thread."""
    setups: dict[str, Setup] = {"Stable-Baselines3": stable_baselines3, "ours": ours}
    results = measure(setups, threads=1)
    for name, result in results.items():
        print(f"  {name:20} {BATCHES / result.median:7.0f} batches/s {result.facts['bytes']:9,.0f} bytes a transition")
    lower, middle, upper = results["ours"].ratio_to(results["Stable-Baselines3"])
    print(f"  ours: {middle:.1f} times as many batches a second (quartiles {lower:.1f} to {upper:.1f}; promised 1)")


if __name__ == "__main__":
    main()
