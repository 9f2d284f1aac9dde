"""Which gates a stage must pass, and their limits. A campaign file's `gates` sections hold only what differs.

Each field is a gate: the function of the same name in td3_hpc/gates judges it. docs/gates.md has them all.
"""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, model_validator

from td3_hpc.config.base import ConfigSection
from td3_hpc.config.monitors import ACTOR_CNN_GRADIENT_LIMIT, MonitorsConfig

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


class PictureGate(LimitGate):
    """The gate that is judged within a run."""

    from_step: int = Field(200_000, ge=1)
    """It is judged at the first evaluation cycle at or after this step."""


class MonitorGate(Gate):
    """A gate that holds a number against the limit whose crossing is an alert in the run itself."""

    limit: float | None = Field(None, ge=0)
    """`null`: the monitor's own, from the run's configuration."""


def _gate(severity: Severity, limit: float | None = None) -> Any:
    return Gate(severity=severity) if limit is None else LimitGate(severity=severity, limit=limit)


#: The gates that judge what a monitor watches, and where the monitor's limit stands.
_MONITORED: dict[str, Callable[[MonitorsConfig], float]] = {
    # A run that wants no alert is judged nevertheless.
    "actor_cnn_gradient": lambda monitors: monitors.gradient_limits.actor_cnn or ACTOR_CNN_GRADIENT_LIMIT,
    "actor_cnn_growth": lambda monitors: monitors.growth.factor,
    "q_magnitude": lambda monitors: monitors.q_factor,
}


class GatesConfig(ConfigSection):
    """The gates of one stage, each `{severity: …, limit: …}` or `off`; what is left out keeps its default."""

    # ---- the six validation checkpoints
    no_dimension_errors: Gate | Off = _gate("blocking")
    """Every observation has the announced shapes and types."""
    exploration_and_learning: Gate | Off = _gate("blocking")
    """Random actions up to `training.learning_starts`, then the policy's, with updates."""
    evaluation_and_resume: Gate | Off = _gate("blocking")
    """Each evaluation cycle completes and training goes on after it."""
    observations_normalised: Gate | Off = _gate("blocking")
    """Pixels and vector lie in [-1, 1] and are finite; the pictures show something, and not always the same."""
    reward_components: Gate | Off = _gate("blocking")
    """All five components are recorded, work, and add up to the reward."""
    buffer_operations: Gate | Off = _gate("blocking")
    """The replay buffer holds every step, and its pixels reach both CNNs as gradients."""

    # ---- metrics
    total_steps: Gate | Off = _gate("blocking")
    """The record covers every step once."""
    critic_updates: Gate | Off = _gate("blocking")
    """`training.updates_per_step` TD3 updates per step after `training.learning_starts`."""
    actor_updates: Gate | Off = _gate("blocking")
    """One actor update per `agent.policy_freq` critic updates."""
    evaluations: Gate | Off = _gate("blocking")
    """One cycle per `evaluation.every_steps`, each with all its episodes."""
    finite: Gate | Off = _gate("blocking")
    """No NaN and no infinity in observations, rewards, losses, gradients."""
    actor_cnn_gradient: MonitorGate | Off = MonitorGate(severity="blocking")
    """Largest norm of the actor CNN's gradient before clipping: `monitors.gradient_limits.actor_cnn`."""
    actor_cnn_growth: MonitorGate | Off = MonitorGate(severity="blocking")
    """Factor per 100 updates by which that norm grows, beyond chance, towards its limit: `monitors.growth.factor`."""
    q_magnitude: MonitorGate | Off = MonitorGate(severity="blocking")
    """Largest and smallest Q, as multiples of the most and the least that the reward allows, r_max / (1 - γ) and
    r_min / (1 - γ): `monitors.q_factor`."""
    checkpoints_saved: Gate | Off = _gate("recommended")
    """Every checkpoint that was due was written."""
    progress_dominance: LimitGate | Off = _gate("optional", 0.7)
    """Share of the progress reward in the magnitude of all five components, over the whole run. Lower than
    `monitors.reward_share`, which calls any component in any interval and must not call every one of them."""
    action_saturation: LimitGate | Off = _gate("blocking", 0.5)
    """Share of the policy's actions with a component, steering or pedal, beyond 0.95 of its range: the worse one, mean
    of the run's last quarter. Lower than `monitors.action_saturation`, which a single interval may come near to and
    recover."""
    actions_take_effect: LimitGate | Off = _gate("blocking", 0.5)
    """Least rank correlation, over the replay buffer's first transitions, of the pedal and the change of speed, and of
    steering and the changes of heading error and waypoints. Seen: 0.8 to 1 in the embedded simulator; -0.2 to 0.4 with
    actions exchanged or observations ten decisions old."""
    pixels_reach_heads: LimitGate | Off = _gate("recommended", 0.04)
    """Least spread of the CNNs' features over the pictures, as a share of that of the vector's numbers; and they drift
    by at most their spread in 100 updates. Seen: `steady` 0.05 to 0.09 and 0.01 to 0.13, `nature` 0.02 to 0.03."""
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
    above_constant: Gate | Off = _gate("blocking")
    """The policy completes more of its routes than the best driver that never steers, by the lower end of the 95 %
    interval; takes 20 episodes."""
    routes_completed: LimitGate | Off = _gate("blocking", 1)
    """Fewest routes that are driven to their end; takes 10 episodes."""
    policy_moves: LimitGate | Off = _gate("blocking", 0.01)
    """Smallest mean change of the policy's actions between the last two cycles, in [0, 2]."""
    overestimation: LimitGate | Off = _gate("blocking", 1.25)
    """Largest mean Q value in units of the mean discounted return that followed."""

    picture_matters: PictureGate | Off = PictureGate(severity="blocking", limit=20)
    """Fewest points of success that the picture is worth in the situations of the suite `must-see`, judged at the first
    evaluation cycle at or after `from_step`. Missed while it is `blocking`, it ends the run there."""

    def with_limits_of(self, monitors: MonitorsConfig) -> "GatesConfig":
        """The same gates, with the monitors' limits in place of `null`: a run is judged by what it was watched for."""
        found = {}
        for name, monitored in _MONITORED.items():
            gate: MonitorGate | Off = getattr(self, name)
            if gate:
                limit = monitored(monitors) if gate.limit is None else gate.limit
                found[name] = LimitGate(severity=gate.severity, limit=limit)
        return self.model_copy(update=found)

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
