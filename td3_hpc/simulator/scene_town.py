"""The scene of a whole town."""

from collections.abc import Iterable
from typing import NamedTuple

import carla

from td3_hpc.simulator.geometry import Pose
from td3_hpc.simulator.scene import Layer, Scene, SceneBuilder
from td3_hpc.simulator.scene_furniture import add_crosswalks, add_landmarks, add_light, add_sign
from td3_hpc.simulator.scene_relief import build_relief
from td3_hpc.simulator.scene_roads import RoadRaster, build_roads, lowest, read_sections, settle


class LightPlace(NamedTuple):
    """A traffic light as the scene needs it."""

    signal_id: str
    pose: Pose
    """Foot of the pole; yaw = direction of the traffic that it stops, degrees."""
    stops: list[tuple[int, int, float]]
    """Road id, lane id and s of the stop line on each lane."""


class SignPlace(NamedTuple):
    """A sign as the scene needs it."""

    kind: str
    """CARLA's type id: 'traffic.stop', 'traffic.yield', 'traffic.speed_limit.30'."""
    pose: Pose
    """Foot of the pole; yaw = direction of the traffic that reads it, degrees."""


def build_scene(
    road_map: carla.Map, opendrive: str, lights: Iterable[LightPlace] = (), signs: Iterable[SignPlace] = ()
) -> Scene:
    """Everything that stands still in a town.

    Args:
        road_map: the town's roads; `opendrive`: the text that it was made from.
    """
    sections = read_sections(road_map, opendrive)
    base_z = lowest(sections)
    sections = settle(sections, base_z)
    builder = SceneBuilder(base_z)
    raster = RoadRaster(sections, (Layer.ASPHALT, Layer.SIDEWALK))
    build_roads(builder, sections)
    build_relief(builder, sections, raster)
    add_crosswalks(builder, road_map)
    for light in lights:
        add_light(builder, road_map, *light)
    for sign in signs:
        add_sign(builder, road_map, sign.kind, sign.pose)
    add_landmarks(builder, sections, raster)
    return builder.build()
