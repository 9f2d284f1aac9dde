"""Train Stable-Baselines3's TD3 on a stage: same environment, steps, batch, noise and held-out routes.

    python -m benchmarks.learning.stable_baselines3 configs/stages/5k.yaml --seed 1 --output peer-1

The output folder has a record in the form of this package's, with every evaluation cycle. Stable-Baselines3 has one
learning rate for a whole network and clips no gradient; it gets the stage's rate of the heads. It is trained as its
users train it: image and vector through its own `MultiInputPolicy`, with a CNN of 512 features each in actor and
critic.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise

from td3_hpc.config import StageConfig, load_stage
from td3_hpc.driving.environment import DrivingEnv
from td3_hpc.record import RECORD_FILE, Interval, RunRecord
from td3_hpc.supervision.supervisor_handle import Address, SupervisorHandle
from td3_hpc.training.evaluation.cycle import Driver, evaluate
from td3_hpc.training.signals import StopFlag
from td3_hpc.training.simulation import Simulation

READY_S = 120


class EvaluationCycles(BaseCallback):
    """Runs the stage's evaluation cycles on a simulator of their own, and writes them down."""

    def __init__(self, config: StageConfig, simulation: Simulation, stop: StopFlag, record: RunRecord) -> None:
        super().__init__()
        self._config, self._simulation, self._stop, self._record = config, simulation, stop, record
        self._cycles, self._trained_s, self._evaluating_s, self._started = 0, 0.0, 0.0, time.monotonic()

    def _on_step(self) -> bool:
        if self._stop:
            return False
        if self.num_timesteps % self._config.evaluation.every_steps:
            return True
        every, step = self._config.evaluation.every_steps, self.num_timesteps
        seconds = time.monotonic() - self._started - self._evaluating_s
        speed = every / (seconds - self._trained_s)
        self._cycles, self._trained_s = self._cycles + 1, seconds
        result = evaluate(
            Driver(lambda number: self._act),
            [self._simulation],
            cycle=self._cycles,
            numbers=range(self._config.episodes_of_cycle(step)),
            routes=self._config.environment.route.evaluation_routes,
            stop=self._stop,
        )
        self._evaluating_s += result.seconds
        self._record.step = step
        self._record.append(Interval(first_step=step - every + 1, last_step=step, steps_per_second=speed))
        self._record.append(result.as_event())
        print(f"step {self.num_timesteps}: {seconds:.0f} s, {result.means()}", flush=True)
        return True

    def _act(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        action, _ = self.model.predict(dict(observation), deterministic=True)
        return np.asarray(action, np.float32)


def train(config: StageConfig, output: Path) -> None:
    """One seed, from the first step to the last."""
    torch.set_num_threads(config.training.threads)
    output.mkdir(parents=True, exist_ok=True)
    (output / RECORD_FILE).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="peer-") as name, StopFlag() as stop:
        directory = Path(name)
        record = RunRecord(output)
        record.open()
        evaluation = Simulation(config, "evaluation", directory, record, stop)
        training = SupervisorHandle(
            config.simulator, "training", config.environment.town, directory / "simulators", directory
        )
        try:
            evaluation.start()
            training.start()
            address = wait_until_ready(training)
            env = DrivingEnv(config.environment, address.host, address.port, tm_port=0, seed=config.seed, timeout_s=60)
            try:
                model = make_model(config, env)
                model.learn(config.training.total_steps, EvaluationCycles(config, evaluation, stop, record))
            finally:
                env.close()
        finally:
            training.close()
            evaluation.close()
            record.close()


def make_model(config: StageConfig, env: DrivingEnv, **options: Any) -> TD3:
    """Stable-Baselines3's TD3 with a stage's numbers; `options` are its own."""
    agent = config.agent
    model = TD3(
        "MultiInputPolicy",
        env,
        learning_rate=agent.learning_rates.actor,
        buffer_size=config.replay.capacity,
        learning_starts=config.training.learning_starts,
        batch_size=agent.batch_size,
        tau=agent.tau,
        gamma=agent.discount,
        action_noise=NormalActionNoise(np.zeros(2), np.full(2, agent.exploration_noise)),
        policy_delay=agent.policy_freq,
        target_policy_noise=agent.policy_noise,
        target_noise_clip=agent.noise_clip,
        policy_kwargs={"net_arch": list(agent.hidden), "features_extractor_kwargs": {"cnn_output_dim": 512}},
        seed=config.seed,
        device="cpu",
        **options,
    )
    model.set_logger(Logger(None, []))
    return model


def wait_until_ready(simulator: SupervisorHandle) -> Address:
    """Where a simulator listens. Raises SystemExit where it is not ready in time."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        address = simulator.address(timeout_s=1.0)
        if address is not None:
            return address
    raise SystemExit(f"the simulator was not ready within {READY_S} s")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="a folder; its record is written anew")
    parser.add_argument("-o", dest="override", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    train(load_stage(arguments.stage, [*arguments.override, f"seed={arguments.seed}"]), arguments.output)


if __name__ == "__main__":
    main()
