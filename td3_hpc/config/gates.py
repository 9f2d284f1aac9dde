"""Which gates a stage must pass, and their limits. A campaign file's `gates` sections hold only what differs.

Each field is a gate: the function of the same name in td3_hpc/gates judges it. docs/gates.md has them all.
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from td3_hpc.config.base import ConfigSection

Severity = Literal["blocking", "recommended", "optional"]
Off = Literal[False]
"""YAML's `off` (or `false`): the gate is not judged."""


class Gate(ConfigSection):
    """A gate without a number to set."""

    severity: Severity
    """`blocking`: missed, the stage is NO-GO. `recommended`: missed, it fails but blocks nothing. `optional`: missed,
    it is watched."""


class LimitGate(Gate):
    """A gate that holds a number against a limit."""

    limit: float = Field(ge=0)
    """The limit, in the unit that the gate's line names."""


def _gate(severity: Severity, limit: float | None = None) -> Any:
    return Gate(severity=severity) if limit is None else LimitGate(severity=severity, limit=limit)


class GatesConfig(ConfigSection):
    """The gates of one stage, each `{severity: …, limit: …}` or `off`; what is left out keeps its default."""

    # ---- the six validation checkpoints
    no_dimension_errors: Gate | Off = _gate("blocking")
    """Every observation has the announced shapes and types."""
    exploration_and_learning: Gate | Off = _gate("blocking")
    """Random actions up to `training.learning_starts`, then the policy's, with an update per step."""
    evaluation_and_resume: Gate | Off = _gate("blocking")
    """Each evaluation cycle completes and training goes on after it."""
    observations_normalised: Gate | Off = _gate("blocking")
    """Pixels and vector lie in [-1, 1], are finite and show something."""
    reward_components: Gate | Off = _gate("blocking")
    """All five components are recorded, work, and add up to the reward."""
    buffer_operations: Gate | Off = _gate("blocking")
    """The replay buffer holds every step, and its pixels reach both CNNs as gradients."""

    # ---- metrics
    total_steps: Gate | Off = _gate("blocking")
    """The record covers every step once."""
    critic_updates: Gate | Off = _gate("blocking")
    """One TD3 update per step after `training.learning_starts`."""
    actor_updates: Gate | Off = _gate("blocking")
    """One actor update per `agent.policy_freq` critic updates."""
    evaluations: Gate | Off = _gate("blocking")
    """One cycle per `evaluation.every_steps`, each with all its episodes."""
    finite: Gate | Off = _gate("blocking")
    """No NaN and no infinity in observations, rewards, losses, gradients."""
    actor_cnn_gradient: LimitGate | Off = _gate("blocking", 10_000.0)
    """Largest norm of the actor CNN's gradient before clipping."""
    actor_cnn_growth: LimitGate | Off = _gate("blocking", 2.0)
    """Factor per 100 updates by which that norm grows, beyond chance, towards `monitors.gradient_limits.actor_cnn`."""
    q_magnitude: LimitGate | Off = _gate("blocking", 2.0)
    """Largest |Q| in units of r_max / (1 - γ), the most that the reward allows."""
    checkpoints_saved: Gate | Off = _gate("recommended")
    """Every checkpoint that was due was written."""
    progress_dominance: LimitGate | Off = _gate("optional", 0.7)
    """Share of the progress reward in the magnitude of all five components."""
    action_saturation: LimitGate | Off = _gate("recommended", 0.9)
    """Share of the policy's actions beyond 0.99 of their range, in the last quarter of the run."""
    steps_per_second: LimitGate | Off = _gate("optional", 1.0)
    """Slowest acceptable median speed of training, in steps per second."""

    # ---- TD3's mechanisms, from sampled updates that were computed twice
    clipped_double_q: Gate | Off = _gate("blocking")
    """The targets used are r + γ min(Q1', Q2'), computed again."""
    delayed_policy: Gate | Off = _gate("blocking")
    """Actor and target networks move at every `agent.policy_freq`-th update and at no other."""
    target_smoothing: Gate | Off = _gate("blocking")
    """The target policy's noise is what its generator gives, and within `agent.noise_clip`."""

    # ---- driving, in the last evaluation cycle
    route_completion: LimitGate | Off = _gate("optional", 5.0)
    """Smallest mean share of the route that is driven, in percent."""
    collisions_per_km: LimitGate | Off = _gate("optional", 20.0)
    """Most collisions per kilometre."""

    @model_validator(mode="before")
    @classmethod
    def _fill_up(cls, data: Any) -> Any:
        """A gate that is given in part (`{limit: 5000}`) keeps the rest of its default."""
        if not isinstance(data, dict):
            return data
        filled = {}
        for name, value in data.items():
            default = cls.model_fields[name].default if name in cls.model_fields else None
            if isinstance(value, dict) and isinstance(default, Gate):
                value = {**default.model_dump(), **value}
            filled[name] = value
        return filled
