"""The driving task: town, traffic, routes, observation, reward and the end of an episode."""

from typing import Literal

from pydantic import Field, model_validator

from td3_hpc.config.base import ConfigSection

SituationKind = Literal[
    "stopped_car", "slow_car", "braking_car", "queue_at_light", "crossing_car", "parked_car", "pedestrian"
]


class TrafficConfig(ConfigSection):
    """NPC cars driven by CARLA's own Traffic Manager, in synchronous mode, and situations in which one must see."""

    vehicles: int = Field(10, ge=0, le=200)
    """NPC cars spawned at the start of each episode."""
    near_ego_m: float = Field(150.0, gt=0)
    """NPC cars start at the spawn points nearest to the route's start, within this distance where there are enough."""
    port: int = Field(8000, ge=0, le=65535)
    """Traffic Manager port of the training environment; 0 finds a free one."""
    evaluation_port: int = Field(8050, ge=0, le=65535)
    """Traffic Manager port of the evaluation environment; 0 finds a free one."""
    distance_to_leading_m: float = Field(2.5, ge=0)
    """Gap that NPC cars keep to the car ahead, in metres."""
    speed_below_limit_percent: float = Field(30.0, ge=-100, le=100)
    """NPC cars drive this many percent below the speed limit."""
    situations: list[SituationKind] = []
    """Each episode has one situation of these kinds on its route: something is in the way, and clears it some time
    after the ego has come near. Training draws the kind; held-out route k has the k-th, round and round."""

    @model_validator(mode="after")
    def _two_ports(self) -> "TrafficConfig":
        if self.port and self.port == self.evaluation_port:
            raise ValueError("port and evaluation_port must differ: each environment has a Traffic Manager of its own")
        return self


class RouteConfig(ConfigSection):
    """Routes over the map's waypoints."""

    min_length_m: float = Field(150.0, gt=0)
    """Shortest route, in metres along the road."""
    max_length_m: float = Field(400.0, gt=0)
    """Longest route, in metres along the road."""
    evaluation_routes: int = Field(10, ge=1)
    """Held-out routes; training never draws their starts or goals."""
    waypoint_spacing_m: float = Field(2.0, gt=0)
    """Distance between the route's waypoints; the observation shows the next 25 of them."""

    @model_validator(mode="after")
    def _ordered(self) -> "RouteConfig":
        if self.max_length_m < self.min_length_m:
            raise ValueError(f"max_length_m ({self.max_length_m}) is below min_length_m ({self.min_length_m})")
        return self


class CameraConfig(ConfigSection):
    """The ego vehicle's camera."""

    x_m: float = 1.5
    """Forward of the vehicle's centre, in metres."""
    z_m: float = Field(2.4, gt=0)
    """Above the ground, in metres."""
    pitch_deg: float = Field(-8.0, ge=-90, le=90)
    """Negative looks down, in degrees."""
    fov_deg: float = Field(100.0, gt=1, lt=179)
    """Horizontal field of view, in degrees."""


class RewardConfig(ConfigSection):
    """Weights of the five reward components, each in [-1, 1] (comfort and safety: [-1, 0]) before its weight, and what
    changes of efficiency are worth.

    The reward of one step therefore lies between `lowest` and `highest`; see docs/environment.md.
    """

    efficiency: float = Field(0.5, ge=0)
    """Weight of driving at the target speed."""
    speed_gain: float = Field(10.0, ge=0)
    """Decisions of efficiency that a change of it is worth in the decision that makes it: what speeds up a car that is
    too slow, or slows down one that is too fast, pays at once. Over an episode it adds up to what its end has gained
    over its start."""
    lane_keeping: float = Field(0.3, ge=0)
    """Weight of staying in the middle of the lane, along its direction."""
    comfort: float = Field(0.1, ge=0)
    """Weight of gentle acceleration, braking and bends."""
    safety: float = Field(1.0, ge=0)
    """Weight of not colliding, leaving the road or crossing a solid line."""
    progress: float = Field(0.5, ge=0)
    """Weight of advancing along the route."""
    target_speed_kmh: float = Field(16.0, gt=0)
    """Speed at which efficiency and progress are full, in km/h."""
    heeds_hazards: bool = False
    """The speed wanted, in efficiency and progress, is one from which the ego can brake at 2.5 m/s² for what is in its
    way and for a red or yellow light, and to run a red light costs as much as a crash. For a policy that is to see."""
    scale: float = Field(1.0, gt=0)
    """Multiplies the sum of all components. Anything but 1 is for experiments on badly scaled rewards."""

    @property
    def highest(self) -> float:
        """The highest reward of one step; comfort and safety can only take away."""
        return self.scale * (self.efficiency + self.lane_keeping + self.progress) + self.largest_gain

    @property
    def lowest(self) -> float:
        """The lowest reward of one step."""
        weights = self.efficiency + self.lane_keeping + self.comfort + self.safety + self.progress
        return -self.scale * weights - self.largest_gain

    @property
    def largest_gain(self) -> float:
        """The most that a change of efficiency, from -1 to 1, is worth, in one step as in an episode."""
        return 2 * self.scale * self.efficiency * self.speed_gain

    @property
    def bound(self) -> float:
        """The largest absolute reward of one step."""
        return -self.lowest


class EnvironmentConfig(ConfigSection):
    """One driving environment."""

    town: str = "Brookfield"
    """Name of a town that the simulator offers, or the path of an OpenDRIVE file."""
    vehicle: str = "vehicle.tesla.model3"
    """Blueprint of the ego vehicle."""
    fixed_delta_seconds: float = Field(0.05, gt=0, le=0.1)
    """Simulated seconds of one tick (CARLA's physics needs 0.1 or less)."""
    ticks_per_action: int = Field(2, ge=1, le=20)
    """Ticks for which one action is held: 2 ticks of 0.05 s make 10 decisions a second."""
    max_decisions: int = Field(1000, ge=1)
    """Decisions after which an episode is truncated."""
    stuck_decisions: int = Field(100, ge=1)
    """An ego below 0.1 m/s for this many decisions in a row is truncated as stuck. Those do not count in which it waits
    at a red or yellow light, or less than 12 m behind a vehicle that stands."""
    off_road_m: float = Field(2.0, gt=0)
    """The episode terminates when the ego's centre is farther than this outside every drivable lane, in metres."""
    reset: Literal["reload", "respawn"] = "reload"
    """`reload` makes an episode a function of its seed and actions alone; it costs 0.1 s on the embedded simulator
    and many seconds on CARLA, where `respawn` destroys and spawns instead and exactness is checked, not promised."""
    weather: list[str] = Field(["ClearNoon"], min_length=1)
    """CARLA weather presets, one drawn per episode."""
    traffic: TrafficConfig = TrafficConfig()
    route: RouteConfig = RouteConfig()
    camera: CameraConfig = CameraConfig()
    reward: RewardConfig = RewardConfig()
    speed_range_kmh: float = Field(40.0, gt=0)
    """Speed that the observation's vector tells as 1, in km/h; a higher one looks the same."""

    @model_validator(mode="after")
    def _target_is_seen(self) -> "EnvironmentConfig":
        if self.reward.target_speed_kmh > self.speed_range_kmh:
            raise ValueError(
                f"speed_range_kmh ({self.speed_range_kmh:g}) is below reward.target_speed_kmh "
                f"({self.reward.target_speed_kmh:g}), and a policy does not see by how much it is too fast; "
                f"set it to twice the target speed"
            )
        return self

    @property
    def speed_range(self) -> float:
        """The same in m/s."""
        return self.speed_range_kmh / 3.6

    @property
    def decision_seconds(self) -> float:
        """Simulated seconds of one decision."""
        return self.ticks_per_action * self.fixed_delta_seconds
