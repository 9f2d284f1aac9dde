"""What the monitors cost, as a share of a training step.

    python -m benchmarks monitors

A step here is what the learner itself does: an observation stored, a batch of 256 sampled, one TD3 update. With
monitors it also goes through all of the telemetry at the shipped rates: every observation, step and update checked, the
growth of four gradient norms fitted, one update in a hundred recomputed, an interval's summary and the gradient norms
written to a record and TensorBoard every hundredth. The simulator's time is left out, which makes the share larger than
a run's. A round is 200 steps with monitors; the parts that belong to them are timed where they are called, since the
scatter of an update's own time (15 % from one to the next) would drown a difference of one per cent between two runs.
The gradient norms' own computation is measured against the same update without it, in interleaved pairs.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles

import numpy as np
import torch

from benchmarks.transitions import fill_ours, transitions
from td3_hpc.config import StageConfig
from td3_hpc.driving.reward import COMPONENTS
from td3_hpc.record import RunRecord
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.telemetry.console import RunConsole
from td3_hpc.training.telemetry.telemetry import Telemetry
from td3_hpc.training.telemetry.tensorboard import TensorBoard

ROUNDS = 3
STEPS = 200
PAIRS = 40
PROMISED = 0.02


class Stopwatch:
    """Adds up the seconds of what is called through it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, work: Callable[..., object], *arguments: object) -> None:
        start = time.perf_counter()
        work(*arguments)
        self.seconds += time.perf_counter() - start


def make_telemetry(directory: Path, stack: ExitStack) -> Telemetry:
    """A telemetry as a run has it, with a record and TensorBoard files."""
    config = StageConfig.model_validate(
        {"name": "monitors", "training": {"total_steps": 10**6, "learning_starts": 1}, "evaluation": {"every_steps": 1}}
    )
    record, tensorboard = RunRecord(directory), TensorBoard(directory / "tensorboard", enabled=True)
    record.open()
    tensorboard.open()
    stack.callback(record.close)
    stack.callback(tensorboard.close)
    return Telemetry(config, record, tensorboard, stack.enter_context(RunConsole("monitors", 10**6, 0)))


def shares_of_a_step(rounds: int = ROUNDS) -> list[float]:
    """The monitors' share of a step, round by round."""
    replay = fill_ours(2000)
    agent = TD3Agent(StageConfig.model_fields["agent"].get_default(), "cpu", seed=1)
    observations = [observation for observation, *_ in transitions(50)]
    action, components = np.zeros(2, np.float32), dict.fromkeys(COMPONENTS, 0.1)
    shares, step = [], 0
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        telemetry = make_telemetry(Path(directory), stack)
        telemetry.watch(agent, replay)
        for _ in range(rounds):
            watched, start = Stopwatch(), time.perf_counter()
            for _ in range(STEPS):
                step += 1
                batch = replay.sample(256)
                watched(telemetry.before_update, agent, batch)
                stats = agent.update(batch)
                watched(telemetry.update, stats, agent.updates, step)
                watched(telemetry.observation, observations[step % 50])
                watched(telemetry.step, step, action, 0.5, components, False)
            shares.append(watched.seconds / (time.perf_counter() - start - watched.seconds))
    return shares


def cost_of_norms(pairs: int = PAIRS) -> tuple[float, float, float]:
    """Gradient norms and statistics of the update as a share of an update: quartiles over interleaved pairs.

    Measured by doing that work a second time on the gradients that the update has left.
    """
    replay = fill_ours(2000)
    agent = TD3Agent(StageConfig.model_fields["agent"].get_default(), "cpu", seed=1)
    shares = []
    for _ in range(pairs):
        start = time.perf_counter()
        for _ in range(2):
            agent.update(replay.sample(256))
        middle = time.perf_counter()
        for optimizer, times in ((agent.critic_optimizer, 2), (agent.actor_optimizer, 1)):
            for group in optimizer.groups:
                for _ in range(times):
                    # Before clipping, and once more after it.
                    norms = [torch.nn.utils.get_total_norm(group.gradients()) for _ in range(2)]
                    torch.stack(norms).tolist()
        shares.append((time.perf_counter() - middle) / (middle - start))
    lower, middle_share, upper = quantiles(shares, n=4)
    return lower, middle_share, upper


def main() -> None:
    """Measure with two threads, as the shipped stages train."""
    torch.set_num_threads(2)
    shares = shares_of_a_step()
    lower, norms, upper = cost_of_norms()
    print(f"telemetry: {100 * median(shares):.2f} % of a step ({', '.join(f'{100 * s:.2f}' for s in shares)})")
    print(
        f"gradient norms before and after clipping: {100 * norms:.2f} % (quartiles {100 * lower:.2f}–{100 * upper:.2f})"
    )
    print(f"together {100 * (median(shares) + norms):.2f} %; promised: under {100 * PROMISED:.0f} %")


if __name__ == "__main__":
    main()
