"""The schema of the record, second part: what a run measured. `run_events.py` has the first.

The names of fields in a line are those of the attributes, but for an alias (`return`, `replay/fill`) and for families,
whose entries stand by themselves (`reward/progress`). A new field has a default, so that older records are still read;
telemetry writes a new number of an interval to TensorBoard by itself.
"""

from typing import Annotated, Literal

from pydantic import Field

from td3_hpc.record.base import Event, Family, Fields


# ---- driving
class EpisodeSummary(Fields):
    """What came of a whole episode, as the environment tells it (`info["episode"]`)."""

    end_reason: str
    """Why it ended: `route_completed`, `collision`, `off_road`, `off_route`, `stuck`, `time_limit`."""
    return_: float = Field(alias="return")
    """Sum of the rewards (1)."""
    length: int
    """Its decisions (decisions)."""
    route_completion: float
    """Share of the route that was driven ([0, 1])."""
    route_length_m: float
    """Length of the route (metres)."""
    distance_m: float
    """Distance driven (metres)."""
    mean_speed_kmh: float
    """Mean speed (km/h)."""
    collisions: int
    """Collisions (1)."""
    lane_invasions: int
    """Lane markings crossed (1)."""
    reward_components: dict[str, float]
    """Sum of each weighted reward component (1)."""
    red_lights_met: int | None = None
    """Stop lines that the ego came within 10 m of while their light was red (1)."""
    red_lights_run: int | None = None
    """Of these, the ones that it crossed then (1)."""
    route: int | None = None
    """Number of the held-out route; null in training."""
    situation: str | None = None
    """What was in the way (`environment.traffic.situations`)."""
    contact: str | None = None
    """In a situation: the CARLA type of what the ego ran into."""

    @property
    def completed(self) -> bool:
        """It came to its goal."""
        return self.end_reason == "route_completed"


class EpisodeEnded(Event, kind="episode"):
    """A training episode ended. What was not measured, since its simulator was lost, is null."""

    index: int = 0
    """Number of the episode within the run, from 0."""
    first_step: int = 0
    """Step of the run that its first decision is (steps)."""
    last_step: int = 0
    """Step at which it ended (steps)."""
    seed: int = 0
    """Seed of the episode."""
    end_reason: str | None = None
    """As in `EpisodeSummary`, or `simulator_lost`, `not_reproduced`."""
    return_: float | None = Field(default=None, alias="return")
    """Sum of the rewards (1)."""
    length: int | None = None
    """Its decisions (decisions)."""
    route_completion: float | None = None
    """Share of the route that was driven ([0, 1])."""
    route_length_m: float | None = None
    """Length of the route (metres)."""
    distance_m: float | None = None
    """Distance driven (metres)."""
    mean_speed_kmh: float | None = None
    """Mean speed (km/h)."""
    collisions: int | None = None
    """Collisions (1)."""
    lane_invasions: int | None = None
    """Lane markings crossed (1)."""
    red_lights_met: int | None = None
    """Stop lines that the ego came within 10 m of while their light was red (1)."""
    red_lights_run: int | None = None
    """Of these, the ones that it crossed then (1)."""
    reward_components: dict[str, float] | None = None
    """Sum of each weighted reward component (1)."""
    situation: str | None = None
    """What was in the way (`environment.traffic.situations`)."""
    contact: str | None = None
    """In a situation: the CARLA type of what the ego ran into."""


class EvaluationCycle(Event, kind="evaluation"):
    """The deterministic policy drove whole episodes on held-out routes."""

    cycle: int
    """Number of the cycle, from 1."""
    means: dict[str, float]
    """Mean over the episodes of the measures of `EpisodeSummary` that are numbers."""
    episodes: list[EpisodeSummary]
    """Each whole episode."""
    lost: int = 0
    """Episodes that a lost simulator cut off; they were repeated (episodes)."""
    seconds: float | None = None
    """Wall-clock time of the cycle (seconds)."""
    policy_motion: float | None = None
    """Mean absolute change of the policy's actions since the cycle before, on up to 256 old observations of the replay
    buffer ([0, 2]); null for the first cycle, and where the buffer has overwritten them."""
    q_estimate: float | None = None
    """Mean of min(Q1, Q2) over every tenth state and action of the episodes (1)."""
    discounted_return: float | None = None
    """Mean discounted return that followed those states (1)."""
    value_states: int | None = None
    """How many states those are: of a truncated episode without its end, from which on the return is not known
    (states)."""


class ReferenceDrive(Event, kind="reference"):
    """A driver that does not learn drove the last cycle's episodes, to show what that cycle's figures are worth."""

    policy: Literal["constant", "random", "pure-pursuit"]
    """Who drove; `constant`: the best by mean completion of ten that never steer."""
    throttle: float | None = None
    """For `constant`: the pedal that it holds (1)."""
    episodes: list[EpisodeSummary]
    """Each whole episode, in the order of the cycle's."""
    seconds: float | None = None
    """Wall-clock time of the drives, all ten of `constant`; what was kept from earlier drives takes none (seconds)."""


class PictureDrive(Event, kind="picture"):
    """The policy drove a suite in which one must see, with its picture and without."""

    suite: str
    """The suite's name."""
    with_picture: list[EpisodeSummary]
    """Each whole episode, in the order of their numbers."""
    without_picture: list[EpisodeSummary]
    """The same episodes with mid-grey pictures."""
    seconds: float | None = None
    """Wall-clock time of both (seconds)."""

    @property
    def successes(self) -> tuple[float, float]:
        """Episodes that came to their goal, with the picture and without (percent)."""
        seeing, blind = (
            100.0 * sum(episode.completed for episode in episodes) / len(episodes)
            for episodes in (self.with_picture, self.without_picture)
        )
        return seeing, blind

    @property
    def gain(self) -> float:
        """What the picture is worth (points of success)."""
        seeing, blind = self.successes
        return seeing - blind


# ---- learning
class Interval(Event, kind="interval"):
    """Means, extremes and counts over `logging.interval_steps` steps. A number without a reading is null."""

    first_step: int
    """First step of the interval (steps)."""
    last_step: int
    """Last step of the interval (steps)."""
    steps_per_second: float | None = None
    """Speed, from the wall clock (steps/s)."""
    dimension_errors: int | None = None
    """Observations of another shape or type than announced (observations)."""
    non_finite: int | None = None
    """Observations, rewards and updates that held NaN or infinity (1)."""
    random_actions: int = 0
    """Decisions drawn at random, before learning starts and where the ego stands (decisions)."""
    policy_actions: int = 0
    """Decisions of the policy, with its noise (decisions)."""
    reward: float | None = None
    """Mean reward of a decision (1)."""
    rewards: Annotated[dict[str, float], Family("reward/")] = {}
    """Mean of each weighted reward component (1)."""
    reward_magnitudes: Annotated[dict[str, float], Family("reward_magnitude/")] = {}
    """Mean of each component's absolute value (1)."""
    reward_shares: Annotated[dict[str, float], Family("reward_share/")] = {}
    """Share of each component in the magnitude of all ([0, 1])."""
    action_saturation: float | None = None
    """Share of the decisions' components beyond 0.99 ([0, 1])."""
    image_min: float | None = None
    """Darkest pixel, scaled ([-1, 1])."""
    image_max: float | None = None
    """Brightest pixel, scaled ([-1, 1])."""
    vector_min: float | None = None
    """Smallest number of the observations' vectors ([-1, 1])."""
    vector_max: float | None = None
    """Largest number of the observations' vectors ([-1, 1])."""
    observation_minima: Annotated[dict[str, float], Family("observation/", "_min")] = {}
    """Smallest number of every other entry of the observation ([-1, 1])."""
    observation_maxima: Annotated[dict[str, float], Family("observation/", "_max")] = {}
    """Largest number of every other entry of the observation ([-1, 1])."""
    alerts: list[str] = []
    """Names of the alerts that were on; left out where there were none."""
    updates: int = 0
    """TD3 updates (updates)."""
    actor_updates: int = 0
    """Actor updates (updates)."""
    critic_loss: float | None = None
    """Mean loss of the twin critics (1)."""
    actor_loss: float | None = None
    """Mean loss of the actor (1)."""
    q_mean: float | None = None
    """Mean Q value (1)."""
    q_abs_max: float | None = None
    """Largest |Q| (1)."""
    q_max: float | None = None
    """Largest Q (1)."""
    q_min: float | None = None
    """Smallest Q (1)."""
    twin_disagreement: float | None = None
    """Mean |Q1 - Q2| (1)."""
    td_error: float | None = None
    """Mean absolute temporal-difference error (1)."""
    policy_saturation_steering: float | None = None
    """Share of the policy's actions at its updates whose steering is beyond 0.95 ([0, 1])."""
    policy_saturation_pedal: float | None = None
    """The same of the pedal, throttle or brake ([0, 1])."""
    policy_saturation_worst: float | None = None
    """The larger of the two ([0, 1])."""
    policy_saturation: float | None = None
    """Of earlier versions: share of both components together beyond 0.99 ([0, 1])."""
    gradient_maxima: Annotated[dict[str, float], Family("gradient/", "_max")] = {}
    """Largest gradient norm of each parameter group before clipping (L2 norm)."""
    mechanism_checks: int = 0
    """Updates that were recomputed (updates)."""
    mechanism_faults: int = 0
    """Faults found in them (1)."""
    parameter_norms: Annotated[dict[str, float], Family("parameters/")] = {}
    """Norm of each network's parameters at the interval's end (L2 norm)."""
    replay_transitions: int | None = Field(default=None, alias="replay/transitions")
    """Transitions that the replay buffer holds (transitions)."""
    replay_fill: float | None = Field(default=None, alias="replay/fill")
    """How full the buffer is ([0, 1])."""
    replay_episodes: int | None = Field(default=None, alias="replay/episodes")
    """Ended episodes in the buffer (episodes)."""
    replay_terminated: float | None = Field(default=None, alias="replay/terminated")
    """Share of them that terminated ([0, 1])."""
    replay_truncated: float | None = Field(default=None, alias="replay/truncated")
    """Share of them that were truncated ([0, 1])."""

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest number of each entry of the observation that was measured, by its name."""
        minima = {"image": self.image_min, "vector": self.vector_min, **self.observation_minima}
        maxima = {"image": self.image_max, "vector": self.vector_max, **self.observation_maxima}
        pairs = {name: (low, maxima.get(name)) for name, low in minima.items()}
        return {name: (low, high) for name, (low, high) in pairs.items() if low is not None and high is not None}

    @property
    def steps(self) -> int:
        """How many steps it covers."""
        return self.last_step - self.first_step + 1


class GradientReading(Event, kind="gradients"):
    """Gradient norms at one update, every `logging.gradient_interval_updates`."""

    update: int
    """Number of the update (updates)."""
    before_clipping: dict[str, float]
    """Norm of each parameter group (L2 norm)."""
    after_clipping: dict[str, float] = {}
    """The same after clipping (L2 norm)."""
    growth: dict[str, float | None] = {}
    """Fitted growth of each group's norm (factor per 100 updates)."""
    updates_to_limit: dict[str, float | None] = {}
    """When the fitted norm reaches the group's limit (updates); null: not at this rate."""


class FeatureReading(Event, kind="features"):
    """Whether the picture reaches the heads, on one update's batch, every `logging.gradient_interval_updates`."""

    update: int
    """Number of the update (updates)."""
    picture_spread: float | None = None
    """Standard deviation over the batch of a pixel of the newest picture, in [-1, 1], mean over the pixels (1)."""
    feature_spread: dict[str, float]
    """Standard deviation over the batch of a feature of `actor` and `critic`, mean over their features (1)."""
    vector_spread: float
    """The same of the numbers that the heads see beside the features (1)."""
    feature_drift: dict[str, float] = {}
    """Mean absolute change of a feature by this update, times 100 updates (multiples of `feature_spread`)."""


class EffectReading(Event, kind="effects"):
    """Whether the replay buffer's actions go with what they changed, on one update's batch, every
    `logging.gradient_interval_updates` (training/monitors/action_effects.py)."""

    update: int
    """Number of the update (updates)."""
    speed: float
    """Rank correlation of the pedal and the change of speed ([-1, 1])."""
    heading: float
    """The same of steering times speed and the change of heading error ([-1, 1])."""
    waypoints: float
    """The same and how far the farthest waypoint goes to the left ([-1, 1])."""


class MechanismSample(Event, kind="mechanisms"):
    """One update computed a second time, to see that TD3's mechanisms work in it (td3/mechanism_check.py)."""

    update: int
    """Number of the update (updates)."""
    target_max_error: float
    """Largest difference of a target from r + γ (1 - terminated) min(Q1', Q2') (share of the largest |Q'|)."""
    target_tolerance: float
    """What rounding explains of it (share of the largest |Q'|)."""
    minimum_share: float = 0.0
    """Mean distance of Q1' and Q2' (share of the largest |Q'|)."""
    smoothing_max: float
    """Largest absolute noise on the target policy's actions (1)."""
    smoothing_expected_max: float
    """The same, drawn from a copy of the generator (1)."""
    noise_clip: float
    """Bound of the noise (1)."""
    actor_updated: bool
    """Whether the actor's parameters changed."""
    expected_actor_update: bool
    """Whether this is a `policy_freq`-th update."""
    actor_updates: int
    """Actor updates so far (updates)."""
    expected_actor_updates: int
    """update / policy_freq (updates)."""
    targets_moved: bool
    """Whether a target network changed."""
    target_move_max_error: float = 0.0
    """Largest difference of a target network from target + τ (online - target) (share of its tensor's largest)."""
    faults: list[str] = []
    """What is not as TD3 prescribes, for people."""


# ---- alerts
class AlertChanged(Event, kind="alert"):
    """A watched number crossed its limit, or is clear of it again."""

    name: str
    """Name of the alert."""
    level: Literal["info", "warning", "critical"] = "warning"
    """How serious it is."""
    active: bool
    """True: raised, False: over."""
    value: float = float("nan")
    """The newest reading, in the watched number's unit."""
    limit: float = float("nan")
    """What it must not exceed."""
    meaning: str = ""
    """What it means and what to do, for people."""
    where: str | None = None
    """For NaN or infinity: in what."""
    names: list[str] = []
    """For NaN or infinity: the names of the numbers."""
    faults: list[str] = []
    """For TD3's mechanisms: what is wrong, for people."""
    factor: float | None = None
    """For growth: fitted factor (per 100 updates)."""
    significance: float | None = None
    """For growth: by how much rising pairs outnumber falling ones (standard deviations)."""
    norm: float | None = None
    """For growth: the fitted norm (L2 norm)."""
    updates_to_limit: float | None = None
    """For growth: when the fitted norm reaches its limit (updates)."""


class NotificationFailed(Event, kind="notification_failed"):
    """An alert could not be sent to the user's command or webhook."""

    reason: str
    """Why, for people."""
