"""What a part of the observation is, and what it may look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from td3_hpc.config.environment import EnvironmentConfig
from td3_hpc.driving.ego import EgoState
from td3_hpc.driving.route import Route, RoutePosition

if TYPE_CHECKING:
    from td3_hpc.driving.sensors import EgoSensor  # loads the client library, which a learner must not


@dataclass(frozen=True)
class Scene:
    """The world after a decision's last tick, as far as parts look at it."""

    actor: Any
    """The ego's `carla.ActorSnapshot`."""
    ego: EgoState
    route: Route
    position: RoutePosition
    """The ego's place on the route."""


class ObservationPart:
    """Makes one entry of the observation; a new one for every episode.

    The environment calls `attach` once, then for the first observation and after every decision `receive`, then
    `value`. All that a part does must be a function of the episode.
    """

    def __init__(self, config: EnvironmentConfig) -> None:
        self.config = config

    def attach(self, world: Any, ego: Any) -> "Sequence[EgoSensor]":
        """Spawn what it needs on the ego; returns that, and the environment closes and destroys it."""
        return ()

    def receive(self, frame: int, timeout_s: float) -> None:
        """Take in its sensors' data of a tick's frame. Raises SensorTimeout."""

    def value(self, scene: Scene) -> NDArray[Any]:
        """The entry, of the shape, type and range that `td3_hpc.spaces` declares; never changed afterwards."""
        raise NotImplementedError
