"""What is watched, and the limits whose crossing is an alert."""

import math
from collections.abc import Iterator

from td3_hpc.config import StageConfig
from td3_hpc.driving.reward import COMPONENTS
from td3_hpc.training.monitors.alerts import Limit

GROUP_NAMES = {
    "actor": "actor's head",
    "critic": "critics' heads",
    "actor_cnn": "actor CNN",
    "critic_cnn": "critic CNN",
}


def value_bounds(config: StageConfig) -> tuple[float, float]:
    """The least and the most that a state can be worth: the lowest or highest reward for ever, r / (1 - discount), and
    once what speed can gain."""
    reward, steps = config.environment.reward, 1 / (1 - config.agent.discount)
    gain = reward.largest_gain
    return (reward.lowest + gain) * steps - gain, (reward.highest - gain) * steps + gain


def value_reach(config: StageConfig, q_min: float, q_max: float) -> float:
    """How far values reach into what the reward allows: 1 at its upper or lower bound, more beyond; NaN where one is.

    A bound of 0 counts as 1e-9, so that the smallest value beyond it is far.
    """
    low, high = value_bounds(config)
    reached = (q_max / max(high, 1e-9), q_min / min(low, -1e-9))
    return math.nan if math.isnan(sum(reached)) else max(reached)


def gradient_limits(config: StageConfig) -> dict[str, float]:
    """The limit of each parameter group that has one."""
    return {group: limit for group, limit in config.monitors.gradient_limits if limit is not None}


def limits(config: StageConfig) -> tuple[Limit, ...]:
    """The limits of a run."""
    return (*_gradients(config), *_values(config), *_behaviour(config), *_faults())


def _gradients(config: StageConfig) -> Iterator[Limit]:
    for group, highest in gradient_limits(config).items():
        yield Limit(
            f"{group}_gradient",
            f"gradient/{group}_max",
            highest,
            "critical",
            f"the {GROUP_NAMES[group]}'s gradient norm before clipping is beyond what a stable run shows; lower "
            f"agent.learning_rates.{group}, set agent.clip_norms.{group}, and look at the reward's scale",
        )
        yield Limit(
            f"{group}_growth",
            None,  # each fit of the growth monitor is observed
            config.monitors.growth.factor,
            "warning",
            f"the {GROUP_NAMES[group]}'s gradient norm grows exponentially and nears its limit of {highest:g} (value: "
            f"factor per 100 updates); lower agent.learning_rates.{group} or the reward's scale before it is reached",
        )


def _values(config: StageConfig) -> Iterator[Limit]:
    """Twice the bounds leave room for the overestimation of an untrained critic."""
    monitors, (low, high) = config.monitors, value_bounds(config)
    factor, bound = monitors.q_factor, max(high, -low)
    yield Limit(
        "q_magnitude",
        None,  # each update is observed
        factor,
        "critical",
        f"Q is outside {factor * low:g} to {factor * high:g}, {factor:g} times what the reward allows (value: in units "
        "of that); the critics diverge: lower agent.learning_rates.critic and .critic_cnn, and look at the reward's "
        "scale",
    )
    yield Limit(
        "twin_disagreement",
        "twin_disagreement",
        monitors.twin_disagreement * bound,
        "warning",
        "the twin critics disagree by a large part of what the reward allows; their values are not to be trusted yet",
    )
    yield Limit(
        "td_error",
        "td_error",
        monitors.td_error * bound,
        "warning",
        "the critics miss their targets by a large part of what the reward allows; they do not learn",
    )


def _behaviour(config: StageConfig) -> Iterator[Limit]:
    yield Limit(
        "action_saturation",
        "policy_saturation_worst",
        config.monitors.action_saturation,
        "warning",
        "the policy's steering or pedal is saturated, so that its gradient vanishes; set agent.saturation_penalty "
        "(0.3), agent.exploration_noise (0.2) and agent.encoder (steady), with which the shipped stages learn",
    )
    for name in COMPONENTS:
        yield Limit(
            f"{name}_dominates",
            f"reward_share/{name}",
            config.monitors.reward_share,
            "info",
            f"nearly all of the reward is {name}: the other components hardly count. Expected early; if it lasts, "
            "change the weights in environment.reward",
        )


def _faults() -> Iterator[Limit]:
    yield Limit(
        "dimension_errors", "dimension_errors", 0, "critical", "an observation had another shape or type than announced"
    )
    yield Limit(
        "non_finite",
        "non_finite",
        0,
        "critical",
        "NaN or infinity in an observation, a reward, a gradient or a network; the run stops",
    )
    yield Limit(
        "mechanisms",
        "mechanism_faults",
        0,
        "critical",
        "an update, recomputed independently, is not what TD3 prescribes: the code or the device computes wrong",
    )
