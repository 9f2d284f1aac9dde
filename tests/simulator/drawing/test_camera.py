"""Pictures: against closed forms and ray casting, occlusion, weather, lights, odd cameras, determinism."""

import math
from collections.abc import Sequence
from dataclasses import replace

import carla
import numpy as np
import pytest

from td3_hpc.simulator.drawing.bodies import DynamicBox
from td3_hpc.simulator.drawing.camera import CameraView, Picture, Renderer
from td3_hpc.simulator.drawing.landmarks import Box
from td3_hpc.simulator.drawing.scene import Layer, Scene, SceneBuilder
from td3_hpc.simulator.drawing.town_scene import build_scene
from td3_hpc.simulator.drawing.weather import Weather
from td3_hpc.simulator.geometry import OrientedBox, Pose
from td3_hpc.simulator.labels import CityObjectLabel as Label
from td3_hpc.simulator.towns.town import LanePlace, TrafficLightSite
from tests.simulator.opendrive_text import Road, hill, opendrive_text, ramp
from tests.simulator.ray_casting import cast, inner

NOON = Weather()
EYE = Pose(10.0, 1.75, 1.7, 0.0, 0.0, 0.0)


def place_of(*roads: Road, lights: Sequence[TrafficLightSite] = ()) -> Scene:
    text = opendrive_text(roads)
    return build_scene(carla.Map("test", text), text, lights)


@pytest.fixture(scope="module")
def street() -> Scene:
    """400 m of flat street with sidewalks and buildings, and a light at 60 m."""
    box = OrientedBox(Pose(58.0, 1.75, 1.0), (2.0, 1.75, 1.0))
    light = TrafficLightSite("17", Pose(80.0, 4.5, 0.0), 90.0, -1, (LanePlace(1, -1, 60.0),), (box,), box, ())
    return place_of(Road(0.0, 0.0, 0.0, 400.0, sidewalk=True), Road(200.0, 30.0, 0.4, 200.0), lights=[light])


def empty(*walls: Box) -> Scene:
    """Bare ground, and walls."""
    builder = SceneBuilder(0.0)
    for wall in walls:
        for side in (*wall.sides(), wall.roof()):
            builder.quad(side, (100, 100, 100), Label.WALLS, Layer.UPRIGHT, size=1.0)
    return builder.build()


def view_from(pose: Pose, width: int = 160, height: int = 120, fov: float = 90.0) -> CameraView:
    return CameraView(pose, width, height, fov)


def car_at(x: float, y: float, z: float = 0.0, yaw: float = 0.0, actor: int = 300, pitch: float = 0.0) -> DynamicBox:
    return DynamicBox(actor, Pose(x, y, z + 0.75, pitch, yaw, 0.0), 2.3, 0.95, 0.75, (200, 60, 40), Label.CAR)


def block_at(x: float, y: float, label: Label = Label.STATIC, yaw: float = 0.0, actor: int = 9) -> DynamicBox:
    return DynamicBox(actor, Pose(x, y, 1.0, 0.0, yaw, 0.0), 2.0, 1.0, 1.0, (10, 200, 90), label)


def labels(place: Scene, view: CameraView, boxes: Sequence[DynamicBox] = ()) -> np.ndarray:
    picture = Renderer(place).render(view, "semantic_segmentation", boxes, {}, NOON)
    assert not picture[:, :, :2].any()
    return picture[:, :, 2].astype(int)


def metres(place: Scene, view: CameraView, boxes: Sequence[DynamicBox] = ()) -> np.ndarray:
    blue, green, red, _ = np.moveaxis(Renderer(place).render(view, "depth", boxes, {}, NOON).astype(float), 2, 0)
    return np.asarray((red + 256.0 * green + 65536.0 * blue) / (2**24 - 1) * 1000.0)


def colours(place: Scene, view: CameraView, boxes: Sequence[DynamicBox] = (), weather: Weather = NOON) -> Picture:
    return Renderer(place).render(view, "rgb", boxes, {}, weather)


def agree(place: Scene, view: CameraView, boxes: Sequence[DynamicBox] = (), wrong: float = 0.0) -> None:
    """Labels and depth equal the ray casting where no outline is near, except for a share `wrong` of the pixels."""
    depth, label, face = cast(view, place, boxes)
    clear = inner(label)
    assert clear.mean() > 0.3
    same = labels(place, view, boxes) == label
    assert same[clear].mean() >= 1.0 - wrong
    fair = inner(face) & same & (depth < 900.0)
    assert fair.mean() > 0.1
    error = np.abs(metres(place, view, boxes) - depth)[fair] / depth[fair]
    assert (error < 2e-4).mean() >= 1.0 - wrong


# Projection


@pytest.mark.parametrize("x", [12.0, 30.0, 70.0])
@pytest.mark.parametrize("pitch", [0.0, -8.0])
def test_a_block_is_where_the_pinhole_formula_puts_it(x: float, pitch: float) -> None:
    view = view_from(Pose(0.0, 0.0, 1.0, pitch, 0.0, 0.0), 640, 480)
    rows, columns = np.nonzero(labels(empty(), view, [block_at(x + 2.0, 3.0)]) == Label.STATIC)
    tilt = math.radians(pitch)
    corners = [(x + dx, y, z - 1.0) for dx in (0.0, 4.0) for y in (2.0, 4.0) for z in (0.0, 2.0)]
    turned = [
        (a * math.cos(tilt) + c * math.sin(tilt), b, c * math.cos(tilt) - a * math.sin(tilt)) for a, b, c in corners
    ]
    across = [320.0 + 320.0 * b / a for a, b, _ in turned]
    down = [240.0 - 320.0 * c / a for a, _, c in turned]
    assert columns.min() == pytest.approx(min(across), abs=1.5)
    assert columns.max() + 1 == pytest.approx(max(across), abs=1.5)
    assert rows.min() == pytest.approx(min(down), abs=1.5)
    assert rows.max() + 1 == pytest.approx(max(down), abs=1.5)


def test_the_horizon_is_level_and_in_the_middle() -> None:
    picture = labels(empty(), view_from(EYE, 100, 80))
    assert (picture[:40] == Label.SKY).all()
    assert (picture[40:] == Label.TERRAIN).all()


def test_left_is_left_and_right_is_right() -> None:
    picture = labels(empty(), view_from(Pose(0.0, 0.0, 1.5, 0.0, 90.0, 0.0)), [block_at(-3.0, 10.0)])
    assert (np.nonzero(picture == Label.STATIC)[1] > 80).all(), "x is to the right of a camera that looks along y"


def test_upside_down_is_the_picture_turned() -> None:
    boxes = [block_at(14.0, 3.0), block_at(20.0, -2.0, Label.CAR)]
    upright = labels(empty(), view_from(Pose(0.0, 0.0, 1.7, 0.0, 0.0, 0.0)), boxes)
    turned = labels(empty(), view_from(Pose(0.0, 0.0, 1.7, 0.0, 0.0, 180.0)), boxes)
    assert (upright == turned[::-1, ::-1]).mean() > 0.99


# Against ray casting


@pytest.mark.parametrize(
    "pose",
    [
        EYE,
        Pose(70.0, 1.75, 1.5, -20.0, 5.0, 0.0),
        Pose(100.0, -3.0, 25.0, -90.0, 30.0, 0.0),
        Pose(40.0, 2.0, 2.0, 5.0, 160.0, 25.0),
        Pose(150.0, 20.0, 8.0, -25.0, 250.0, -10.0),
    ],
)
def test_street_agrees_with_ray_casting(street: Scene, pose: Pose) -> None:
    boxes = [block_at(85.0, 2.0), block_at(30.0, -2.0, Label.OTHER, 30.0)]
    agree(street, view_from(pose), boxes, wrong=0.005)


@pytest.mark.parametrize("x", [20.0, 60.0, 95.0, 130.0])
def test_hill_agrees_with_ray_casting(x: float) -> None:
    place = place_of(Road(0.0, 0.0, 0.0, 300.0, hill(40.0, 100.0, 160.0, 9.0)))
    run = min(max((x - 40.0) / 60.0 if x < 100.0 else (160.0 - x) / 60.0, 0.0), 1.0)
    z = 9.0 * run * run * (3.0 - 2.0 * run)
    agree(place, view_from(Pose(x, 1.75, z + 1.7, 0.0, 0.0, 0.0)), wrong=0.01)


@pytest.mark.parametrize(
    "pose",
    [
        Pose(60.0, 1.75, 1.7, 0.0, 0.0, 0.0),
        Pose(100.0, 1.75, 1.7, 20.0, 0.0, 0.0),
        Pose(98.0, 40.0, 9.7, -5.0, -90.0, 0.0),
        Pose(60.0, 40.0, 20.0, -25.0, -45.0, 0.0),
    ],
)
def test_bridge_agrees_with_ray_casting(pose: Pose) -> None:
    rise = [*ramp(20.0, 80.0, 0.0, 8.0)]
    place = place_of(Road(0.0, 0.0, 0.0, 200.0), Road(100.0, -150.0, math.pi / 2, 300.0, rise))
    agree(place, view_from(pose), wrong=0.02)


@pytest.mark.parametrize("yaw", [0.0, 30.0, 90.0, 200.0])
@pytest.mark.parametrize("distance", [6.0, 25.0, 90.0])
def test_depth_of_blocks_is_exact(yaw: float, distance: float) -> None:
    agree(empty(), view_from(Pose(0.0, 0.0, 2.5, -5.0, 0.0, 3.0), 320, 240), [block_at(distance, 1.0, yaw=yaw)])


def test_depth_of_the_sky_is_the_full_range() -> None:
    depth = metres(empty(), view_from(EYE))
    assert depth[:60] == pytest.approx(1000.0)
    assert depth[-1, 80] == pytest.approx(1.7 * 80.0 / 59.5, rel=1e-5)


# Occlusion


def seen(place: Scene, view: CameraView, box: DynamicBox, others: Sequence[DynamicBox] = ()) -> int:
    """Pixels of one actor."""
    picture = Renderer(place).render(view, "instance_segmentation", [box, *others], {}, NOON).astype(int)
    return int(((picture[:, :, 1] + 256 * picture[:, :, 0]) == box.actor_id).sum())


def test_a_car_hides_the_car_behind_it(street: Scene) -> None:
    view = view_from(Pose(10.0, 1.75, 1.0, 0.0, 0.0, 0.0))
    near, far = car_at(20.0, 1.75, actor=700), car_at(30.0, 1.75, actor=701)
    assert seen(street, view, far) > 20
    assert seen(street, view, far, [near]) == 0
    assert seen(street, view, near, [far]) == seen(street, view, near)


def test_the_order_of_the_boxes_does_not_matter(street: Scene) -> None:
    boxes = [car_at(18.0 + 7 * k, 1.75 - 3.5 * (k % 2), yaw=40.0 * k, actor=100 + k) for k in range(6)]
    view = view_from(EYE)
    assert np.array_equal(labels(street, view, boxes), labels(street, view, boxes[::-1]))


def test_a_wall_hides_a_car() -> None:
    wall = Box((20.0, 0.0, 2.0), 0.0, (0.3, 6.0, 2.0))
    view, car = view_from(Pose(0.0, 0.0, 1.7, 0.0, 0.0, 0.0)), car_at(30.0, 0.0)
    assert seen(empty(), view, car) > 20
    assert seen(empty(wall), view, car) == 0
    assert seen(empty(wall), view, car_at(12.0, 0.0)) == seen(empty(), view, car_at(12.0, 0.0))


@pytest.mark.parametrize("top", [6.0, 10.0])
def test_a_hill_hides_a_car(top: float) -> None:
    place = place_of(Road(0.0, 0.0, 0.0, 300.0, hill(40.0, 90.0, 140.0, top)))
    car = car_at(150.0, 1.75)
    assert seen(place, view_from(Pose(20.0, 1.75, 1.7, 0.0, 0.0, 0.0)), car) == 0
    assert seen(place, view_from(Pose(90.0, 1.75, top + 1.7, 0.0, 0.0, 0.0)), car) > 5


def test_a_car_on_a_slope_stands_on_the_road() -> None:
    place = place_of(Road(0.0, 0.0, 0.0, 300.0, ramp(20.0, 140.0, 0.0, 12.0)))
    view = view_from(Pose(10.0, 1.75, 1.7, 0.0, 0.0, 0.0), 320, 240)
    for x in np.arange(24.0, 120.0, 3.0):
        run = (x - 20.0) / 120.0
        slope = math.degrees(math.atan(12.0 * 6.0 * run * (1.0 - run) / 120.0))
        car = car_at(float(x), 1.75, 12.0 * run * run * (3.0 - 2.0 * run) + 0.05, pitch=slope)
        assert seen(place, view, car) >= 0.97 * seen(empty(), view, car), x


@pytest.mark.parametrize(("z", "visible"), [(0.0, False), (8.0, True)])
def test_a_bridge_hides_what_is_under_it(z: float, visible: bool) -> None:
    deck = Road(100.0, -100.0, math.pi / 2, 200.0, [(0.0, 8.0, 0.0, 0.0, 0.0)])
    place = place_of(Road(0.0, 0.0, 0.0, 200.0), deck)
    above = view_from(Pose(100.0, 0.0, 30.0, -90.0, 0.0, 0.0))
    assert (seen(place, above, car_at(100.0, 0.0, z)) > 0) == visible
    below = view_from(Pose(91.0, 1.75, 1.7, 20.0, 0.0, 0.0))
    assert (seen(place, below, car_at(100.0, 1.75, z)) > 50) != visible


def test_there_is_nothing_inside_a_body() -> None:
    view = view_from(Pose(0.0, 0.0, 0.9, 0.0, 0.0, 0.0))
    assert seen(empty(), view, block_at(0.0, 0.0)) == 0


# Bodies


@pytest.mark.parametrize("label", [Label.CAR, Label.TRUCK, Label.BUS, Label.MOTORCYCLE, Label.PEDESTRIANS, Label.OTHER])
def test_bodies_fill_their_box(label: Label) -> None:
    half = {Label.PEDESTRIANS: (0.2, 0.2, 0.9), Label.MOTORCYCLE: (1.1, 0.4, 0.8), Label.BUS: (5.0, 1.3, 1.6)}
    x, y, z = half.get(label, (2.3, 0.95, 0.75))
    box = DynamicBox(5, Pose(15.0, 0.0, z, 0.0, 0.0, 0.0), x, y, z, (180, 120, 40), label)
    view = view_from(Pose(0.0, 0.0, 1.0, 0.0, 0.0, 0.0), 320, 240)
    picture = labels(empty(), view, [box])
    reference = cast(view, empty(), [box])[1] == label
    body = np.isin(picture, [label, Label.RIDER])
    assert 0.5 < body.sum() / reference.sum() < 1.4
    rows, full_rows = np.nonzero(body)[0], np.nonzero(reference)[0]
    assert abs(rows.min() - full_rows.min()) <= 2
    assert abs(rows.max() - full_rows.max()) <= 2


def test_brake_lights_and_heading_show_at_84_pixels(street: Scene) -> None:
    view = CameraView(EYE, 84, 84, 90.0)
    car = car_at(22.0, 1.75)
    pictures = [
        colours(street, view, [box])[:, :, :3].astype(int).mean(axis=2)
        for box in (car, replace(car, brake_light=True), car_at(22.0, 1.75, yaw=180.0))
    ]
    for other in pictures[1:]:
        assert (np.abs(pictures[0] - other) > 30).sum() >= 2


# Lights


@pytest.mark.parametrize("size", [84, 400])
def test_the_lit_lamp_is_bright_and_where_it_belongs(street: Scene, size: int) -> None:
    view, renderer = CameraView(Pose(58.0, 1.75, 1.7, 0.0, 0.0, 0.0), size, size, 90.0), Renderer(street)
    off = renderer.render(view, "rgb", [], {"17": 3}, NOON).astype(int)
    heights = []
    for state, channel in ((0, 2), (1, 2), (2, 1)):
        lit = renderer.render(view, "rgb", [], {"17": state}, NOON).astype(int)
        brighter = lit[:, :, :3].mean(axis=2) - off[:, :, :3].mean(axis=2) > 40
        assert brighter.any()
        heights.append(np.nonzero(brighter)[0].mean())
        assert lit[brighter][:, channel].mean() > 200
    assert heights == sorted(heights)
    assert np.array_equal(renderer.render(view, "rgb", [], {}, NOON), off.astype(np.uint8)), "a missing state is off"
    assert np.array_equal(renderer.render(view, "rgb", [], {"99": 0, "17": 7}, NOON), off.astype(np.uint8))


# Weather


def brightness(street: Scene, weather: Weather) -> float:
    return float(colours(street, view_from(EYE), [car_at(25.0, 1.75)], weather)[:, :, :3].mean())


@pytest.mark.parametrize(
    ("name", "values", "grows"),
    [
        ("sun_altitude_angle", [-20.0, -5.0, 0.0, 5.0, 15.0, 30.0, 60.0, 90.0], True),
        ("cloudiness", [0.0, 20.0, 50.0, 80.0, 100.0], False),
        ("fog_density", [10.0, 25.0, 50.0, 75.0, 100.0], True),
        ("wetness", [0.0, 30.0, 60.0, 100.0], False),
    ],
)
def test_weather_changes_the_brightness_steadily(street: Scene, name: str, values: list[float], grows: bool) -> None:
    means = np.array([brightness(street, replace(NOON, **{name: value})) for value in values])
    assert (np.diff(means) > 0.0 if grows else np.diff(means) < 0.0).all(), means


def test_night_is_dark_and_fog_hides_what_is_far(street: Scene) -> None:
    assert brightness(street, replace(NOON, sun_altitude_angle=-60.0)) < 0.25 * brightness(street, NOON)
    view, far, near = view_from(EYE), car_at(80.0, 1.75), car_at(16.0, 1.75)
    contrast = []
    for weather in (NOON, replace(NOON, fog_density=60.0)):
        bare = colours(street, view, [], weather).astype(int)
        contrast.append([np.abs(colours(street, view, [car], weather) - bare).max() for car in (far, near)])
    (far_clear, near_clear), (far_fog, near_fog) = contrast
    assert far_fog < 0.2 * far_clear
    assert near_fog > 0.3 * near_clear


def test_weather_leaves_depth_and_labels_alone(street: Scene) -> None:
    storm = Weather(100, 100, 100, 100, 30, -10, 100, 0, 1, 100, 1, 1, 1, 100)
    for kind in ("depth", "semantic_segmentation", "instance_segmentation"):
        one, two = (Renderer(street).render(view_from(EYE), kind, [], {}, weather) for weather in (NOON, storm))
        assert np.array_equal(one, two)


@pytest.mark.parametrize("value", [-1e9, 1e9, math.nan, math.inf])
def test_any_weather_can_be_drawn(street: Scene, value: float) -> None:
    assert colours(street, view_from(EYE), weather=Weather(*[value] * 14)).shape == (120, 160, 4)


# Odd cameras

STRANGE = [
    Pose(50.0, 1.75, 0.01, 0.0, 0.0, 0.0),
    Pose(50.0, 1.75, 0.0, 0.0, 0.0, 0.0),
    Pose(50.0, 1.75, -3.0, 10.0, 0.0, 0.0),
    Pose(50.0, 1.75, 2.0, -90.0, 0.0, 0.0),
    Pose(50.0, 1.75, 2.0, 90.0, 0.0, 0.0),
    Pose(50.0, 1.75, 1.7, 0.0, 0.0, 180.0),
    Pose(60.0, 4.5, 1.0, 0.0, 0.0, 0.0),
    Pose(50.0, 12.0, 4.0, 30.0, 90.0, 45.0),
    Pose(1e5, -1e5, 1e4, -45.0, 700.0, -1000.0),
]


@pytest.mark.parametrize("pose", STRANGE)
@pytest.mark.parametrize(
    ("width", "height", "fov"), [(84, 84, 90.0), (1, 1, 90.0), (1, 50, 10.0), (64, 48, 179.0), (64, 48, 1.0)]
)
def test_any_camera_gives_a_picture(street: Scene, pose: Pose, width: int, height: int, fov: float) -> None:
    boxes = [car_at(50.0, 1.75), car_at(52.0, 1.8, yaw=45.0), block_at(50.3, 1.0)]
    view = CameraView(pose, width, height, fov)
    for kind in ("rgb", "depth", "semantic_segmentation", "instance_segmentation"):
        picture = Renderer(street).render(view, kind, boxes, {"17": 0}, NOON)
        assert picture.shape == (height, width, 4)
        assert picture.dtype == np.uint8
        assert (picture[:, :, 3] == 255).all()
        if kind == "semantic_segmentation":
            assert picture[:, :, 2].max() <= max(Label)
            assert picture[:, :, 2].min() > 0


def test_large_pictures() -> None:
    place = place_of(Road(0.0, 0.0, 0.0, 200.0, ramp(60.0, 120.0, 0.0, 5.0), sidewalk=True))
    assert colours(place, CameraView(EYE, 1920, 1080, 110.0), [car_at(14.0, 1.75)]).shape == (1080, 1920, 4)


def test_straight_down_shows_the_road_to_scale() -> None:
    place = place_of(Road(0.0, 0.0, 0.0, 200.0))
    picture = labels(place, view_from(Pose(100.0, 0.0, 20.0, -90.0, 0.0, 0.0), 200, 200))
    on_road = np.isin(picture, [Label.ROADS, Label.ROAD_LINES])
    assert on_road.sum(axis=1) == pytest.approx(35.0, abs=2), "7 m at 20 m height: 35 of 200 pixels at 90 degrees"


# Agreement and determinism


def test_the_kinds_agree(street: Scene) -> None:
    view, boxes = view_from(EYE, 200, 150), [car_at(20.0, 1.75, actor=300), car_at(33.0, -1.75, actor=301)]
    label, depth = labels(street, view, boxes), metres(street, view, boxes)
    assert depth[label == Label.SKY] == pytest.approx(1000.0)
    assert (depth[(label != Label.SKY) & (label != Label.TERRAIN)] < 400.0).all()
    instance = Renderer(street).render(view, "instance_segmentation", boxes, {}, NOON)
    assert np.array_equal(instance[:, :, 2], label)
    first = (instance[:, :, 1] == 300 & 0xFF) & (instance[:, :, 0] == 300 >> 8)
    assert (label[first] == Label.CAR).all()
    assert 7.2 < depth[first].min() < 8.5
    assert np.quantile(depth[first], 0.9) < 12.5


def test_the_same_arguments_give_the_same_bytes(street: Scene) -> None:
    view, boxes, weather = (
        view_from(EYE),
        [car_at(20.0, 1.75), car_at(30.0, -1.75)],
        Weather(30, 40, 20, fog_density=30),
    )
    first = Renderer(street)
    pictures = [first.render(view, "rgb", boxes, {"17": 1}, weather).tobytes()]
    first.render(view_from(Pose(300.0, 0.0, 9.0, -30.0, 77.0, 4.0)), "rgb", boxes[:1], {}, NOON)
    pictures.append(first.render(view, "rgb", boxes, {"17": 1}, weather).tobytes())
    pictures.append(Renderer(street).render(view, "rgb", boxes, {"17": 1}, weather).tobytes())
    assert len(set(pictures)) == 1
