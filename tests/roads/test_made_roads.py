"""Roads that chance makes with scenariogeneration: whatever is made loads, is served, has routes, and is driven."""

import itertools
import math
import random
from pathlib import Path

import carla
import numpy as np
import pytest
from scenariogeneration import xodr

from td3_hpc.config.environment import RouteConfig
from td3_hpc.driving.route import Route, RoutePlanner
from td3_hpc.errors import BadInput
from td3_hpc.simulator.towns import parse_town
from td3_hpc.simulator.towns.town import Town
from tests.conftest import SimulatorServer, StartServer
from tests.driving.conftest import small_config
from tests.driving.scripted_drive import drive_routes

ROUTES = RouteConfig(min_length_m=20, max_length_m=150, evaluation_routes=2)


def geometries(chance: random.Random) -> list[object]:
    """Lines, arcs and spirals that fit together, none tighter than a town's street."""
    found: list[object] = []
    for _ in range(chance.randint(1, 4)):
        length = chance.choice([20, 33.3, 50, chance.uniform(15, 80)])
        bend = chance.choice([-1, 1]) / chance.uniform(40, 200)
        shape = chance.choice(["line", "arc", "spiral", "straight arc"])
        if shape == "line":
            found.append(xodr.Line(length))
        elif shape == "arc":
            found.append(xodr.Arc(bend, length=length))
        elif shape == "spiral":
            found.append(xodr.Spiral(0, bend, length=length))
        else:
            found.append(xodr.Arc(1e-12, length=length))
    return found


def a_road(chance: random.Random, number: int) -> xodr.Road:
    """One road: of constant or changing lanes, one-way or not, flat or hilly, tilted or not."""
    kind = chance.choice(["constant", "right only", "left only", "changing", "changing"])
    lanes = chance.randint(1, 3)
    shapes = geometries(chance)
    if kind == "changing":
        change = xodr.LaneDef(20, 35, lanes, lanes + 1, -(lanes + 1))
        made = xodr.create_road([xodr.Line(60), *shapes], number, 1, [change], lane_width=chance.uniform(2.8, 4.0))
    else:
        left, right = {"constant": (lanes, lanes), "right only": (0, lanes), "left only": (lanes, 0)}[kind]
        made = xodr.create_road(shapes, number, left, right, lane_width=chance.uniform(2.8, 4.0))
    if chance.random() < 0.5:
        made.add_elevation(chance.choice([0, 10]), chance.uniform(-2, 8), chance.uniform(-0.05, 0.05), 0, 0)
    if chance.random() < 0.3:
        made.add_superelevation(0, chance.uniform(-0.05, 0.05), 0, 0, 0)
    if kind == "constant" and chance.random() < 0.3:
        made.add_laneoffset(0, chance.uniform(-1, 1), 0, 0, 0)
    return made


def single_roads(chance: random.Random) -> xodr.OpenDrive:
    """A few roads that know nothing of each other, far apart."""
    drive = xodr.OpenDrive("made")
    for number in range(1, chance.randint(2, 4)):
        made = a_road(chance, number)
        made.planview.set_start_point(0, 1000.0 * number, 0)
        drive.add_road(made)
    drive.adjust_roads_and_lanes()
    return drive


def a_chain(chance: random.Random) -> xodr.OpenDrive:
    """Roads that follow one another; the last is a dead end."""
    drive, count = xodr.OpenDrive("made"), chance.randint(2, 4)
    left, right, width = chance.randint(0, 2), chance.randint(1, 2), chance.uniform(2.8, 4.0)
    roads = [xodr.create_road(geometries(chance), n, left, right, lane_width=width) for n in range(1, count + 1)]
    for before, after in itertools.pairwise(roads):
        before.add_successor(xodr.ElementType.road, after.id, xodr.ContactPoint.start)
        after.add_predecessor(xodr.ElementType.road, before.id, xodr.ContactPoint.end)
    for made in roads:
        drive.add_road(made)
    drive.adjust_roads_and_lanes()
    return drive


def a_crossing(chance: random.Random) -> xodr.OpenDrive:
    """Three or four arms around a junction."""
    drive, arms = xodr.OpenDrive("made"), chance.choice([3, 4])
    lanes, width = chance.randint(1, 2), chance.uniform(3.0, 3.8)
    crossing = xodr.CommonJunctionCreator(100, "crossing", startnum=200)
    roads = [
        xodr.create_road([xodr.Line(chance.uniform(40, 90))], number, lanes, lanes, lane_width=width)
        for number in range(1, arms + 1)
    ]
    for index, made in enumerate(roads):
        crossing.add_incoming_road_circular_geometry(made, 20, index * 2 * math.pi / arms, "predecessor")
    for index, made in enumerate(roads):
        for other in roads[:index]:
            crossing.add_connection(other.id, made.id)
    for made in roads:
        drive.add_road(made)
    drive.add_junction_creator(crossing)
    drive.adjust_roads_and_lanes()
    return drive


def a_loop(chance: random.Random) -> xodr.OpenDrive:
    """A ring of arcs, flat or tilted, without beginning or end."""
    drive, count = xodr.OpenDrive("made"), chance.randint(2, 4)
    left, right, width = chance.randint(0, 2), chance.randint(1, 2), chance.uniform(2.8, 4.0)
    radius, tilt = chance.uniform(30, 60), chance.uniform(-0.05, 0.05)
    length = 2 * math.pi * radius / count
    roads = [
        xodr.create_road([xodr.Arc(1 / radius, length=length)], n, left, right, lane_width=width)
        for n in range(1, count + 1)
    ]
    for before, after in zip(roads, [*roads[1:], roads[0]], strict=True):
        before.add_successor(xodr.ElementType.road, after.id, xodr.ContactPoint.start)
        after.add_predecessor(xodr.ElementType.road, before.id, xodr.ContactPoint.end)
    for made in roads:
        made.add_superelevation(0, tilt, 0, 0, 0)
        drive.add_road(made)
    drive.adjust_roads_and_lanes()
    return drive


MAKERS = {"single": single_roads, "chain": a_chain, "crossing": a_crossing, "loop": a_loop}


def text_of(drive: xodr.OpenDrive) -> str:
    from xml.etree import ElementTree

    return ElementTree.tostring(drive.get_element(), encoding="unicode")


def routes_of(town: Town) -> list[Route]:
    """Some; none where its roads are too short."""
    served = carla.Map("served", town.opendrive)
    try:
        planner = RoutePlanner("made", served, ROUTES)
    except BadInput:
        return []
    generator = np.random.default_rng(0)
    return planner.evaluation_routes + [planner.training_route(generator) for _ in range(10)]


def check_route(town: Town, route: Route) -> None:
    """Even steps, no sharp turn, and every place in the middle of a lane that leads the same way, at its height."""
    steps = np.diff(route.points[:, :2], axis=0)
    assert np.hypot(*steps.T).max() < 2 * ROUTES.waypoint_spacing_m
    headings = np.degrees(np.arctan2(*steps.T[::-1]))[:-1]
    if len(headings) > 1:
        assert np.abs((np.diff(headings) + 180) % 360 - 180).max() < 45.0
    assert ROUTES.min_length_m - 1 <= route.length <= ROUTES.max_length_m + 0.1
    for (x, y, z), yaw in zip(route.points[::5], route.angles[::5, 1], strict=True):
        lane = town.map.get_waypoint(carla.Location(float(x), float(y), float(z)))
        place = lane.transform
        assert math.dist((x, y, z), (place.location.x, place.location.y, place.location.z)) < 0.5
        if not lane.is_junction:  # where lanes cross, the nearest may be another one
            assert abs((place.rotation.yaw - yaw + 180) % 360 - 180) < 20.0


@pytest.mark.parametrize("make", MAKERS.values())
@pytest.mark.parametrize("seed", range(6))
def test_roads_of_chance(make, seed: int):
    town = parse_town("made", text_of(make(random.Random(seed))))
    assert town.spawn_points or make is single_roads
    routes = routes_of(town)
    assert routes or make is single_roads
    for route in routes:
        check_route(town, route)


@pytest.fixture(scope="module")
def made_towns(simulator_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> SimulatorServer:
    """A server with a town by each maker and seed, such as `chain3`."""
    folder: Path = tmp_path_factory.mktemp("made")
    for name, make in MAKERS.items():
        for seed in range(6):
            (folder / f"{name}{seed}.xodr").write_text(text_of(make(random.Random(seed))))
    return simulator_server("Hamlet", folder)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(f"{maker}{seed}", marks=[pytest.mark.long] if seed > 1 else [])
        for maker in MAKERS
        for seed in range(6)
    ],
)
def test_a_scripted_driver_keeps_its_lane_on_roads_of_chance(made_towns: SimulatorServer, tmp_path: Path, name: str):
    maker, seed = name[:-1], int(name[-1])
    opendrive = parse_town(name, text_of(MAKERS[maker](random.Random(seed)))).opendrive
    config = small_config(vehicles=0, town=name, route=ROUTES)
    try:
        drives = drive_routes(config, opendrive, made_towns.port, range(ROUTES.evaluation_routes), tmp_path)
    except BadInput as error:
        if maker != "single":
            raise
        pytest.skip(f"its roads are too short for a route: {error}")
    for drive in drives:
        assert drive.completed, drive
        assert drive.beyond_lane_m < 0, drive
