"""TD3 updates per second, against Stable-Baselines3's TD3.train on the same observation, networks and batch.

    python -m benchmarks td3_update

Batches of 64 and 256, the observation of a run, NatureCNN of 512 features, heads [256, 256], a policy update every
second update. Each unit is two updates, sampling included; ours also clip every parameter group, measure its gradient
norms and return the update's statistics. The limit is the processor time that an update's multiplications and
additions would take at the rate of a product of two 2048 x 2048 matrices, measured in the same rounds. Promised: 1.5
times Stable-Baselines3's speed in float32, 2.5 times in bfloat16, which is left out where the processor does not
compute it.
"""

import functools
import statistics
import time

import gymnasium
import numpy as np
import torch
from stable_baselines3 import TD3
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.logger import Logger
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pairs import Facts, Setup, Work, measure
from benchmarks.transitions import ACTION_SPACE, OBSERVATION_SPACE, fill_ours, fill_theirs, transitions
from td3_hpc.config import AgentConfig
from td3_hpc.td3 import TD3Agent
from td3_hpc.td3.kernels import computes_bfloat16, processor_kind
from td3_hpc.training.device import keep_memory

BATCHES = (64, 256)
TRANSITIONS = 2000
PAPER = {"encoder": "nature", "saturation_penalty": 0}
"""The same networks and update as the peer's."""
PROMISES = {"float32": 1.5, "bfloat16": 2.5}
ROUNDS = 15
SIDE = 2048


class NoEnvironment(gymnasium.Env):
    """Only the spaces."""

    observation_space = OBSERVATION_SPACE
    action_space = ACTION_SPACE


def ours(batch: int, precision: str, kernels: str | None = None) -> tuple[Work, Facts]:
    """Two updates of this package's agent, by default with the kernels that it would choose."""
    keep_memory()
    replay = fill_ours(TRANSITIONS)
    agent = TD3Agent(AgentConfig.model_validate({**PAPER, "precision": precision}), "cpu", seed=1, kernels=kernels)

    def work() -> None:
        for _ in range(2):
            agent.update(replay.sample(batch))

    with FlopCounterMode(display=False) as counted:
        work()
    return work, {"act_ms": 1e3 * _seconds_to_act(agent), "gflop": counted.get_total_flops() / 2e9}


def stable_baselines3(batch: int) -> tuple[Work, Facts]:
    """Two updates of Stable-Baselines3's TD3."""
    model = TD3(
        "MultiInputPolicy",
        NoEnvironment(),
        buffer_size=TRANSITIONS,
        batch_size=batch,
        policy_delay=2,
        policy_kwargs={"net_arch": [256, 256], "features_extractor_kwargs": {"cnn_output_dim": 512}},
        device="cpu",
    )
    model.set_logger(Logger(None, []))
    assert isinstance(model.replay_buffer, DictReplayBuffer)
    fill_theirs(model.replay_buffer, TRANSITIONS)

    def work() -> None:
        model.train(gradient_steps=2, batch_size=batch)

    return work, {}


def product() -> tuple[Work, Facts]:
    """One product of two large matrices in float32."""
    a, b = torch.randn(2, SIDE, SIDE)
    out = torch.empty(SIDE, SIDE)

    def work() -> None:
        torch.mm(a, b, out=out)

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
    print(f"PyTorch {torch.__version__}, {processor_kind()}")
    precisions = ["float32", "bfloat16"] if computes_bfloat16(torch.device("cpu")) else ["float32"]
    for threads in (1, 2):
        for batch in BATCHES:
            _compare(threads, batch, precisions)


def _compare(threads: int, batch: int, precisions: list[str]) -> None:
    setups: dict[str, Setup] = {"peer": functools.partial(stable_baselines3, batch), "product": product}
    setups |= {precision: functools.partial(ours, batch, precision) for precision in precisions}
    results = measure(setups, threads, ROUNDS)
    peer, gflop = results["peer"], results["float32"].facts["gflop"]
    used = {name: 500 * statistics.median(result.processor_seconds) for name, result in results.items()}
    rate = SIDE**3 / used["product"] * 1e-6
    limit = 1e3 * gflop / rate
    print(
        f"{threads} thread{'s' * (threads > 1)}, batch {batch}: {gflop:.1f} GFLOP, {rate:.0f} GFLOP a processor second"
    )
    print(f"  Stable-Baselines3 {peer.median * 500:7.1f} ms an update, {limit / used['peer']:.0%} of the limit")
    for precision in precisions:
        found = results[precision]
        share = f", {limit / used[precision]:.0%} of the limit" if precision == "float32" else ""
        print(
            f"  ours, {precision:10}  {found.median * 500:7.1f} ms an update{share}; act {found.facts['act_ms']:.2f} ms"
        )
        for clock, ratio in (("", found.ratio_to(peer)), (" by processor time", found.processor_ratio_to(peer))):
            lower, middle, upper = ratio
            print(
                f"    {middle:.2f} times as fast{clock} (quartiles {lower:.2f} to {upper:.2f}; promised "
                f"{PROMISES[precision]})",
                flush=True,
            )


if __name__ == "__main__":
    main()
