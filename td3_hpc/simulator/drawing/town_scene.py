"""The scene of a whole town."""

from collections.abc import Sequence

import carla
import numpy as np

from td3_hpc.simulator.drawing.furniture import add_crosswalks, add_light, add_sign
from td3_hpc.simulator.drawing.landmarks import add_edge_objects, add_landmarks
from td3_hpc.simulator.drawing.relief import build_relief
from td3_hpc.simulator.drawing.roads import RoadRaster, build_roads, lowest, read_sections, settle
from td3_hpc.simulator.drawing.scene import Layer, Scene, SceneBuilder
from td3_hpc.simulator.towns.town import EdgeObject, SignSite, TrafficLightSite


def build_scene(
    road_map: carla.Map,
    opendrive: str,
    lights: Sequence[TrafficLightSite] = (),
    signs: Sequence[SignSite] = (),
    edge_objects: Sequence[EdgeObject] = (),
    hidden: Sequence[EdgeObject] = (),
) -> Scene:
    """Everything that stands still in a town.

    Args:
        road_map: the town's roads.
        opendrive: the text that they were read from.
        hidden: edge objects that are not drawn, and in whose place nothing else is.
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
        add_light(builder, road_map, light)
    for sign in signs:
        add_sign(builder, road_map, sign)
    add_edge_objects(builder, edge_objects, raster)
    for thing in hidden:
        raster.cover(np.array([(x, y, 0.0) for x, y in thing.box.corners()]))
    add_landmarks(builder, sections, raster)
    return builder.build()
