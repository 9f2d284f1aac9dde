"""Who drives an evaluation: a trained policy, or one of those that show what its figures are worth."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from td3_hpc.checkpoint import open_checkpoint
from td3_hpc.config import StageConfig
from td3_hpc.driving.pure_pursuit import pure_pursuit
from td3_hpc.errors import BadInput
from td3_hpc.spaces import ACTION, OBSERVATION, Observation
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.device import choose_device
from td3_hpc.training.evaluation.cycle import Policy
from td3_hpc.training.seeding import derived_seed, generator

PolicyName = Literal["checkpoint", "untrained", "random", "pure-pursuit", "traffic-manager"]


def make_policy(name: PolicyName, config: StageConfig, path: Path) -> Policy:
    """The policy of a name; `path` is where a checkpoint is, for the one that needs it. Raises BadInput without one.

    untrained: the networks as a run with this seed begins. random: uniform actions, seeded. pure-pursuit: the scripted
    driver. traffic-manager: none at all, CARLA's Traffic Manager drives (the actions are ignored).
    """
    return _POLICIES[name](config, path)


def blinded(policy: Policy, blank: str) -> Policy:
    """The policy with one entry of its observation in the middle of its range: mid-grey pixels, or zeros.

    Raises BadInput for an entry that there is not.
    """
    middles = {entry.name: entry.middle for entry in OBSERVATION}
    if blank not in middles:
        raise BadInput(f"--without: the observation holds no {blank}; it holds {', '.join(middles)}")

    def act(observation: Observation) -> np.ndarray:
        return policy({**observation, blank: np.full_like(observation[blank], middles[blank])})

    return act


def _trained(config: StageConfig, path: Path) -> Policy:
    agent, saved = _agent(config), open_checkpoint(path).state()["agent"]
    try:
        agent.load_state(saved)
    except ValueError as error:
        raise BadInput(
            f"{path}: its networks are not the configuration's ({error}); leave agent.hidden and agent.encoder as they "
            "were"
        ) from None
    return agent.act


def _untrained(config: StageConfig, path: Path) -> Policy:
    return _agent(config).act


def _random(config: StageConfig, path: Path) -> Policy:
    source = generator(config.seed, "random policy")
    return lambda observation: source.uniform(ACTION.low, ACTION.high, ACTION.shape).astype(ACTION.dtype)


def _scripted(config: StageConfig, path: Path) -> Policy:
    environment = config.environment
    spacing, speed = environment.route.waypoint_spacing_m, environment.reward.target_speed_kmh
    return lambda observation: pure_pursuit(dict(observation), spacing, speed)


def _nobody(config: StageConfig, path: Path) -> Policy:
    return lambda observation: np.zeros(ACTION.shape, ACTION.dtype)


def _agent(config: StageConfig) -> TD3Agent:
    return TD3Agent(config.agent, choose_device(config), derived_seed(config.seed, "agent"))


_POLICIES: dict[str, Callable[[StageConfig, Path], Policy]] = {
    "checkpoint": _trained,
    "untrained": _untrained,
    "random": _random,
    "pure-pursuit": _scripted,
    "traffic-manager": _nobody,
}
