"""The scene of a town: surfaces, paint, kerbs, what carries raised road, lights and crosswalks, the index."""

import math
from collections.abc import Sequence

import carla
import numpy as np
import pytest

from td3_hpc.simulator.drawing.scene import CELL, VIEW_DISTANCE, Block, Layer, Scene, SceneBuilder
from td3_hpc.simulator.drawing.town_scene import build_scene
from td3_hpc.simulator.geometry import OrientedBox, Pose
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.towns.town import EdgeObject, LanePlace, SignSite, TrafficLightSite
from tests.simulator.opendrive_text import Road, hill, opendrive_text, ramp


def scene_of(
    *roads: Road,
    lights: Sequence[TrafficLightSite] = (),
    signs: Sequence[SignSite] = (),
    things: Sequence[EdgeObject] = (),
) -> Scene:
    text = opendrive_text(roads)
    return build_scene(carla.Map("test", text), text, lights, signs, things)


def light_at(x: float) -> TrafficLightSite:
    """A light for the right lane of road 1, which stops at 60 m."""
    box = OrientedBox(Pose(58.0, 1.75, 1.0), (2.0, 1.75, 1.0))
    return TrafficLightSite("17", Pose(x, 4.5, 0.0), 90.0, -1, (LanePlace(1, -1, 60.0),), (box,), box, ())


def area(quads: Block, chosen: np.ndarray) -> float:
    """Seen from above, m^2."""
    corners = quads.corners[chosen]
    return float(0.5 * np.abs(np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])[:, 2]).sum())


def rows(scene: Scene, label: CityObjectLabel, layer: Layer | None = None) -> np.ndarray:
    found = scene.quads.label == label
    return found if layer is None else found & (scene.quads.layer == layer)


FLAT = Road(0.0, 0.0, 0.0, 120.0)


def test_asphalt_covers_the_lanes_and_nothing_else() -> None:
    scene = scene_of(FLAT)
    road = rows(scene, CityObjectLabel.ROADS)
    assert area(scene.quads, road) == pytest.approx(7.0 * 120.0, rel=1e-3)
    corners = scene.quads.corners[road]
    assert np.abs(corners[..., 1]).max() == pytest.approx(3.5, abs=1e-3)
    assert (scene.quads.normal[road, 2] > 0.999).all()


def test_a_straight_flat_road_needs_few_pieces() -> None:
    assert rows(scene_of(FLAT), CityObjectLabel.ROADS).sum() <= 4


@pytest.mark.parametrize(
    ("kind", "stripes", "share"),
    [("none", 0, 0.0), ("solid", 1, 1.0), ("broken", 1, 1 / 3), ("solid solid", 2, 1.0), ("solid broken", 2, 2 / 3),
     ("broken solid", 2, 2 / 3), ("broken broken", 2, 1 / 3)],
)  # fmt: skip
def test_paint_has_the_type_of_the_marking(kind: str, stripes: int, share: float) -> None:
    scene = scene_of(FLAT._replace(middle=(kind, "yellow"), edge=("none", "white")))
    paint = rows(scene, CityObjectLabel.ROAD_LINES)
    assert area(scene.quads, paint) == pytest.approx(120.0 * 0.15 * stripes * share, rel=0.05)
    if stripes:
        sides = np.unique(np.sign(np.round(scene.quads.centre[paint, 1], 2)))
        assert len(sides) == stripes


def test_paint_has_the_colour_of_the_marking() -> None:
    scene = scene_of(FLAT)
    paint = rows(scene, CityObjectLabel.ROAD_LINES)
    middle = paint & (np.abs(scene.quads.centre[:, 1]) < 1.0)
    edge = paint & (np.abs(scene.quads.centre[:, 1]) > 3.0)
    blue, _, red = scene.quads.colour[middle].mean(axis=0)
    assert red > 3 * blue, "yellow has little blue"
    assert np.ptp(scene.quads.colour[edge].mean(axis=0)) < 5, "white has all colours alike"


def test_kerbs_face_the_carriageway() -> None:
    scene = scene_of(FLAT._replace(sidewalk=True))
    kerb = scene.quads.layer == Layer.KERB
    assert kerb.any()
    outwards = scene.quads.normal[kerb, 1] * scene.quads.centre[kerb, 1]
    assert (outwards < 0.0).all(), "visible from the road's side"
    walk = rows(scene, CityObjectLabel.SIDEWALKS, Layer.SIDEWALK)
    assert area(scene.quads, walk) == pytest.approx(2 * 2.0 * 120.0, rel=1e-3)
    assert scene.quads.centre[walk, 2].min() > 0.05


def test_base_comes_first_and_in_order_of_layers() -> None:
    scene = scene_of(Road(0.0, 0.0, 0.0, 200.0, ramp(100.0, 160.0, 0.0, 6.0), sidewalk=True))
    layers = scene.quads.layer[: scene.quads.base_count]
    assert (np.diff(layers) >= 0).all()
    assert (layers < Layer.UPRIGHT).all()
    assert scene.has_relief
    assert not scene_of(FLAT).has_relief


def test_raised_road_stays_on_its_profile_in_small_pieces() -> None:
    scene = scene_of(Road(0.0, 0.0, 0.0, 200.0, hill(40.0, 100.0, 160.0, 8.0)))
    road = rows(scene, CityObjectLabel.ROADS)
    raised = road & (scene.quads.centre[:, 2] > 1.0)
    assert raised.any()
    length = np.ptp(scene.quads.corners[raised, :, 0], axis=1)
    assert length.max() < CELL
    for x, z in scene.quads.corners[road][:, :, [0, 2]].reshape(-1, 2):
        run = (x - 40.0) / 60.0 if x <= 100.0 else (160.0 - x) / 60.0
        run = min(max(run, 0.0), 1.0)
        assert z == pytest.approx(8.0 * run * run * (3.0 - 2.0 * run), abs=0.05)


def test_an_embankment_reaches_the_ground_and_has_rails() -> None:
    scene = scene_of(Road(0.0, 0.0, 0.0, 200.0, ramp(60.0, 120.0, 0.0, 6.0)))
    slope = rows(scene, CityObjectLabel.TERRAIN)
    assert scene.quads.corners[slope][..., 2].min() == pytest.approx(scene.base_z, abs=1e-3)
    assert scene.quads.corners[slope][..., 2].max() == pytest.approx(6.0, abs=0.01)
    assert rows(scene, CityObjectLabel.GUARD_RAIL).any()
    assert not rows(scene, CityObjectLabel.BRIDGE).any()


def test_road_over_road_is_a_bridge_of_two_storeys() -> None:
    below = Road(0.0, 0.0, 0.0, 200.0)
    above = Road(100.0, -100.0, math.pi / 2, 200.0, [(0.0, 8.0, 0.0, 0.0, 0.0)])
    scene = scene_of(below, above)
    assert rows(scene, CityObjectLabel.BRIDGE).any()
    assert scene.storey(100.0, 0.0, 0.5) == 0
    assert scene.storey(100.0, 0.0, 8.5) == 1
    slope = scene.quads.centre[rows(scene, CityObjectLabel.TERRAIN)]
    assert (np.abs(slope[:, 1]) > 6.0).all(), "no embankment across the lower road"


def test_there_is_no_kerb_where_another_road_crosses() -> None:
    crossed, free = Road(96.0, 0.0, 0.0, 8.0, sidewalk=True), Road(0.0, 0.0, 0.0, 96.0, sidewalk=True)
    scene = scene_of(free, crossed, Road(100.0, -40.0, math.pi / 2, 80.0))
    kerb = scene.quads.centre[scene.quads.layer == Layer.KERB, 0]
    assert len(kerb)
    assert kerb.max() < 96.0


def test_a_light_has_three_lamps_that_face_the_traffic_and_a_stop_line() -> None:
    scene = scene_of(FLAT, lights=[light_at(80.0)])
    assert scene.light_ids == ("17",)
    lamps = scene.quads.lamp >= 0
    assert sorted(set(scene.quads.lamp[lamps].tolist())) == [0, 1, 2]
    assert (scene.quads.normal[lamps, 0] < -0.99).all()
    heights = [scene.quads.centre[scene.quads.lamp == lamp, 2].mean() for lamp in range(3)]
    assert heights == sorted(heights, reverse=True), "red on top"
    line = rows(scene, CityObjectLabel.ROAD_LINES) & (np.abs(scene.quads.centre[:, 0] - 60.0) < 1.0)
    line &= (scene.quads.size > 0.4) & (scene.quads.centre[:, 1] > 0.5)
    assert line.sum() == 1


def test_a_light_at_the_stop_line_gets_a_second_head_across_the_junction() -> None:
    count = {}
    for name, x in (("near", 61.0), ("far", 80.0)):
        scene = scene_of(FLAT, lights=[light_at(x)])
        count[name] = int((scene.quads.lamp == 0).sum())
        assert scene.quads.centre[scene.quads.lamp == 0, 0].max() > 75.0
    assert count["near"] == 2 * count["far"]


def test_a_sign_faces_the_traffic() -> None:
    trigger = OrientedBox(Pose(50.0, 1.75, 1.0), (2.0, 1.75, 1.0))
    sign = SignSite("3", "traffic.stop", Pose(50.0, 5.0, 0.0), 90.0, trigger, (LanePlace(1, -1, 50.0),))
    scene = scene_of(FLAT, signs=[sign])
    plate = rows(scene, CityObjectLabel.TRAFFIC_SIGNS)
    assert plate.any()
    assert (scene.quads.normal[plate, 0] < -0.99).all()


def test_edge_objects_are_drawn_where_they_are() -> None:
    wall = EdgeObject(
        OrientedBox(Pose(40.0, 9.0, 1.0, yaw=30.0), (12.0, 0.2, 1.0)), CityObjectLabel.WALLS, (90, 90, 90)
    )
    scene = scene_of(FLAT, things=[wall])
    found = scene.quads.corners[rows(scene, CityObjectLabel.WALLS)]
    outline = np.array(wall.box.corners())
    assert found[..., :2].min(axis=(0, 1)) == pytest.approx(outline.min(axis=0), abs=1e-3)
    assert found[..., :2].max(axis=(0, 1)) == pytest.approx(outline.max(axis=0), abs=1e-3)
    assert found[..., 2].max() == pytest.approx(2.0)


def test_landmarks_keep_off_the_road_and_are_always_the_same() -> None:
    one, two = (scene_of(Road(0.0, 0.0, 0.0, 300.0, sidewalk=True), Road(0.0, 60.0, 0.0, 300.0)) for _ in range(2))
    for label in (CityObjectLabel.BUILDINGS, CityObjectLabel.VEGETATION):
        found = one.quads.corners[rows(one, label)]
        assert len(found)
        for y, half in ((0.0, 5.5), (-60.0, 3.5)):
            assert (np.abs(found[..., 1] - y) > half).all()
    for name in ("corners", "colour", "label", "object_id"):
        assert np.array_equal(getattr(one.quads, name), getattr(two.quads, name))


def test_near_holds_everything_within_the_view_distance() -> None:
    scene = scene_of(Road(0.0, 0.0, 0.0, 900.0), Road(100.0, 50.0, 0.0, 50.0))
    block, _ = scene.near(110.0, -20.0)
    assert len(block.label) < len(scene.quads.label)
    kept = {tuple(centre) for centre in block.centre.round(3).tolist()}
    for centre, layer in zip(scene.quads.centre, scene.quads.layer):
        if layer < Layer.UPRIGHT and math.hypot(centre[0] - 110.0, centre[1] + 20.0) < VIEW_DISTANCE:
            assert tuple(centre.round(3).tolist()) in kept
    assert (np.diff(block.layer[: block.base_count]) >= 0).all()


def test_an_empty_scene_can_be_asked() -> None:
    scene = SceneBuilder(0.0).build()
    assert len(scene.near(1e6, -1e6)[0].label) == 0
    assert scene.storey(0.0, 0.0, 0.0) == 0


def test_quads_without_area_are_left_out() -> None:
    builder = SceneBuilder(0.0)
    builder.quad([(0, 0, 0)] * 4, (1, 2, 3), CityObjectLabel.STATIC, Layer.UPRIGHT, size=1.0)
    builder.quad([(0, 0, 0), (1, 0, 0), (1, 1, 0)], (1, 2, 3), CityObjectLabel.ROADS, Layer.ASPHALT, size=1.0)
    scene = builder.build()
    assert len(scene.quads.label) == 1
    assert scene.quads.normal[0].tolist() == [0.0, 0.0, 1.0]
