"""Which part makes which entry of the observation."""

from td3_hpc.config.environment import EnvironmentConfig
from td3_hpc.driving.observation.base import ObservationPart
from td3_hpc.driving.observation.image import CameraImage
from td3_hpc.driving.observation.vector import RouteVector
from td3_hpc.spaces import OBSERVATION

PARTS: dict[str, type[ObservationPart]] = {
    "image": CameraImage,
    "vector": RouteVector,
}


def make_parts(config: EnvironmentConfig) -> dict[str, ObservationPart]:
    """A part for each entry, by name, for one episode."""
    return {entry.name: PARTS[entry.name](config) for entry in OBSERVATION}
