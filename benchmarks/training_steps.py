"""Steps a second of whole training runs: by updates per step, batch and simulators, against Stable-Baselines3's TD3.

    python -m benchmarks training_steps

Every peer trains in Brookfield with ten cars, on embedded simulators of its own, past `learning_starts`; all use both
threads that two cores have between learner and simulators. A unit is 32 steps; the peers go round. Stable-Baselines3
gets one environment (its TD3 asks several in turn, in one process) and the same batch and updates per step.
"""

import contextlib
import functools
import tempfile
from multiprocessing.util import Finalize
from pathlib import Path

from stable_baselines3 import TD3

from benchmarks.learning.stable_baselines3 import make_model, wait_until_ready
from benchmarks.loops import endless_stage, make_loop, open_record
from benchmarks.pairs import Facts, Measurement, Setup, Work, measure
from td3_hpc.driving.environment import DrivingEnv
from td3_hpc.supervision.supervisor_handle import SupervisorHandle
from td3_hpc.training.signals import StopFlag
from td3_hpc.training.simulation import Simulation

STEPS = 32
ROUNDS = 15
LEARNING_STARTS = 304
PEERS = ((64, 1.0), (64, 0.25), (256, 0.25))
"""Batch and updates per step, at which Stable-Baselines3 is measured too."""
LEVERS = ((64, 0.25, 2), (64, 0.25, 4), (64, 0.25, 8), (64, 0.125, 4))
"""Batch, updates per step, simulators."""
TRAFFIC = {"port": 0, "evaluation_port": 0}


def ours(batch: int, updates: float, simulators: int) -> tuple[Work, Facts]:
    """The package's loop."""
    config = endless_stage(
        LEARNING_STARTS,
        simulators=simulators,
        agent={"batch_size": batch},
        training={"updates_per_step": updates},
        environment={"traffic": TRAFFIC},
    )
    stack = _closed_at_exit()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    record = open_record(folder / "run", stack)
    (folder / "run" / "logs").mkdir()
    (folder / "run" / "simulators").mkdir()
    stop = StopFlag()
    simulations = [Simulation(config, "training", folder / "run", record, stop, index) for index in range(simulators)]
    for simulation in simulations:
        stack.callback(simulation.close)
        simulation.start()
    loop, _ = make_loop(config, record, simulations, stack)

    def work() -> None:
        for _ in range(STEPS // simulators):
            loop.play_round()

    return work, {}


def theirs(batch: int, updates: float) -> tuple[Work, Facts]:
    """Stable-Baselines3's TD3, `1 / updates` steps before each update."""
    config = endless_stage(
        LEARNING_STARTS,
        agent={"batch_size": batch},
        environment={"traffic": TRAFFIC},
        replay={"capacity": 20_000},  # each observation twice, in memory
        checkpoint={"every_steps": 10_000},  # not made here; the schema holds it to half the capacity
    )
    stack = _closed_at_exit()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    simulator = SupervisorHandle(config.simulator, "training", config.environment.town, folder, folder)
    stack.callback(simulator.close)
    simulator.start()
    address = wait_until_ready(simulator)
    env = DrivingEnv(config.environment, address.host, address.port, tm_port=0, seed=1, timeout_s=60)
    stack.callback(env.close)
    model: TD3 = make_model(config, env, train_freq=round(1 / updates), gradient_steps=1)
    model.learn(LEARNING_STARTS)
    return lambda: _learn(model), {}


def _closed_at_exit() -> contextlib.ExitStack:
    """Closed at the end of the peer's process, which runs no `atexit`."""
    stack = contextlib.ExitStack()
    Finalize(None, stack.close, exitpriority=1)
    return stack


def _learn(model: TD3) -> None:
    model.learn(STEPS, reset_num_timesteps=False)


def main() -> None:
    """Print the tables."""
    setups: dict[str, Setup] = {}
    for batch, updates in PEERS:
        setups[f"SB3, {batch}, {updates:g}"] = functools.partial(theirs, batch, updates)
        setups[f"ours, {batch}, {updates:g}, 1"] = functools.partial(ours, batch, updates, 1)
    for batch, updates, simulators in LEVERS:
        setups[f"ours, {batch}, {updates:g}, {simulators}"] = functools.partial(ours, batch, updates, simulators)
    found = measure(setups, threads=2, rounds=ROUNDS, warm_up=2)
    print(
        f"steps a second of training, median of {ROUNDS} rounds of {STEPS} steps; against Stable-Baselines3: quartiles"
    )
    print("| | batch | updates a step | simulators | steps/s | times as fast |")
    for name, measurement in found.items():
        who, size, rate, *count = name.split(", ")
        peer = found.get(f"SB3, {size}, {rate}")
        against = _ratio(measurement, peer) if peer is not None and who == "ours" else ""
        print(f"| {who} | {size} | {rate} | {''.join(count) or 1} | {STEPS / measurement.median:.1f} | {against} |")


def _ratio(measurement: Measurement, peer: Measurement) -> str:
    low, middle, high = measurement.ratio_to(peer)
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


if __name__ == "__main__":
    main()
