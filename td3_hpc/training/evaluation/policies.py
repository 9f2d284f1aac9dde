"""Who drives an evaluation: a trained policy, or one of those that show what its figures are worth."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from td3_hpc.checkpoint import open_checkpoint
from td3_hpc.config import StageConfig
from td3_hpc.driving.pure_pursuit import pure_pursuit
from td3_hpc.errors import BadInput
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.device import choose_device
from td3_hpc.training.evaluation.cycle import Policy
from td3_hpc.training.seeding import derived_seed, generator

PolicyName = Literal["checkpoint", "untrained", "random", "pure-pursuit", "traffic-manager"]
Blank = Literal["image", "vector"]


def make_policy(name: PolicyName, config: StageConfig, path: Path) -> Policy:
    """The policy of a name; `path` is where a checkpoint is, for the one that needs it. Raises BadInput without one.

    untrained: the networks as a run with this seed begins. random: uniform actions, seeded. pure-pursuit: the scripted
    driver. traffic-manager: none at all, CARLA's Traffic Manager drives (the actions are ignored).
    """
    return _POLICIES[name](config, path)


def blinded(policy: Policy, blank: Blank) -> Policy:
    """The policy with one half of its observation set to zero: mid-grey pixels, or a vector of zeros."""

    def act(observation: Mapping[str, np.ndarray]) -> np.ndarray:
        zero = np.full_like(observation[blank], 128 if blank == "image" else 0)
        return policy({**observation, blank: zero})

    return act


def _trained(config: StageConfig, path: Path) -> Policy:
    agent, saved = _agent(config), open_checkpoint(path).state()["agent"]
    try:
        agent.load_state(saved)
    except ValueError as error:
        raise BadInput(
            f"{path}: its networks are not the configuration's ({error}); leave agent.hidden as it was"
        ) from None
    return agent.act


def _untrained(config: StageConfig, path: Path) -> Policy:
    return _agent(config).act


def _random(config: StageConfig, path: Path) -> Policy:
    source = generator(config.seed, "random policy")
    return lambda observation: source.uniform(-1.0, 1.0, 2).astype(np.float32)


def _scripted(config: StageConfig, path: Path) -> Policy:
    environment = config.environment
    spacing, speed = environment.route.waypoint_spacing_m, environment.reward.target_speed_kmh
    return lambda observation: pure_pursuit(dict(observation), spacing, speed)


def _nobody(config: StageConfig, path: Path) -> Policy:
    return lambda observation: np.zeros(2, np.float32)


def _agent(config: StageConfig) -> TD3Agent:
    return TD3Agent(config.agent, choose_device(config), derived_seed(config.seed, "agent"))


_POLICIES: dict[str, Callable[[StageConfig, Path], Policy]] = {
    "checkpoint": _trained,
    "untrained": _untrained,
    "random": _random,
    "pure-pursuit": _scripted,
    "traffic-manager": _nobody,
}
