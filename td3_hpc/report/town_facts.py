"""What a town holds, as a person would ask: roads, lanes, lights, limits, routes, what was healed, what is missing."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator

from td3_hpc.config.environment import RouteConfig
from td3_hpc.driving.lanes import LaneNetwork, read_lanes
from td3_hpc.driving.route import Route, RoutePlanner
from td3_hpc.errors import BadInput
from td3_hpc.roads.elements import lane_id, lanes_of, number, sections_of
from td3_hpc.roads.lanes import lane_graph
from td3_hpc.roads.notes import listed
from td3_hpc.simulator.towns.town import Town

_FEWEST_CORNERS = 3  # Of a crosswalk.


def town_facts(town: Town, min_length_m: float, max_length_m: float) -> tuple[list[tuple[str, str]], list[Route]]:
    """Pairs of a question and its answer, in the order of asking; and the held-out routes, if there are any."""
    config = RouteConfig(min_length_m=min_length_m, max_length_m=max_length_m)
    root = ET.fromstring(town.opendrive)
    graph = lane_graph(root)
    ends = [key for key, after in graph.following.items() if not after]
    network = read_lanes(town.map)
    routes, told = _routes(town, config, network)
    facts = [
        ("roads", _roads(root)),
        ("lanes", _lanes(root)),
        ("junctions", f"{len(root.findall('junction'))}"),
        ("traffic lights", f"{len(town.traffic_lights)}, in {len(town.signal_groups)} groups that take turns"),
        ("signs", _counted(Counter(sign.kind.removeprefix("traffic.") for sign in town.signs))),
        ("speed limits", _limits(town)),
        ("crosswalks", f"{len(_crosswalks(root)[0])}"),
        ("heights", _heights(town)),
        ("spawn points", f"{len(town.spawn_points)}"),
        ("dead ends", f"{len(ends)} driving lanes lead nowhere" + _places([str(key.road) for key in ends])),
        ("gaps", _gaps(network)),
        ("routes", told),
    ]
    facts += [("healed", line) for line in town.healed] or [("healed", "nothing had to be")]
    return facts + [("missing", line) for line in _missing(town, root)], routes


def _roads(root: ET.Element) -> str:
    roads = root.findall("road")
    inside = [road for road in roads if road.get("junction") != "-1"]
    length = sum(number(road, "length") or 0.0 for road in roads if road not in inside)
    return f"{len(roads) - len(inside)} of {length / 1000:.1f} km, and {len(inside)} within junctions"


def _lanes(root: ET.Element) -> str:
    counts: Counter[str] = Counter()
    metres: Counter[str] = Counter()
    for kind, length in _lane_lengths(root):
        counts[kind] += 1
        metres[kind] += round(length)
    return ", ".join(f"{count} {kind} ({metres[kind] / 1000:.1f} km)" for kind, count in counts.most_common()) or "none"


def _lane_lengths(root: ET.Element) -> Iterator[tuple[str, float]]:
    for road in root.findall("road"):
        sections = sections_of(road)
        limits = [number(section, "s") or 0.0 for section in sections] + [number(road, "length") or 0.0]
        for section, start, end in zip(sections, limits, limits[1:]):
            for lane in lanes_of(section):
                if lane_id(lane):
                    yield (lane.get("type") or "none").split(":")[0][:20], end - start


def _counted(counts: "Counter[str]") -> str:
    return ", ".join(f"{count} {kind.replace('.', ' ')}" for kind, count in sorted(counts.items())) or "none"


def _limits(town: Town) -> str:
    """Of the driving lanes, as CARLA's vehicles are told them."""
    places = town.map.generate_waypoints(10.0)
    limits = Counter(round(town.speed_limit_kmh(w.road_id, w.lane_id, w.s)) for w in places)
    total = sum(limits.values())
    return ", ".join(f"{limit} km/h ({100 * count / total:.0f} %)" for limit, count in sorted(limits.items()))


def _crosswalks(root: ET.Element) -> tuple[list[str], list[str]]:
    """Ids of those that the client library sees, and of the others: it knows corners in the object's own axes alone."""
    seen: list[str] = []
    others: list[str] = []
    for item in root.iterfind("road/objects/object[@type='crosswalk']"):
        corners = item.findall("outline/cornerLocal")
        (seen if len(corners) >= _FEWEST_CORNERS else others).append(item.get("id", ""))
    return seen, others


def _heights(town: Town) -> str:
    heights = [place.transform.location.z for place in town.map.generate_waypoints(10.0)]
    return f"{min(heights):.1f} to {max(heights):.1f} m" if heights else "none"


def _routes(town: Town, config: RouteConfig, network: LaneNetwork) -> tuple[list[Route], str]:
    wanted = f"of {config.min_length_m:g} to {config.max_length_m:g} m"
    try:
        planner = RoutePlanner(town.name, town.map, config, network)
    except BadInput:
        return [], f"not {config.evaluation_routes} {wanted} and one for training; change environment.route"
    lengths = sorted(route.length for route in planner.evaluation_routes)
    middle = lengths[len(lengths) // 2]
    return planner.evaluation_routes, f"{len(lengths)} held-out ones {wanted}, the middle one {middle:.0f} m"


def _gaps(network: LaneNetwork) -> str:
    links = network.left_out
    if not links:
        return "none between lanes that follow each other"
    what = "jump, turn on the spot or are narrow where they meet: no route takes them, and cars may leave their lane"
    return f"{len(links)} lanes that follow each other {what}" + _places([f"{a.road} to {b.road}" for a, b in links])


def _missing(town: Town, root: ET.Element) -> Iterator[str]:
    """What a driving task may want and does not find."""
    if not town.traffic_lights:
        yield "traffic lights: none stops a driving lane"
    unused = {item.get("id") for item in root.iter("signal") if item.get("type") == "1000001"}
    unused -= {light.signal_id for light in town.traffic_lights}
    if unused:
        yield f"{len(unused)} traffic lights stop no driving lane" + _places([str(name) for name in unused])
    told = any(root.find(path) is not None for path in ("road/type/speed", "road/lanes/laneSection/*/lane/speed"))
    if not told and not any("speed_limit" in sign.kind for sign in town.signs):
        yield "speed limits: there are neither signs nor roads or lanes with one; CARLA's 30 km/h holds"
    if not town.spawn_points:
        yield "spawn points: no driving lane outside junctions is long and wide enough"
    crosswalks, unseen = _crosswalks(root)
    if not crosswalks and not unseen:
        yield "crosswalks"
    if unseen:
        yield f"{len(unseen)} crosswalks without an outline of <cornerLocal>, the only one that is read" + _places(
            unseen
        )
    tilted = [road.get("id", "") for road in root.findall("road") if _is_tilted(road)]
    if tilted:
        yield f"superelevation and shape of {len(tilted)} roads, which the client library lays level" + _places(tilted)


def _is_tilted(road: ET.Element) -> bool:
    """Whether something else than a level line is told of a road's cross-section, in whichever version's words."""
    told = [item for profile in road.findall("lateralProfile") for item in profile]
    return any(item.tag == "crossSectionSurface" or any(number(item, name) for name in "abcd") for item in told)


def _places(names: list[str]) -> str:
    shown = sorted(" ".join(name.split())[:20] for name in names)
    return f" ({listed(shown, most=5)})" if shown else ""
