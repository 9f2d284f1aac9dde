"""The changes that failed gates suggest: keys of the configuration and their new values."""

from typing import Any

from td3_hpc.config import (
    AgentConfig,
    CameraConfig,
    ClipNorms,
    EnvironmentConfig,
    LearningRates,
    RewardConfig,
    StageConfig,
    TrainingConfig,
)


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
    """Against a policy that has not learnt to drive: what the shipped stages learn to drive with (docs/learning.md)
    and this one has not; nothing where it has all of it."""
    agent, reward = config.agent, config.environment.reward
    shipped, shipped_reward = AgentConfig(), RewardConfig()
    change: dict[str, Any] = {}
    if agent.saturation_penalty < shipped.saturation_penalty:
        change["agent.saturation_penalty"] = shipped.saturation_penalty
    if agent.exploration_noise < shipped.exploration_noise:
        change["agent.exploration_noise"] = shipped.exploration_noise
    change |= _shipped_encoder(config)
    if agent.discount > shipped.discount:
        change["agent.discount"] = shipped.discount
    if reward.efficiency < shipped_reward.efficiency:
        change["environment.reward.efficiency"] = shipped_reward.efficiency
    if reward.speed_gain < shipped_reward.speed_gain:
        change["environment.reward.speed_gain"] = shipped_reward.speed_gain
    if config.environment.speed_range_kmh > EnvironmentConfig().speed_range_kmh:
        change["environment.speed_range_kmh"] = EnvironmentConfig().speed_range_kmh
    if reward.target_speed_kmh > shipped_reward.target_speed_kmh:
        change["environment.reward.target_speed_kmh"] = shipped_reward.target_speed_kmh
    if config.training.explore_after_standing is None:
        change["training.explore_after_standing"] = TrainingConfig.model_fields["explore_after_standing"].default
    return change | _rates_far_off(config)


def _shipped_encoder(config: StageConfig) -> dict[str, Any]:
    """The shipped encoder, where the run has another that did not come with its weights (`agent.pretrained`)."""
    shipped = AgentConfig().encoder
    return {} if config.agent.encoder == shipped or config.agent.pretrained else {"agent.encoder": shipped}


def _rates_far_off(config: StageConfig) -> dict[str, Any]:
    """The default of each learning rate that is ten times as high or as low, or more."""
    rates, defaults = config.agent.learning_rates, LearningRates()
    return {
        f"agent.learning_rates.{group}": getattr(defaults, group)
        for group in LearningRates.model_fields
        if not 0.1 < getattr(rates, group) / getattr(defaults, group) < 10.0
    }


def default_rates(config: StageConfig, *groups: str) -> dict[str, Any]:
    """The default learning rates of parameter groups where their own are higher."""
    rates, defaults = config.agent.learning_rates, LearningRates()
    return {
        f"agent.learning_rates.{group}": getattr(defaults, group)
        for group in groups
        if getattr(rates, group) > getattr(defaults, group)
    }


def unsaturated(config: StageConfig) -> dict[str, Any]:
    """Against actions at the ends of their range: as against a policy that has not learnt, else a lower rate."""
    return learns(config) or stabilise(config, "actor")


def steady(config: StageConfig) -> dict[str, Any]:
    """Against features that hardly vary, or drift: the shipped encoder, or, where the run has it, the CNNs' rates."""
    return _shipped_encoder(config) or default_rates(config, "actor_cnn", "critic_cnn")


def camera(config: StageConfig) -> dict[str, Any]:
    """Against pictures that tell nothing: the default of each key of the camera that has another value."""
    own, default = config.environment.camera, CameraConfig()
    return {
        f"environment.camera.{name}": getattr(default, name)
        for name in CameraConfig.model_fields
        if getattr(own, name) != getattr(default, name)
    }


def restored(config: StageConfig, component: str) -> dict[str, Any]:
    """A reward component that is switched off gets its default weight."""
    return {f"environment.reward.{component}": getattr(RewardConfig(), component)}


def faster(config: StageConfig, computes_bfloat16: bool) -> dict[str, Any]:
    """Against slow updates: bfloat16, where the run's hardware computes it; elsewhere it would be slower still."""
    use = computes_bfloat16 and config.agent.precision != "bfloat16"
    return {"agent.precision": "bfloat16"} if use else {}
