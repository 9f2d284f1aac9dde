"""TD3 updates per second, against Stable-Baselines3's TD3.train on the same observation, networks and batch.

    python -m benchmarks td3_update

Batch 256, the observation of a run, NatureCNN of 512 features, heads [256, 256], a policy update every second
update. Each unit is two updates, sampling included; ours also clip every parameter group, measure its gradient norms
and return the update's statistics. Promised: 1.5 times Stable-Baselines3's speed, with bfloat16 2.5 times.
"""

import time

import gymnasium
import numpy as np
import torch
from stable_baselines3 import TD3
from stable_baselines3.common.logger import configure

from benchmarks.pairs import Facts, Setup, Work, measure
from benchmarks.transitions import ACTION_SPACE, OBSERVATION_SPACE, fill_ours, fill_theirs, transitions
from td3_hpc.config import AgentConfig
from td3_hpc.td3 import TD3Agent

BATCH = 256
TRANSITIONS = 2000
PROMISES = {"float32": 1.5, "bfloat16": 2.5}


class NoEnvironment(gymnasium.Env):
    """Only the spaces."""

    observation_space = OBSERVATION_SPACE
    action_space = ACTION_SPACE


def _ours(precision: str) -> tuple[Work, Facts]:
    """Two updates of this package's agent."""
    replay = fill_ours(TRANSITIONS)
    agent = TD3Agent(AgentConfig.model_validate({"precision": precision}), "cpu", seed=1)

    def work() -> None:
        for _ in range(2):
            agent.update(replay.sample(BATCH))

    return work, {"act_ms": 1e3 * _seconds_to_act(agent)}


def ours_float32() -> tuple[Work, Facts]:
    """In float32."""
    return _ours("float32")


def ours_bfloat16() -> tuple[Work, Facts]:
    """With bfloat16 autocast."""
    return _ours("bfloat16")


def stable_baselines3() -> tuple[Work, Facts]:
    """Two updates of Stable-Baselines3's TD3."""
    model = TD3(
        "MultiInputPolicy",
        NoEnvironment(),
        buffer_size=TRANSITIONS,
        batch_size=BATCH,
        policy_delay=2,
        policy_kwargs={"net_arch": [256, 256], "features_extractor_kwargs": {"cnn_output_dim": 512}},
        device="cpu",
    )
    model.set_logger(configure(None, []))
    fill_theirs(model.replay_buffer, TRANSITIONS)

    def work() -> None:
        model.train(gradient_steps=2, batch_size=BATCH)

    return work, {}


def _seconds_to_act(agent: TD3Agent) -> float:
    observation = next(transitions(1))[0]
    seconds = []
    for _ in range(50):
        start = time.perf_counter()
        agent.act(observation)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def main() -> None:
    """Measure with one thread and with two."""
    for threads in (1, 2):
        print(f"{threads} thread{'s' * (threads > 1)}, PyTorch {torch.__version__}")
        setups: dict[str, Setup] = {
            "stable_baselines3": stable_baselines3,
            "float32": ours_float32,
            "bfloat16": ours_bfloat16,
        }
        results = measure(setups, threads)
        peer = results["stable_baselines3"]
        print(f"  {'Stable-Baselines3':20} {peer.median * 500:7.1f} ms an update")
        for name, promise in PROMISES.items():
            ours = results[name]
            lower, middle, upper = ours.ratio_to(peer)
            print(
                f"  {'ours, ' + name:20} {ours.median * 500:7.1f} ms an update, {middle:.2f} times as fast "
                f"(quartiles {lower:.2f} to {upper:.2f}; promised {promise}); act {ours.facts['act_ms']:.2f} ms"
            )


if __name__ == "__main__":
    main()
