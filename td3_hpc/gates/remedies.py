"""The changes that failed gates suggest: keys of the configuration and their new values."""

from typing import Any

from td3_hpc.config import ClipNorms, LearningRates, RewardConfig, StageConfig


def stabilise(config: StageConfig, group: str) -> dict[str, Any]:
    """Against gradients or values of a parameter group that grow: what makes them smaller, the likely cause first.

    A reward scale of 1, the default clipping norm where there is none, and the group's default learning rate where it
    is above: what was seen to cure an explosion (docs/drills.md). Nothing where all of that is in use.
    """
    change: dict[str, Any] = {}
    if config.environment.reward.scale != 1:
        change["environment.reward.scale"] = 1.0
    if getattr(config.agent.clip_norms, group) is None:
        change[f"agent.clip_norms.{group}"] = getattr(ClipNorms(), group)
    rate, default = getattr(config.agent.learning_rates, group), getattr(LearningRates(), group)
    if rate > default:
        change[f"agent.learning_rates.{group}"] = default
    return change


def learns(config: StageConfig) -> dict[str, Any]:
    """Against a policy that has not learnt to drive: what was measured to help where it is not in force already, a
    penalty on saturated actions with more exploration noise (docs/learning.md); nothing else."""
    tried = {"agent.saturation_penalty": 0.05, "agent.exploration_noise": 0.2}
    return {} if config.agent.saturation_penalty > 0 else tried


def default_rates(config: StageConfig, network: str) -> dict[str, Any]:
    """The default learning rates of a network where its own are higher."""
    rates, defaults = config.agent.learning_rates, LearningRates()
    return {
        f"agent.learning_rates.{group}": getattr(defaults, group)
        for group in (network, f"{network}_cnn")
        if getattr(rates, group) > getattr(defaults, group)
    }


def unsaturated(config: StageConfig) -> dict[str, Any]:
    """Against actions at the ends of their range: a penalty on them, or a lower rate where there is one already."""
    return stabilise(config, "actor") if config.agent.saturation_penalty > 0 else {"agent.saturation_penalty": 0.05}


def restored(config: StageConfig, component: str) -> dict[str, Any]:
    """A reward component that is switched off gets its default weight."""
    return {f"environment.reward.{component}": getattr(RewardConfig(), component)}


def faster(config: StageConfig, computes_bfloat16: bool) -> dict[str, Any]:
    """Against slow updates: bfloat16, where the run's hardware computes it; elsewhere it would be slower still."""
    use = computes_bfloat16 and config.agent.precision != "bfloat16"
    return {"agent.precision": "bfloat16"} if use else {}
