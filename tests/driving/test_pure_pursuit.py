"""The scripted driver shows that the task can be done and that doing it pays."""

from pathlib import Path

import pytest

from td3_hpc.config import RouteConfig
from td3_hpc.simulator.towns import load_town
from tests.conftest import CARLA_TOWNS, StartServer, need_map
from tests.driving.conftest import small_config
from tests.driving.scripted_drive import drive_routes


@pytest.mark.parametrize(
    ("town", "route", "numbers"),
    [
        ("Hamlet", RouteConfig(min_length_m=60, max_length_m=200), range(2)),
        pytest.param("Brookfield", RouteConfig(), range(1), marks=pytest.mark.long),
    ],
)
def test_completes_routes(make_simulator, hamlet, tmp_path, town, route, numbers):
    simulator = hamlet if town == "Hamlet" else make_simulator(town)
    config = small_config(vehicles=0, town=town, route=route)
    for drive in drive_routes(config, load_town(town, None).opendrive, simulator.port, numbers, tmp_path):
        assert drive.completed, drive
        assert drive.beyond_lane_m < 0, drive
        assert drive.episode["mean_speed_kmh"] > 10
        # a good drive earns nearly all of 1 per decision at the target speed, that is per 0.83 m
        assert drive.episode["return"] > 0.6 * drive.episode["route_length_m"] / (30 / 3.6 * 0.1)


FEWER = {"Town02": 80, "Town10HD": 120}
"""Held-out routes of towns that have no 140, and some besides to train on."""


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("town", ["Brookfield", *CARLA_TOWNS])
def test_completes_routes_of_every_town_in_its_lane(
    simulator_server: StartServer, carla_maps: Path, tmp_path: Path, town: str
):
    """140 routes without traffic, or as many as there are: at least 95 % to their end, none out of its lane."""
    routes = FEWER.get(town, 140)
    if town in CARLA_TOWNS:
        need_map(carla_maps, town)
    server = simulator_server(town, carla_maps)
    config = small_config(vehicles=0, town=town, route=RouteConfig(evaluation_routes=routes))
    try:
        opendrive = load_town(town, carla_maps).opendrive
        drives = drive_routes(config, opendrive, server.port, range(routes), tmp_path)
    finally:
        server.stop()
    told = {number: str(drive) for number, drive in enumerate(drives) if not drive.completed or drive.beyond_lane_m > 0}
    assert sum(drive.completed for drive in drives) >= 0.95 * len(drives), told
    assert max(drive.beyond_lane_m for drive in drives) < 0, told
