"""Updates on processors that other processes use too: PyTorch's threads with this package's spin count and without.

    python -m benchmarks shared_processors

Two threads on two processors, beside one busy process for each, as simulators and jobs of others are. Each unit is
eight updates at batch 64. libgomp's own spin count is 300,000 iterations; `td3_hpc/__init__.py` says why ours is less.
"""

import subprocess
import sys

from benchmarks.pairs import Facts, Work, measure
from benchmarks.transitions import fill_ours
from td3_hpc.config import AgentConfig
from td3_hpc.td3 import TD3Agent

SPIN_COUNTS = {"libgomp's own": "300000", "ours": "1000"}
THREADS, BATCH, UPDATES, ROUNDS = 2, 64, 8, 9


def updates() -> tuple[Work, Facts]:
    """Eight updates."""
    replay, agent = fill_ours(500), TD3Agent(AgentConfig(batch_size=BATCH), "cpu", seed=1)

    def work() -> None:
        for _ in range(UPDATES):
            agent.update(replay.sample(BATCH))

    return work, {}


def main() -> None:
    """Print how many times as fast, on idle processors and on shared ones."""
    environments = {name: {"GOMP_SPINCOUNT": count} for name, count in SPIN_COUNTS.items()}
    for busy in (0, THREADS):
        others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
        try:
            results = measure(dict.fromkeys(SPIN_COUNTS, updates), THREADS, ROUNDS, 1, environments)
        finally:
            for other in others:
                other.kill()
                other.wait()
        lower, middle, upper = results["ours"].ratio_to(results["libgomp's own"])
        each = ", ".join(f"{name} {1e3 * result.median / UPDATES:.0f} ms" for name, result in results.items())
        print(
            f"  beside {busy} busy processes: {each} an update; {middle:.2f} times as fast ({lower:.2f} to {upper:.2f})"
        )


if __name__ == "__main__":
    main()
