"""Let CARLA's own agents drive planned routes; a program of its own, for an environment that has their packages.

    python agent_drive.py AGENTS PORT ROUTES

AGENTS is the folder that holds CARLA's package `agents`. Prints a line of JSON for each agent and route.
"""

import json
import math
import random
import sys
from typing import Any

import carla

FASTEST_KMH = 30.0
LONGEST = 4800  # Ticks of 0.05 s.
KINDS = ("basic", "cautious", "normal", "aggressive")


def make_agent(kind: str, vehicle: carla.Vehicle) -> Any:
    """An agent as CARLA's examples make them; only of the basic one the speed is ours."""
    from agents.navigation.basic_agent import BasicAgent
    from agents.navigation.behavior_agent import BehaviorAgent

    return BasicAgent(vehicle, FASTEST_KMH) if kind == "basic" else BehaviorAgent(vehicle, behavior=kind)


def planned(world_map: carla.Map, routes: int) -> list[tuple[carla.Transform, carla.Location]]:
    """Starts and ends, drawn from a fixed seed, with a planned way of at least 100 m between them.

    CARLA's planner makes a way of one point where the end is behind the start on the same lane.
    """
    from agents.navigation.global_route_planner import GlobalRoutePlanner

    planner, drawn, found = GlobalRoutePlanner(world_map, 2.0), random.Random(16), []
    points = world_map.get_spawn_points()
    while len(found) < routes:
        start, end = drawn.sample(points, 2)
        if len(planner.trace_route(start.location, end.location)) >= 50:
            found.append((start, end.location))
    return found


def against_traffic(world_map: carla.Map, vehicle: carla.Vehicle) -> bool:
    """Whether the car's middle is on a lane, outside junctions, that leads the other way."""
    pose = vehicle.get_transform()
    lane = world_map.get_waypoint(pose.location)
    turned = math.radians(pose.rotation.yaw - lane.transform.rotation.yaw)
    return not lane.is_junction and math.cos(turned) < 0.0


def drive(world: carla.World, kind: str, start: carla.Transform, end: carla.Location) -> dict[str, Any]:
    """What became of one drive."""
    library = world.get_blueprint_library()
    vehicle = world.spawn_actor(library.find("vehicle.tesla.model3"), start)
    sensor = world.spawn_actor(library.find("sensor.other.collision"), carla.Transform(), attach_to=vehicle)
    hits: list[str] = []
    sensor.listen(lambda event: hits.append(event.other_actor.type_id))
    world.tick()
    agent, world_map = make_agent(kind, vehicle), world.get_map()
    agent.set_destination(end)
    ticks, wrong_way, farthest = 0, 0, 0.0
    while not agent.done() and ticks < LONGEST and not hits:
        vehicle.apply_control(agent.run_step())
        world.tick()
        ticks += 1
        wrong_way += against_traffic(world_map, vehicle)
        farthest = max(farthest, vehicle.get_velocity().length())
    found = {"kind": kind, "ticks": ticks, "arrived": agent.done(), "hits": hits, "wrong_way": wrong_way}
    found |= {"left_m": round(vehicle.get_location().distance(end), 1), "fastest_kmh": round(3.6 * farthest, 1)}
    sensor.destroy()
    vehicle.destroy()
    world.tick()
    return found


def main(agents: str, port: int, routes: int) -> None:
    """Each kind drives the same routes."""
    sys.path.insert(0, agents)
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(60.0)
    world = client.get_world()
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    world.apply_settings(settings)
    pairs = planned(world.get_map(), routes)
    for kind in KINDS:
        for number, (start, end) in enumerate(pairs):
            print(json.dumps({"route": number, **drive(world, kind, start, end)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
