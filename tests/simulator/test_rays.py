"""Rays against places and sizes that are known."""

import math

import pytest

from td3_hpc.simulator.geometry import OrientedBox, Pose
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.rays import hits, ray_along, ray_between
from td3_hpc.simulator.streams import Streams
from td3_hpc.simulator.towns import load_town
from td3_hpc.simulator.world import World
from tests.conftest import SimulatorServer
from tests.simulator.protocol import run_client
from tests.simulator.worlds import car_at, flat_world, slope_world


def test_a_ray_meets_what_stands_in_its_way_the_nearest_first():
    world = flat_world()
    car = car_at(world, 120.0)
    walker = world.spawn([0, "walker.pedestrian.0001", []], Pose(110.0, 1.75, 0.93))
    prop = world.spawn([0, "static.prop.box01", []], Pose(130.0, 1.75, 0.0))
    found = hits(ray_between((100.0, 1.75, 0.5), (200.0, 1.75, 0.5)), world.population.solid, world.town)
    assert [hit.thing for hit in found] == [walker, car, prop]
    assert [hit.distance for hit in found] == pytest.approx([10 - 0.19, 20 - car.extent[0], 30 - 0.325])
    assert [hit.label for hit in found] == [CityObjectLabel.PEDESTRIANS, CityObjectLabel.CAR, CityObjectLabel.STATIC]


def test_a_turned_box_is_met_on_its_turned_side():
    world = flat_world()
    car = car_at(world, 120.0, yaw=90.0)
    ray = ray_along((100.0, 1.75, 0.5), (5.0, 0.0, 0.0), 50.0)
    (hit,) = hits(ray, [car], world.town)
    assert hit.distance == pytest.approx(20.0 - car.extent[1])
    assert hits(ray_along(ray.start, ray.direction, 18.0), [car], world.town) == []
    assert hits(ray_along(ray.start, (-1.0, 0.0, 0.0), 50.0), [car], world.town) == []
    assert hits(ray_along(ray.start, (0.0, 0.0, 0.0), 50.0), [car], world.town) == []
    car.collides = False
    assert hits(ray, [car], world.town) == []


def test_from_within_a_box_it_is_met_at_once():
    world = flat_world()
    car = car_at(world, 120.0)
    first, second = hits(ray_along((120.0, 1.75, 0.5), (0.0, 0.0, -1.0), 10.0), [car], world.town)
    assert (first.thing, first.distance) == (car, 0.0)
    assert (second.thing, second.label) == (None, CityObjectLabel.ROADS)
    assert second.distance == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("angle", [90.0, 40.0, 12.0])
def test_the_ground_is_met_where_the_slope_is(angle: float):
    rise = 0.08
    world = slope_world(rise)
    down, ahead = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    start = (100.0, 1.75, 100.0 * rise + 3.0)
    (hit,) = hits(ray_along(start, (ahead, 0.0, -down), 60.0), [], world.town)
    assert hit.distance == pytest.approx(3.0 / (down + rise * ahead), rel=1e-3)
    assert hit.thing is None
    (hit,) = hits(ray_along((*start[:2], start[2] - 6.0), (0.0, 0.0, 1.0), 60.0), [], world.town)
    assert hit.distance == pytest.approx(3.0, abs=1e-3)


def test_a_ray_that_starts_on_the_ground_meets_it_downwards_only():
    world = flat_world()
    on_it = (100.0, 1.75, -1e-5)
    (hit,) = hits(ray_along(on_it, (0.0, 0.0, -1.0), 5.0), [], world.town)
    assert hit.distance == 0.0
    assert hits(ray_along(on_it, (0.1, 0.0, 1.0), 5.0), [], world.town) == []


def test_every_piece_of_scenery_is_met_from_afar():
    world = World(load_town("Brookfield", None), Streams())
    for thing in world.town.edge_objects:
        box: OrientedBox = thing.box
        x, y, z = box.centre.ahead(-box.extent[0] - 40.0)[:3]
        ray = ray_between((x, y, z + box.extent[2] - 0.01), (box.centre.x, box.centre.y, z + box.extent[2] - 0.01))
        met = {id(hit.thing): hit for hit in hits(ray, [], world.town)}
        assert met[id(thing)].distance == pytest.approx(40.0)
        assert met[id(thing)].label == thing.label


def test_a_ray_without_end_takes_no_time_without_end():
    world = World(load_town("Hamlet", None), Streams())
    wall = max(world.town.edge_objects, key=lambda thing: thing.box.extent[2])
    x, y, z = wall.box.centre[:3]
    ray = ray_along((x - 0.5e6, y, z), (1.0, 0.0, 0.0), 1e6)
    assert wall in [hit.thing for hit in hits(ray, [], world.town)]
    assert hits(ray_along((x, y, z + 100.0), (1.0, 0.0, 1e-6), 1e6), [], world.town) == []


def test_clients_cast_rays_and_ask_for_boxes(hamlet_server: SimulatorServer):
    told = run_client(
        """
world = client.reload_world(False)
library, points = world.get_blueprint_library(), world.get_map().get_spawn_points()
car = world.spawn_actor(library.find("vehicle.tesla.model3"), points[0])
for _ in range(20):
    world.tick()
pose, label = car.get_transform(), carla.CityObjectLabel
ahead = pose.get_forward_vector()
eye = pose.location + carla.Location(z=0.7)
def point(labelled):
    return None if labelled is None else [labelled.location.distance(eye), str(labelled.label)]
from_behind = [point(hit) for hit in world.cast_ray(eye - 10 * ahead, eye + 10 * ahead)]
onto_roof = point(world.project_point(pose.location + carla.Location(z=10), carla.Vector3D(z=-3), 100.0))
onto_road = point(world.ground_projection(pose.location + 6 * ahead + carla.Location(z=5), 10.0))
sideways = point(world.project_point(eye - 10 * ahead, ahead, 8.0 - car.bounding_box.extent.x))
def boxes(kind):
    return [[box.location.x, box.location.y, box.location.z, box.extent.z] for box in world.get_level_bbs(kind)]
lights, signs = (len(world.get_actors().filter(name)) for name in ("traffic.traffic_light", "traffic.[sy]*"))
light = world.get_actors().filter("traffic.traffic_light")[0]
(box,) = boxes(label.Car)
tell([from_behind, onto_roof, onto_road, sideways, [box[0] - pose.location.x, box[1] - pose.location.y, box[2]],
      [len(boxes(label.TrafficLight)), lights, len(boxes(label.TrafficSigns)), signs],
      [b.location.z - light.get_location().z for b in light.get_light_boxes()],
      len(world.get_level_bbs()) > lights + signs + 1])
""",
        hamlet_server.port,
    )
    from_behind, onto_roof, onto_road, sideways, box, counts, heads, whole = told
    assert from_behind[0] == [pytest.approx(4.79 / 2, abs=0.02), "Car"]
    assert onto_roof == [pytest.approx(1.49 - 0.7, abs=0.02), "Car"]
    assert onto_road == [pytest.approx(math.hypot(6.0, 0.7), abs=0.05), "Roads"]
    assert sideways is None
    assert box[:2] == pytest.approx([0.0, 0.0], abs=0.02)
    drawn, lights, boards, signs = counts
    assert drawn >= lights > 0
    assert boards == signs > 0
    assert heads
    assert heads == pytest.approx([4.3] * len(heads), abs=0.5)
    assert whole is True
