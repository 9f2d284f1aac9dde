"""`python -m td3_hpc.simulator.towns SOURCE < TEXT`: reads a town where a crash harms nobody."""

import os
import sys

import carla

from td3_hpc.simulator.towns import parse_town
from td3_hpc.simulator.towns.trial import run_trial


def read_as_clients_do(text: str, source: str) -> None:
    """Read a town, and ask of every lane what the simulator's clients ask."""
    town = parse_town("trial", text, source)
    road_map = town.map
    for start, end in road_map.get_topology():
        road_map.get_waypoint(start.transform.location, True, carla.LaneType.Any)  # As `Town.edge_objects` asks.
        for place in (start, end):
            _ = place.left_lane_marking, place.right_lane_marking, place.lane_change, place.lane_width
            _ = place.get_left_lane(), place.get_right_lane(), place.next(2.0), place.previous(2.0)
            if place.is_junction:
                place.get_junction()
    road_map.get_crosswalks()
    road_map.generate_waypoints(5.0)
    road_map.cook_in_memory_map(os.devnull)  # As each Traffic Manager does when it begins.
    town.grounds([(0.0, 0.0, 0.0)])


if __name__ == "__main__":
    sys.exit(run_trial(sys.stdin.buffer.read().decode(), sys.argv[1], read_as_clients_do))
