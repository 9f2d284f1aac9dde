"""Updates on processors that other processes use too: PyTorch's threads with this package's spin count and without.

    python -m benchmarks shared_processors

Two threads on two processors, beside one busy process for each, as simulators and jobs of others are. Each unit is
eight updates at batch 64. libgomp's own spin count is 300,000 iterations; `td3_hpc/__init__.py` says why ours is less.
"""

import os
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

from benchmarks.transitions import fill_ours
from td3_hpc.config import AgentConfig
from td3_hpc.td3 import TD3Agent

SPIN_COUNTS = {"libgomp's own": "300000", "ours": "1000"}
THREADS, BATCH, UPDATES, ROUNDS = 2, 64, 8, 9


def serve() -> None:
    """A unit of work for every line of standard input; its seconds are a line of standard output."""
    torch.set_num_threads(THREADS)
    replay, agent = fill_ours(500), TD3Agent(AgentConfig(batch_size=BATCH), "cpu", seed=1)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(UPDATES):
            agent.update(replay.sample(BATCH))
        print(time.perf_counter() - start, flush=True)


def main() -> None:
    """Print how many times as fast, on idle processors and on shared ones."""
    for busy in (0, THREADS):
        others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
        try:
            seconds = _measure()
        finally:
            for other in others:
                other.kill()
                other.wait()
        ratios = [slow / fast for slow, fast in zip(*(seconds[name] for name in SPIN_COUNTS))]
        lower, middle, upper = statistics.quantiles(ratios, n=4)
        each = ", ".join(f"{name} {1e3 * np.median(seconds[name]) / UPDATES:.0f} ms" for name in SPIN_COUNTS)
        print(
            f"  beside {busy} busy processes: {each} an update; {middle:.2f} times as fast ({lower:.2f} to {upper:.2f})"
        )


def _measure() -> dict[str, list[float]]:
    """Seconds of each round, the two in turn."""
    command = [sys.executable, "-c", "from benchmarks.shared_processors import serve; serve()"]
    peers = {
        name: subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "GOMP_SPINCOUNT": count},
        )
        for name, count in SPIN_COUNTS.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(ROUNDS + 1):
        for name, peer in peers.items():
            assert peer.stdin is not None
            assert peer.stdout is not None
            peer.stdin.write("\n")
            peer.stdin.flush()
            seconds[name].append(float(peer.stdout.readline()))
    for peer in peers.values():
        peer.communicate()  # the end of its input ends it
    return {name: values[1:] for name, values in seconds.items()}  # the first round warms up


if __name__ == "__main__":
    main()
