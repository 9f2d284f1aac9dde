"""Towns made with scenariogeneration: our own two, and one for every seed.

    python -m td3_hpc.simulator.towns.make_towns DIRECTORY          writes Hamlet.xodr and Brookfield.xodr
    python -m td3_hpc.simulator.towns.make_towns DIRECTORY SEED...  writes Seed<n>.xodr for each seed

All are grids of junctions. A node of the grid with four arms is a junction with traffic lights, one with three a
junction with a stop or yield sign, one with two a bend. The same seed gives the same bytes.
"""

import argparse
import math
import random
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scenariogeneration import xodr

from td3_hpc.roads.healing.signals import unwrap_outline

LANE_WIDTH = 3.5
RADIUS = 18.0  # Of a junction: from its middle to the stop lines, metres.
SHORT = 150.0
"""Where junctions are less far apart, m, vehicles that turn left before others that come towards them would fill the
road back to the last junction: there one arm after the other has green."""
BEND = 40.0  # Radius of a bend, metres.
TURNING_KMH, APPROACH = 40.0, 30.0
"""Limit at a junction, and how far from one it holds, metres."""
FIRST_JUNCTION = 500
"""CARLA takes a link to a junction for one to a road where a road has that number; connecting roads begin at 1001."""
LIGHT, STOP, YIELD = "1000001", "206", "205"
ORIGIN = "+proj=tmerc +lat_0=42 +lon_0=2 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"
"""Where on Earth a town's origin lies; the client library warns of a town that does not say."""

Node = tuple[int, int]
"""Column and row."""


@dataclass(frozen=True)
class Grid:
    """The plan of a town: columns and rows of nodes, `spacing` metres apart."""

    name: str
    columns: int
    rows: int
    spacing: float
    wide_row: int | None = None
    """Row whose roads have two lanes in each direction."""
    hill: tuple[Node, Node] | None = None
    """Edge whose road climbs a hill and comes down again."""
    hill_height: float = 0.0
    speeds_kmh: tuple[float, ...] = (30.0,)
    """Speed limits, which the roads take in turn."""


@dataclass
class Arm:
    """Where a road meets a junction."""

    road: xodr.Road
    angle: float
    """Direction from the junction's middle, radians."""
    at_end: bool
    """Whether the road ends here, rather than begins."""
    lanes: int
    """In each direction."""

    @property
    def contact(self) -> xodr.ContactPoint:
        return xodr.ContactPoint.end if self.at_end else xodr.ContactPoint.start

    def lane_id(self, lane: int, into: bool) -> int:
        """Id of the lane-th lane from the middle that leads into the junction, or out of it."""
        return -lane if self.at_end == into else lane


@dataclass
class TownPlan:
    """A town in the making."""

    grid: Grid
    roads: list[xodr.Road] = field(default_factory=list)
    arms: dict[Node, list[Arm]] = field(default_factory=dict)
    junctions: list[xodr.Junction] = field(default_factory=list)
    connecting_roads: int = 0


HAMLET = Grid("Hamlet", 3, 3, 110.0, speeds_kmh=(30.0, 40.0))
BROOKFIELD = Grid(
    "Brookfield",
    4,
    4,
    190.0,
    wide_row=1,
    hill=((2, 2), (2, 3)),
    hill_height=3.6,
    speeds_kmh=(30.0, 40.0, 50.0),
)


def draw_grid(seed: int) -> Grid:
    """A plan drawn from a seed: 3 to 5 rows and columns, roads of 80 to 170 m, a hill, half the time a wide row."""
    drawn = random.Random(seed)
    columns, rows = drawn.randint(3, 5), drawn.randint(3, 5)
    spacing = drawn.randrange(120, 211, 10)
    column, row = drawn.randint(1, columns - 2), drawn.randint(0, rows - 2)
    steepest = drawn.uniform(0.04, 0.08)
    return Grid(
        f"Seed{seed}",
        columns,
        rows,
        float(spacing),
        wide_row=drawn.randint(1, rows - 2) if drawn.random() < 0.5 else None,
        hill=((column, row), (column, row + 1)),
        hill_height=round(steepest * (spacing - 2 * RADIUS) / 3, 1),
        speeds_kmh=tuple(drawn.sample((30.0, 40.0, 50.0, 60.0), 3)),
    )


def build(grid: Grid) -> str:
    """The OpenDRIVE text of a town."""
    plan = TownPlan(grid)
    for nodes in _courses(grid):
        _add_road(plan, nodes)
    lights: dict[int, list[list[str]]] = {}
    for number, (node, arms) in enumerate(sorted(plan.arms.items()), FIRST_JUNCTION):
        _add_junction(plan, number, node, arms)
        phases = _add_signals(number, arms, grid.spacing < SHORT)
        if phases:
            lights[number] = phases
    drawing = xodr.OpenDrive(grid.name, geo_reference=ORIGIN)
    for road in plan.roads:
        drawing.add_road(road)
    for junction in plan.junctions:
        drawing.add_junction(junction)
    return _finish(drawing, lights)


def _courses(grid: Grid) -> Iterator[list[Node]]:
    """The roads as sequences of nodes: from junction to junction, round the bends of the corners."""
    corners = {(c, r) for c in (0, grid.columns - 1) for r in (0, grid.rows - 1)}
    edges = [((c, r), (c + 1, r)) for r in range(grid.rows) for c in range(grid.columns - 1)]
    edges += [((c, r), (c, r + 1)) for c in range(grid.columns) for r in range(grid.rows - 1)]
    for first, second in edges:
        if first not in corners and second not in corners:
            yield [first, second]
    for corner in sorted(corners):
        inward_c, inward_r = (1 if corner[0] == 0 else -1), (1 if corner[1] == 0 else -1)
        yield [(corner[0] + inward_c, corner[1]), corner, (corner[0], corner[1] + inward_r)]


def _add_road(plan: TownPlan, nodes: list[Node]) -> None:
    """One road along its nodes; booked with the junctions at both of its ends."""
    grid = plan.grid
    number = len(plan.roads) + 1
    wide = len(nodes) == 2 and nodes[0][1] == nodes[1][1] == grid.wide_row
    lanes = 2 if wide else 1
    straight = grid.spacing - RADIUS
    if len(nodes) == 2:
        geometry = [xodr.Line(straight - RADIUS)]
    else:
        turn = _direction(nodes[1], nodes[2]) - _direction(nodes[0], nodes[1])
        sign = 1.0 if math.sin(turn) > 0 else -1.0
        line = xodr.Line(straight - BEND)
        geometry = [line, xodr.Arc(sign / BEND, angle=sign * math.pi / 2), xodr.Line(straight - BEND)]
    middle = xodr.RoadMark(  # without the last word, planners change over it into oncoming traffic
        xodr.RoadMarkType.solid if wide else xodr.RoadMarkType.broken, 0.15, laneChange=xodr.LaneChange.none
    )
    road = xodr.create_road(
        geometry,
        id=number,
        left_lanes=lanes,
        right_lanes=lanes,
        lane_width=LANE_WIDTH,
        center_road_mark=middle,
    )
    _limit_speed(road, grid.speeds_kmh[number % len(grid.speeds_kmh)])
    if grid.hill == (nodes[0], nodes[-1]):
        _raise_hill(road, straight - RADIUS, grid.hill_height)
    angle = _direction(nodes[0], nodes[1])
    _put(road, *_lane_edge(plan, nodes[0], angle, angle, 1), angle)
    plan.roads.append(road)
    plan.arms.setdefault(nodes[0], []).append(Arm(road, angle, False, lanes))
    plan.arms.setdefault(nodes[-1], []).append(Arm(road, _direction(nodes[-1], nodes[-2]), True, lanes))


def _limit_speed(road: xodr.Road, limit_kmh: float) -> None:
    """The road's limit, lower near its ends: CARLA's agents turn at a junction at the limit less 5 km/h."""
    slow, last = min(limit_kmh, TURNING_KMH), road.planview.get_total_length() - APPROACH
    for s, speed in ((0, slow), (APPROACH, limit_kmh), (last, slow)) if slow < limit_kmh else ((0, slow),):
        road.add_type(xodr.RoadType.town, s, "CH", speed, speed_unit="km/h")


def _direction(start: Node, end: Node) -> float:
    return math.atan2(end[1] - start[1], end[0] - start[0]) % (2 * math.pi)


def _raise_hill(road: xodr.Road, length: float, height: float) -> None:
    """Level at both ends and on top: z = h (3 u² - 2 u³), u the share of the way up, and the same down."""
    half = length / 2
    up = (0.0, 0.0, 3 * height / half**2, -2 * height / half**3)
    road.add_elevation(0, *up)
    road.add_elevation(half, height, 0.0, -up[2], -up[3])


def _add_junction(plan: TownPlan, number: int, node: Node, arms: list[Arm]) -> None:
    """The junction at a node: a connecting road for each lane that leads in and each way that it may take."""
    junction = xodr.Junction(f"junction {node[0]}-{node[1]}", number)
    for arm in arms:
        side = arm.road.add_successor if arm.at_end else arm.road.add_predecessor
        side(xodr.ElementType.junction, number)
        for other in arms:
            if other is not arm:
                for lane_in, lane_out in _ways(arm, other):
                    road = _connecting_road(plan, number, node, (arm, lane_in), (other, lane_out))
                    connection = xodr.Connection(arm.road.id, road.id, xodr.ContactPoint.start)
                    connection.add_lanelink(arm.lane_id(lane_in, into=True), -1)
                    junction.add_connection(connection)
    plan.junctions.append(junction)


def _ways(arm: Arm, other: Arm) -> list[tuple[int, int]]:
    """Which lanes lead from one arm into another, counted from the middle of the road: straight on all of them, to
    the left the inner ones, to the right the outer ones."""
    turn = _quarter_turns(arm, other)
    if turn == 0:
        return [(lane, lane) for lane in range(1, min(arm.lanes, other.lanes) + 1)]
    return [(1, 1)] if turn == 1 else [(arm.lanes, other.lanes)]


def _quarter_turns(arm: Arm, other: Arm) -> int:
    """0 straight on, 1 to the left, 3 to the right."""
    return round((other.angle - arm.angle - math.pi) / (math.pi / 2)) % 4


def _connecting_road(
    plan: TownPlan, junction: int, node: Node, source: tuple[Arm, int], target: tuple[Arm, int]
) -> xodr.Road:
    """One lane from the left edge of a lane that leads in to that of a lane that leads out."""
    (arm, lane_in), (other, lane_out) = source, target
    heading, leaving = arm.angle + math.pi, other.angle
    start = _lane_edge(plan, node, arm.angle, heading, lane_in)
    end = _lane_edge(plan, node, other.angle, leaving, lane_out)
    dx, dy = end[0] - start[0], end[1] - start[1]
    ahead = dx * math.cos(heading) + dy * math.sin(heading)
    aside = abs(dy * math.cos(heading) - dx * math.sin(heading))
    turn = _quarter_turns(arm, other)
    if turn == 0:
        shape = [xodr.Line(ahead)]
    else:
        radius, sign = min(ahead, aside), 1.0 if turn == 1 else -1.0
        shape = [xodr.Arc(sign / radius, angle=sign * math.pi / 2)]
        shape = [xodr.Line(ahead - radius), *shape] if ahead - radius > 0.01 else shape
        shape = [*shape, xodr.Line(aside - radius)] if aside - radius > 0.01 else shape
    plan.connecting_roads += 1
    unmarked = xodr.RoadMark(xodr.RoadMarkType.none, laneChange=xodr.LaneChange.none)
    road = xodr.create_road(
        shape,
        id=1000 + plan.connecting_roads,
        left_lanes=0,
        right_lanes=1,
        road_type=junction,
        lane_width=LANE_WIDTH,
        center_road_mark=unmarked,
    )
    lane = road.lanes.lanesections[0].rightlanes[0]
    lane.roadmark = [unmarked]
    lane.add_link("predecessor", arm.lane_id(lane_in, into=True))
    lane.add_link("successor", other.lane_id(lane_out, into=False))
    road.add_predecessor(xodr.ElementType.road, arm.road.id, arm.contact)
    road.add_successor(xodr.ElementType.road, other.road.id, other.contact)
    road.add_type(xodr.RoadType.town, 0, "CH", plan.grid.speeds_kmh[0], speed_unit="km/h")
    _put(road, *start, heading)
    plan.roads.append(road)
    return road


def _lane_edge(plan: TownPlan, node: Node, direction: float, heading: float, lane: int) -> tuple[float, float]:
    """Left edge of the lane-th lane, seen along `heading`, where the arm in `direction` meets the junction."""
    aside = (lane - 1) * LANE_WIDTH
    x = node[0] * plan.grid.spacing + RADIUS * math.cos(direction) + aside * math.sin(heading)
    y = node[1] * plan.grid.spacing + RADIUS * math.sin(direction) - aside * math.cos(heading)
    return x, y


def _put(road: xodr.Road, x: float, y: float, heading: float) -> None:
    road.planview.set_start_point(x, y, heading)
    road.planview.adjust_geometries()


def _add_signals(number: int, arms: list[Arm], one_by_one: bool) -> list[list[str]]:
    """Lights, or a sign at the arm that ends at a T; returns the ids of the lights that are green together.

    `one_by_one`: one arm after the other has green, rather than the two that face each other.
    """
    if len(arms) == 4:
        phases: dict[int, list[str]] = {}
        for index, arm in enumerate(arms):
            _place(arm, LIGHT, f"{number}{index}")
            _add_crosswalk(arm, f"{number}{index}")
            phases.setdefault(index if one_by_one else round(abs(math.sin(arm.angle))), []).append(f"{number}{index}")
        return [phases[key] for key in sorted(phases)]
    if len(arms) == 3:
        stem = next(a for a in arms if not any(abs(math.cos(a.angle - b.angle) + 1) < 0.1 for b in arms))
        _place(stem, STOP if number % 2 else YIELD, f"{number}9")
    return []


def _place(arm: Arm, kind: str, signal_id: str) -> None:
    """A signal at the right of the lanes that lead into the junction, at their end."""
    length = arm.road.planview.get_total_length()
    lanes = sorted(arm.lane_id(lane, into=True) for lane in (1, arm.lanes))
    signal = xodr.Signal(
        s=length - 0.5 if arm.at_end else 0.5,
        t=(-1 if arm.at_end else 1) * (arm.lanes * LANE_WIDTH + 1.2),
        country="OpenDRIVE",
        Type=kind,
        subtype="-1",
        name=signal_id,
        orientation=xodr.Orientation.positive if arm.at_end else xodr.Orientation.negative,
        dynamic=xodr.Dynamic.yes if kind == LIGHT else xodr.Dynamic.no,
    )
    signal.add_validity(lanes[0], lanes[1])
    arm.road.add_signal(signal)


def _add_crosswalk(arm: Arm, object_id: str) -> None:
    """From kerb to kerb, in the junction, between 1 and 4 m past the stop line."""
    near, far = (1.0, 4.0) if arm.at_end else (-1.0, -4.0)
    half = arm.lanes * LANE_WIDTH
    place = arm.road.planview.get_total_length() if arm.at_end else 0.0
    crosswalk = xodr.Object(
        place, 0.0, xodr.ObjectType.crosswalk, name=object_id, width=2 * half, length=abs(far - near)
    )
    outline = xodr.Outline()
    for u, v in ((near, half), (near, -half), (far, -half), (far, half), (near, half)):  # the client wants a closed one
        outline.add_corner(xodr.CornerLocal(u, v, 0.0, 0.0))
    crosswalk.add_outline(outline)
    arm.road.add_object(crosswalk)


def _finish(drawing: xodr.OpenDrive, lights: dict[int, list[list[str]]]) -> str:
    """The text, with what scenariogeneration has no word for: controllers, sidewalks; and without today's date."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "town.xodr"
        drawing.write_xml(str(path))
        root = ET.fromstring(path.read_text(encoding="utf-8"))
    header = root.find("header")
    assert header is not None
    header.set("date", "2026-01-01")
    for item in (*root.iter("signal"), *root.iter("object")):
        item.set("id", item.attrib["name"])  # the library's own ids count up with every town that it has made
    for crosswalk in root.iter("object"):
        unwrap_outline(crosswalk)
    for road in root.findall("road"):
        if road.get("junction", "-1") == "-1":
            _add_sidewalks(road)
    first_junction = next(index for index, child in enumerate(root) if child.tag == "junction")
    for number, phases in sorted(lights.items(), reverse=True):
        junction = next(item for item in root.findall("junction") if item.get("id") == str(number))
        for index, signals in reversed(list(enumerate(phases))):
            controller_id = f"{number}{index}"
            controller = ET.Element("controller", id=controller_id, name=f"controller_{controller_id}", sequence="0")
            for signal_id in signals:
                ET.SubElement(controller, "control", signalId=signal_id, type="0")
            root.insert(first_junction, controller)
        for index in range(len(phases)):
            ET.SubElement(junction, "controller", id=f"{number}{index}", type="0", sequence=str(index))
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add_sidewalks(road: ET.Element) -> None:
    """A shoulder of 0.5 m and a sidewalk of 2 m on both sides."""
    for section in road.iter("laneSection"):
        for side, sign in (("left", 1), ("right", -1)):
            lanes = section.find(side)
            assert lanes is not None
            outermost = max(abs(int(lane.get("id", "0"))) for lane in lanes)
            for kind, width, offset in (("shoulder", 0.5, 1), ("sidewalk", 2.0, 2)):
                lane = ET.Element("lane", id=str(sign * (outermost + offset)), type=kind, level="false")
                ET.SubElement(lane, "width", sOffset="0", a=str(width), b="0", c="0", d="0")
                lanes.insert(0 if sign > 0 else len(lanes), lane)


def main(directory: Path, seeds: list[int]) -> None:
    """Write our own towns, or those of the seeds."""
    directory.mkdir(parents=True, exist_ok=True)
    for grid in map(draw_grid, seeds) if seeds else (HAMLET, BROOKFIELD):
        (directory / f"{grid.name}.xodr").write_text(build(grid), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("directory", type=Path, help="where the .xodr files go")
    parser.add_argument("seeds", type=int, nargs="*", help="a town for each; none: the package's own towns")
    arguments = parser.parse_args()
    main(arguments.directory, arguments.seeds)
