"""What a training step costs against a simulator that waits, as a GPU renderer's does.

    python -m benchmarks overlap

The real training loop, agent, replay buffer and checkpoint store, against a simulator whose step takes 0.5, 1 and 2
times one update's time of waiting (no processor time). The loop sends the action, updates, then collects: a step
costs max(wait, update). The serial loop waits for the simulator before it updates: their sum. Each figure is the
median over interleaved rounds of (time of two steps) / (sum of max(wait, update) over the two), for every second update
also updates the policy and takes longer; all of them are measured in the same round.

And what several simulators are for: where a simulator's step takes four updates' time, four of them should train four
times as fast as one, since a round of four decisions costs max(wait, four updates).
"""

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.loops import endless_stage, make_loop, open_record
from td3_hpc.driving.worker_handle import StepResult
from td3_hpc.spaces import random_observation
from td3_hpc.training.loop import Components, TrainingLoop

ROUNDS = 15
FACTORS = (0.5, 1.0, 2.0)
LIMIT = 1.1
BATCH = 256
SEVERAL = 4
SEVERAL_BATCH = 16  # short updates: only how they and the waits lie beside each other is looked at


class WaitingSimulation:
    """A simulator whose step takes `wait` seconds of somebody else's time."""

    def __init__(self, serial: bool) -> None:
        self.wait = 0.0
        self.episode = None
        self._serial = serial
        self._ready_at = 0.0
        self._random = np.random.default_rng(0)

    def reset(self, seed: int, route: int | None = None) -> dict[str, np.ndarray]:
        return random_observation(self._random)

    def send(self, action: np.ndarray) -> None:
        self._ready_at = time.perf_counter() + self.wait
        if self._serial:
            self._sleep()

    def receive(self) -> StepResult:
        self._sleep()
        components = dict.fromkeys(("efficiency", "lane_keeping", "comfort", "safety", "progress"), 0.0)
        return StepResult(self.reset(0), 0.0, False, False, {"reward_components": components})

    def _sleep(self) -> None:
        time.sleep(max(0.0, self._ready_at - time.perf_counter()))


def waiting_loop(
    directory: Path, serial: bool, stack: contextlib.ExitStack, simulators: int = 1, batch: int = BATCH
) -> tuple[TrainingLoop, list[WaitingSimulation], Components]:
    """A loop past `learning_starts`, in a directory of its own."""
    config = endless_stage(300, simulators=simulators, agent={"batch_size": batch})
    simulations = [WaitingSimulation(serial) for _ in range(simulators)]
    loop, components = make_loop(config, open_record(directory, stack), simulations, stack)
    return loop, simulations, components


def seconds_of_two(action: Callable[[], object]) -> tuple[float, float]:
    """Times of two steps or updates: every second update also updates the policy, and takes longer."""
    started = time.perf_counter()
    action()
    halfway = time.perf_counter()
    action()
    return halfway - started, time.perf_counter() - halfway


def gains_of_several() -> list[float]:
    """Steps a second with SEVERAL simulators over those with one, round by round; each waits SEVERAL updates' time."""
    gains = []
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        one, (fast,), _ = waiting_loop(Path(directory) / "one", False, stack, batch=SEVERAL_BATCH)
        several, slow, _ = waiting_loop(Path(directory) / "several", False, stack, SEVERAL, SEVERAL_BATCH)
        _, _, apart = waiting_loop(Path(directory) / "update", False, stack, batch=SEVERAL_BATCH)
        for _ in range(ROUNDS):
            updates = seconds_of_two(lambda: apart.agent.update(apart.replay.sample(SEVERAL_BATCH)))
            for simulation in (fast, *slow):
                simulation.wait = SEVERAL * sum(updates) / 2
            gains.append(SEVERAL * sum(seconds_of_two(one.play_round)) / sum(seconds_of_two(several.play_round)))
    return gains


def main() -> None:
    """Print the table."""
    torch.set_num_threads(2)
    ratios: dict[tuple[float, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        loops = {
            kind: waiting_loop(Path(directory) / kind, kind == "serial", stack) for kind in ("overlapped", "serial")
        }
        _, _, apart = waiting_loop(Path(directory) / "update", False, stack)  # its updates must not count in a loop
        for _ in range(ROUNDS):
            updates = seconds_of_two(lambda: apart.agent.update(apart.replay.sample(BATCH)))
            for factor in FACTORS:
                wait = factor * sum(updates) / 2
                for kind, (loop, (simulation,), _) in loops.items():
                    simulation.wait = wait
                    steps = seconds_of_two(loop.play_round)
                    ratio = sum(steps) / sum(max(wait, update) for update in updates)
                    ratios.setdefault((factor, kind), []).append(ratio)
    print(f"time of a training step / max(wait, its update), median of {ROUNDS}; limit {LIMIT}")
    for factor in FACTORS:
        overlapped, serial = (median(ratios[factor, kind]) for kind in ("overlapped", "serial"))
        print(f"wait {factor:3.1f} x update: overlapped {overlapped:.2f}, serial {serial:.2f}")
    gains = gains_of_several()
    print(f"{SEVERAL} simulators that wait {SEVERAL} x update: {median(gains):.2f} times the steps a second of one")


if __name__ == "__main__":
    main()
