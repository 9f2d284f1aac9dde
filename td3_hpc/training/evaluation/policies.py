"""Who drives an evaluation: a trained policy, or one of those that show what its figures are worth."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from td3_hpc.checkpoint import open_checkpoint
from td3_hpc.config import StageConfig
from td3_hpc.driving.pure_pursuit import pure_pursuit
from td3_hpc.errors import BadInput
from td3_hpc.spaces import ACTION, OBSERVATION
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.device import choose_device
from td3_hpc.training.evaluation.cycle import Driver, Policy
from td3_hpc.training.evaluation.values import Value
from td3_hpc.training.seeding import derived_seed

PolicyName = Literal[
    "checkpoint", "untrained", "constant", "random", "pure-pursuit", "traffic-manager", "true-distances"
]
THROTTLES = tuple(tenths / 10 for tenths in range(1, 11))
"""The pedals of the constant drivers."""


def make_driver(name: PolicyName, config: StageConfig, path: Path) -> Driver:
    """The driver of a name, but `constant`, which is ten of them; `path` is where a checkpoint is, for the one that
    needs it. Raises BadInput without one.

    untrained: the networks as a run with this seed begins. random: uniform actions, in an episode of one number always
    the same. pure-pursuit: the scripted driver. traffic-manager: none at all, CARLA's Traffic Manager drives (the
    actions are ignored). true-distances: the scripted driver, told by the environment what is ahead.
    """
    return _DRIVERS[name](config, path)


def constant(throttle: float) -> Driver:
    """Never steers, and holds the pedal: what a policy that has learnt nothing comes to."""
    action = np.array((0.0, throttle), ACTION.dtype)
    return Driver(lambda number: lambda observation: action)


def of_agent(agent: TD3Agent) -> Driver:
    """The policy without noise, with its critic's opinion of it."""
    return Driver(lambda number: agent.act, Value(agent.value, agent.config.discount))


def blinded(driver: Driver, blank: str) -> Driver:
    """The driver with one entry of its observation in the middle of its range: mid-grey pixels, or zeros.

    Raises BadInput for an entry that there is not.
    """
    middles = {entry.name: entry.middle for entry in OBSERVATION}
    if blank not in middles:
        raise BadInput(f"--without: the observation holds no {blank}; it holds {', '.join(middles)}")

    def begin(number: int) -> Policy:
        policy = driver.policy(number)
        return lambda seen: policy({**seen, blank: np.full_like(seen[blank], middles[blank])})

    return replace(driver, policy=begin, value=None)


def _trained(config: StageConfig, path: Path) -> Driver:
    agent, saved = _agent(config), open_checkpoint(path).state()["agent"]
    try:
        agent.load_state(saved)
    except ValueError as error:
        raise BadInput(
            f"{path}: its networks are not the configuration's ({error}); leave agent.hidden and agent.encoder as they "
            "were"
        ) from None
    return of_agent(agent)


def _untrained(config: StageConfig, path: Path) -> Driver:
    return of_agent(_agent(config))


def _random(config: StageConfig, path: Path) -> Driver:
    def begin(number: int) -> Policy:
        source = np.random.default_rng(derived_seed(0, "random driver", number))
        return lambda observation: source.uniform(ACTION.low, ACTION.high, ACTION.shape).astype(ACTION.dtype)

    return Driver(begin)


def _scripted(config: StageConfig, path: Path) -> Driver:
    environment, speed = config.environment, config.environment.reward.target_speed_kmh
    return Driver(lambda number: lambda observation: pure_pursuit(dict(observation), environment, speed))


def _nobody(autopilot: str) -> Callable[[StageConfig, Path], Driver]:
    idle = Driver(lambda number: lambda observation: np.zeros(ACTION.shape, ACTION.dtype), autopilot=autopilot)
    return lambda config, path: idle


def _agent(config: StageConfig) -> TD3Agent:
    return TD3Agent(config.agent, choose_device(config), derived_seed(config.seed, "agent"))


_DRIVERS: dict[str, Callable[[StageConfig, Path], Driver]] = {
    "checkpoint": _trained,
    "untrained": _untrained,
    "random": _random,
    "pure-pursuit": _scripted,
    "traffic-manager": _nobody("traffic-manager"),
    "true-distances": _nobody("true-distances"),
}
