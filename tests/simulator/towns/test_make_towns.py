"""Towns made of a plan: the same bytes each time, sound roads whatever the seed."""

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import carla
import pytest

from td3_hpc.simulator.geometry import angle_between
from td3_hpc.simulator.towns import parse_town
from td3_hpc.simulator.towns.make_towns import BROOKFIELD, HAMLET, Grid, build, draw_grid
from td3_hpc.simulator.towns.town import Town
from tests.paths import ROOT

OWN = ROOT / "td3_hpc/simulator/own_towns"


@pytest.mark.parametrize("grid", [HAMLET, BROOKFIELD], ids=lambda grid: grid.name)
def test_our_own_towns_are_what_the_program_makes(grid: Grid):
    assert build(grid) == (OWN / f"{grid.name}.xodr").read_text(encoding="utf-8")


def test_the_same_seed_gives_the_same_file_in_any_process(tmp_path: Path):
    command = [sys.executable, "-m", "td3_hpc.simulator.towns.make_towns", str(tmp_path / "towns"), "7"]
    subprocess.run(command, check=True, timeout=120, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "1"})
    assert build(draw_grid(7)) == (tmp_path / "towns" / "Seed7.xodr").read_text(encoding="utf-8")
    assert draw_grid(1) != draw_grid(2)


@pytest.fixture(scope="module", params=[None, 1, 2], ids=["Brookfield", "1", "2"])
def town(request: pytest.FixtureRequest) -> Town:
    grid = BROOKFIELD if request.param is None else draw_grid(request.param)
    return parse_town(grid.name, build(grid))


def test_every_lane_leads_on_and_meets_the_next_one(town: Town):
    followed = {(w.road_id, w.lane_id) for w, _ in town.map.get_topology()}
    for start, end in town.map.get_topology():
        assert (end.road_id, end.lane_id) in followed, end
        last = [start, *start.next_until_lane_end(0.5)][-1].transform
        first = end.transform
        assert last.location.distance(first.location) < 0.6, (start, end)
        assert abs((last.rotation.yaw - first.rotation.yaw + 180.0) % 360.0 - 180.0) < 3.0, (start, end)


def test_it_is_large_enough_for_routes_of_a_kilometre(town: Town):
    lane = town.map.get_waypoint(carla.Location(*town.spawn_points[0][:3]))
    driven = 0.0
    visited = set()
    while driven < 1000.0:
        visited.add(lane.road_id)
        lane = min(lane.next(2.0), key=lambda w: (w.road_id in visited, w.road_id))
        driven += 2.0
    assert len({road for road in visited if road < 500}) > 3


def test_it_has_lights_signs_curves_and_a_slope_that_cars_manage(town: Town):
    kinds = {sign.kind for sign in town.signs}
    assert town.traffic_lights
    assert "traffic.stop" in kinds or "traffic.yield" in kinds
    rises = [abs(w.transform.rotation.pitch) for w in town.map.generate_waypoints(5.0)]
    rises = [min(rise, 360.0 - rise) for rise in rises]
    assert 2.0 < max(rises) < 6.0
    assert any(w.transform.rotation.yaw % 90.0 > 1.0 for w in town.map.generate_waypoints(5.0) if not w.is_junction)


def test_arms_that_are_green_together_face_each_other(town: Town):
    heading = {light.signal_id: light.pose.yaw for light in town.traffic_lights}
    for group in town.signal_groups:
        assert sum(map(len, group.phases)) == 4
        for phase in group.phases:
            turns = {round(abs(angle_between(heading[one], heading[other]))) for one in phase for other in phase}
            assert turns in ({0}, {0, 180}), phase


def test_lanes_in_a_junction_come_from_and_lead_to_all_other_arms(town: Town):
    ways = defaultdict(set)
    for start, end in town.map.get_topology():
        if end.is_junction and not start.is_junction:
            out = end.next_until_lane_end(1.0)[-1].next(1.5)[0]
            ways[end.junction_id, start.road_id].add(out.road_id)
    arms = defaultdict(set)
    for junction, road in ways:
        arms[junction].add(road)
    for (junction, road), targets in ways.items():
        assert targets == arms[junction] - {road}, (junction, road)


def test_no_lane_changes_into_oncoming_traffic(town: Town):
    """What CARLA's GlobalRoutePlanner asks before it plans a lane change."""
    for place in town.map.generate_waypoints(5.0):
        for side, beside in (
            (carla.LaneChange.Left, place.get_left_lane()),
            (carla.LaneChange.Right, place.get_right_lane()),
        ):
            marking = place.left_lane_marking if side == carla.LaneChange.Left else place.right_lane_marking
            driving = beside is not None and beside.lane_type == carla.LaneType.Driving
            if driving and marking.lane_change & side:
                assert beside.lane_id * place.lane_id > 0, (place, beside)


def test_every_arm_with_a_light_has_a_crosswalk_past_its_stop_line(town: Town):
    corners = town.map.get_crosswalks()
    rings = [corners[first : first + 5] for first in range(0, len(corners), 5)]
    assert all(ring[0].distance(ring[4]) < 0.01 for ring in rings)
    assert len(rings) == len(town.traffic_lights)
    for ring in rings:
        middle = carla.Location(*(sum(getattr(corner, axis) for corner in ring[:4]) / 4 for axis in "xyz"))
        place = town.map.get_waypoint(middle)
        assert place.is_junction, middle
        assert place.transform.location.distance(middle) < 8.0, middle
