"""What stands beside the roads: walls, guard rails, poles and houses, where there is room for them."""

import math
from collections.abc import Iterator

import carla

from td3_hpc.roads.client_map import ClientLanes
from td3_hpc.simulator.geometry import OrientedBox, Pose
from td3_hpc.simulator.labels import CityObjectLabel
from td3_hpc.simulator.towns.town import EdgeObject

_SPACING = 16.0  # Between two objects along a road, m.
_CLEARANCE = 1.5  # Between an object and any lane, m.
_LEVEL = 6.0  # A road whose height differs by less is in the way, m.


class _Kind:
    def __init__(
        self, label: CityObjectLabel, extent: tuple[float, float, float], gap: float, colour: tuple[int, int, int]
    ) -> None:
        self.label, self.extent, self.gap, self.colour = label, extent, gap, colour


#: Half sizes in metres, gap behind the outermost lane in metres, colour BGR; roads take them in turn.
_KINDS = (
    _Kind(CityObjectLabel.POLES, (0.12, 0.12, 3.0), 1.6, (90, 90, 95)),
    _Kind(CityObjectLabel.BUILDINGS, (5.0, 4.0, 4.0), 6.0, (120, 150, 190)),
    _Kind(CityObjectLabel.WALLS, (6.0, 0.15, 0.6), 2.0, (150, 155, 160)),
    _Kind(CityObjectLabel.BUILDINGS, (6.0, 5.0, 6.5), 7.0, (150, 140, 120)),
    _Kind(CityObjectLabel.POLES, (0.12, 0.12, 3.0), 1.6, (90, 90, 95)),
    _Kind(CityObjectLabel.FENCES, (6.0, 0.05, 0.5), 1.8, (80, 110, 90)),
    _Kind(CityObjectLabel.GUARD_RAIL, (6.0, 0.1, 0.4), 1.6, (170, 170, 170)),
)


def find_edge_objects(road_map: carla.Map, lanes: ClientLanes) -> tuple[EdgeObject, ...]:
    """Objects at the right of every outermost driving lane outside junctions, clear of all lanes and of each other."""
    found: list[EdgeObject] = []
    taken: dict[tuple[int, int], list[OrientedBox]] = {}
    for number, lane in enumerate(_outermost(lanes)):
        for index, waypoint in enumerate(lanes.course(lane, _SPACING)):
            kind = _KINDS[(number + index) % len(_KINDS)]
            box = _beside(waypoint, kind)
            cell = (math.floor(box.centre.x / 30), math.floor(box.centre.y / 30))
            near = [b for dx in (-1, 0, 1) for dy in (-1, 0, 1) for b in taken.get((cell[0] + dx, cell[1] + dy), ())]
            if _is_clear(road_map, box) and not any(_touch(box, other) for other in near):
                taken.setdefault(cell, []).append(box)
                found.append(EdgeObject(box, kind.label, kind.colour))
    return tuple(found)


def _outermost(lanes: ClientLanes) -> Iterator[carla.Waypoint]:
    """Where the outermost driving lanes outside junctions begin, in a fixed order."""
    for key, start in lanes.starts.items():
        right = start.get_right_lane() if not start.is_junction else start
        if right is None or right.lane_type != carla.LaneType.Driving or right.lane_id * key.lane < 0:
            yield start


def _beside(waypoint: carla.Waypoint, kind: _Kind) -> OrientedBox:
    """The box behind everything that belongs to the road on its right."""
    aside = waypoint.lane_width / 2
    outer = waypoint.get_right_lane()
    while outer is not None and outer.lane_type != carla.LaneType.Driving and outer.lane_width > 0 and aside < 30:
        aside += outer.lane_width
        following = outer.get_right_lane()
        outer = None if following is None or abs(following.lane_id) <= abs(outer.lane_id) else following
    transform = waypoint.transform
    place, rotation = transform.location, transform.rotation
    here = Pose(place.x, place.y, place.z, 0.0, rotation.yaw, 0.0)
    _, width, height = kind.extent
    return OrientedBox(here.ahead(0.0, aside + kind.gap + width, height), kind.extent)


def _is_clear(road_map: carla.Map, box: OrientedBox) -> bool:
    """Whether no lane of any kind comes near the box's outline."""
    length, width, height = box.extent
    steps = max(1, math.ceil(length / 2.0))
    for i in range(-steps, steps + 1):
        for side in (-width, 0.0, width):
            place = box.centre.ahead(length * i / steps, side, -height)
            location = carla.Location(place.x, place.y, place.z)
            waypoint = road_map.get_waypoint(location, True, carla.LaneType.Any)
            if waypoint is None:
                continue
            lane = waypoint.transform.location
            gap = math.hypot(lane.x - place.x, lane.y - place.y) - waypoint.lane_width / 2
            if gap < _CLEARANCE and abs(lane.z - place.z) < _LEVEL:
                return False
    return True


def _touch(a: OrientedBox, b: OrientedBox) -> bool:
    reach = math.hypot(*a.extent[:2]) + math.hypot(*b.extent[:2])
    return math.hypot(a.centre.x - b.centre.x, a.centre.y - b.centre.y) < reach
