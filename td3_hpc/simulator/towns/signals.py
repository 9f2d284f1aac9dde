"""Traffic lights, signs and the junctions' cycles, from an OpenDRIVE file's signals and controllers."""

import math
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import carla

from td3_hpc.roads.client_map import ClientLanes
from td3_hpc.simulator.geometry import OrientedBox, Pose, angle_between
from td3_hpc.simulator.towns.town import GiveWayJunction, LanePlace, SignalGroup, SignSite, TrafficLightSite

LIGHT, STOP, YIELD, SPEED = "1000001", "206", "205", "274"
"""OpenDRIVE signal types that CARLA knows."""

_KINDS = {STOP: "traffic.stop", YIELD: "traffic.yield"}
_BOX_LENGTH = 8.0  # Of a trigger before a stop line: from 15 km/h a car stops within half of it, m.
_PASSING_LENGTH = 20.0  # Of the place before a junction where a vehicle may be told to let others in, m.
_SIGN_LENGTH = 4.0  # Of a trigger beside a speed limit, m.
_BOX_HALF_HEIGHT = 1.5  # Below the clearance of a bridge, m.
_NEAR = 1.1  # Steps over the end of a lane walked in steps of 1 m, m.


class _Placed(NamedTuple):
    """A signal and the lanes that it speaks to."""

    signal_id: str
    name: str
    type: str
    value: float
    transform: carla.Transform
    lanes: list[carla.Waypoint]


class _Approach(NamedTuple):
    """A lane before a stop line."""

    stop: carla.Waypoint
    behind: tuple[carla.Waypoint, ...]
    """Where the lanes behind the stop line begin."""


def find_traffic_lights(road_map: carla.Map, lanes: ClientLanes) -> tuple[TrafficLightSite, ...]:
    """Every traffic light that stops at least one driving lane, in the order of their ids."""
    found = (_light(lanes, placed) for placed in _signals(road_map, {LIGHT}))
    return tuple(sorted((light for light in found if light is not None), key=lambda light: _order(light.signal_id)))


def find_signs(road_map: carla.Map, lanes: ClientLanes) -> tuple[SignSite, ...]:
    """Every stop, yield and speed limit sign for at least one driving lane, in the order of their ids."""
    found = (_sign(lanes, placed) for placed in _signals(road_map, {STOP, YIELD, SPEED}))
    return tuple(sorted((sign for sign in found if sign is not None), key=lambda sign: _order(sign.signal_id)))


def find_signal_groups(root: ET.Element, lights: Sequence[TrafficLightSite]) -> tuple[SignalGroup, ...]:
    """The junctions' cycles: one phase for each controller, in the order of the file.

    Lights that no controller of their junction names get a phase for each road that they stop, so that no two roads
    are green together.
    """
    controllers = _controllers(root)
    waiting = {light.signal_id: light for light in lights}
    groups = []
    for junction in root.findall("junction"):
        named = [controllers.get(item.get("id", ""), []) for item in junction.findall("controller")]
        at_junction = int(junction.attrib["id"])
        found = [waiting[signal] for signals in named for signal in dict.fromkeys(signals) if signal in waiting]
        found += [light for light in waiting.values() if light.junction_id == at_junction and light not in found]
        if found:
            groups.append(SignalGroup(at_junction, _phases(found, named)))
            for light in found:
                waiting.pop(light.signal_id, None)
    alone = [SignalGroup(light.junction_id, ((light.signal_id,),)) for light in waiting.values()]
    return (*groups, *alone)


def find_give_way(
    road_map: carla.Map, lanes: ClientLanes, signs: Sequence[SignSite], lights: Sequence[TrafficLightSite]
) -> tuple[GiveWayJunction, ...]:
    """The junctions before which stop or yield signs stand, in the order of their ids."""
    signed: dict[int, list[SignSite]] = defaultdict(list)
    for sign in signs:
        if sign.kind in _KINDS.values():
            signed[_junction_ahead(road_map, lanes, sign.stop_places[0])].append(sign)
    roads: dict[int, set[int]] = defaultdict(set)
    entries: dict[int, dict[tuple[int, int], carla.Waypoint]] = defaultdict(dict)
    for key, start in lanes.starts.items():
        for after in lanes.graph.following[key]:
            entered = lanes.starts.get(after)
            if entered is not None and entered.is_junction:
                roads[entered.junction_id].add(after.road)
                if not start.is_junction:
                    entries[entered.junction_id][key.road, key.lane] = start
    lit = {light.junction_id for light in lights}
    found = []
    for junction, sites in sorted(signed.items()):
        here = {(place.road_id, place.lane_id) for site in sites for place in site.stop_places}
        others = [start for lane, start in sorted(entries[junction].items()) if lane not in here]
        boxes = () if junction in lit else tuple(_box_before(lanes.end(w), _PASSING_LENGTH) for w in others)
        found.append(GiveWayJunction(frozenset(roads[junction]), tuple(site.trigger for site in sites), boxes))
    return tuple(found)


def _junction_ahead(road_map: carla.Map, lanes: ClientLanes, place: LanePlace) -> int:
    """Id of the junction that a lane leads into, -1 where it leads into none."""
    here = road_map.get_waypoint_xodr(*place)
    ahead = _ahead(lanes, here) if here is not None else ()
    return next((waypoint.junction_id for waypoint in ahead if waypoint.is_junction), -1)


def _order(signal_id: str) -> tuple[int, str]:
    return int(signal_id) if signal_id.isdigit() else 2**31, signal_id


def _controllers(root: ET.Element) -> dict[str, list[str]]:
    return {
        controller.get("id", ""): [control.get("signalId", "") for control in controller.findall("control")]
        for controller in root.findall("controller")
    }


def _phases(lights: Sequence[TrafficLightSite], controllers: Iterable[list[str]]) -> tuple[tuple[str, ...], ...]:
    waiting = {light.signal_id: light for light in lights}
    phases: list[tuple[str, ...]] = []
    for signals in controllers:
        phase = tuple(signal for signal in dict.fromkeys(signals) if waiting.pop(signal, None) is not None)
        if phase:
            phases.append(phase)
    by_road: dict[int, list[str]] = defaultdict(list)
    for signal_id, light in waiting.items():
        by_road[light.stop_places[0].road_id].append(signal_id)
    return (*phases, *(tuple(signals) for _, signals in sorted(by_road.items())))


def _signals(road_map: carla.Map, types: set[str]) -> Iterator[_Placed]:
    """The signals of some types, each once, with all driving lanes of all its references."""
    landmarks: dict[str, list[carla.Landmark]] = defaultdict(list)
    for landmark in road_map.get_all_landmarks():
        if landmark.type in types:
            landmarks[landmark.id].append(landmark)
    for signal_id, references in landmarks.items():
        first = references[0]
        lanes = [lane for reference in references for lane in _lanes(road_map, reference)]
        unique = {(w.road_id, w.section_id, w.lane_id): w for w in lanes}
        yield _Placed(signal_id, first.name, first.type, first.value, first.transform, list(unique.values()))


def _lanes(road_map: carla.Map, landmark: carla.Landmark) -> Iterator[carla.Waypoint]:
    """Places on the driving lanes that a landmark is valid for."""
    for first, last in landmark.get_lane_validities():
        for lane_id in range(min(first, last), max(first, last) + 1):
            waypoint = road_map.get_waypoint_xodr(landmark.road_id, lane_id, landmark.s) if lane_id else None
            if waypoint is not None and waypoint.lane_type == carla.LaneType.Driving:
                yield waypoint


def _approaches(lanes: ClientLanes, placed: _Placed) -> dict[LanePlace, _Approach]:
    """The stop line of every lane: before the junction where the signal refers to a lane within one."""
    found: dict[LanePlace, _Approach] = {}
    for lane in placed.lanes:
        for stop, behind in _junction_entry(lanes, lane) if lane.is_junction else [(lane, _ahead(lanes, lane))]:
            place = LanePlace(stop.road_id, stop.lane_id, stop.s)
            before = found[place].behind if place in found else ()
            found[place] = _Approach(stop, (*before, *behind))
    return found


def _junction_entry(
    lanes: ClientLanes, lane: carla.Waypoint
) -> list[tuple[carla.Waypoint, tuple[carla.Waypoint, ...]]]:
    """The lane ends before the junction that lead into a lane within it, each with the begin of that lane."""
    first = lane
    for _ in range(50):  # Connecting roads may follow one another.
        start = lanes.start(first)
        before = start.previous(_NEAR)
        outside = [(lanes.end(w), (start,)) for w in before if not w.is_junction]
        if outside or not before:
            return outside
        first = before[0]
    return []


def _ahead(lanes: ClientLanes, lane: carla.Waypoint) -> tuple[carla.Waypoint, ...]:
    """Where the lanes begin into which a lane leads."""
    return tuple(lanes.end(lane).next(_NEAR))


def _light(lanes: ClientLanes, placed: _Placed) -> TrafficLightSite | None:
    approaches = _approaches(lanes, placed)
    if not approaches:
        return None
    stops = [approach.stop for approach in approaches.values()]
    behind = [waypoint for approach in approaches.values() for waypoint in approach.behind]
    boxes = tuple(_box_before(stop, _BOX_LENGTH) for stop in stops)
    return TrafficLightSite(
        signal_id=placed.signal_id,
        pose=_pose(placed, stops[0]),
        actor_yaw=_actor_yaw(placed),
        junction_id=next((w.junction_id for w in behind if w.is_junction), -1),
        stop_places=tuple(approaches),
        stop_boxes=boxes,
        trigger=_around(boxes),
        affected_lanes=tuple(dict.fromkeys(LanePlace(w.road_id, w.lane_id, w.s) for w in behind)),
    )


def _sign(lanes: ClientLanes, placed: _Placed) -> SignSite | None:
    if placed.type == SPEED:
        stops = placed.lanes
        length, kind = _SIGN_LENGTH, f"traffic.speed_limit.{placed.value:.0f}"
    else:
        stops = [approach.stop for approach in _approaches(lanes, placed).values()]
        length, kind = _BOX_LENGTH, _KINDS[placed.type]
    if not stops:
        return None
    boxes = [_box_before(stop, length) for stop in stops]
    places = tuple(LanePlace(stop.road_id, stop.lane_id, stop.s) for stop in stops)
    return SignSite(placed.signal_id, kind, _pose(placed, stops[0]), _actor_yaw(placed), _around(boxes), places)


def _pose(placed: _Placed, stop: carla.Waypoint) -> Pose:
    """Foot of the pole: the signal's place, on the road's height, facing the traffic."""
    place, road = placed.transform.location, stop.transform
    return Pose(place.x, place.y, road.location.z, 0.0, angle_between(road.rotation.yaw, 0.0), 0.0)


def _actor_yaw(placed: _Placed) -> float:
    """As CARLA spawns lights and signs (TrafficLightManager.cpp, SpawnTrafficLights and SpawnSignals)."""
    return angle_between(placed.transform.rotation.yaw + 90.0, 0.0)


def _box_before(stop: carla.Waypoint, length: float) -> OrientedBox:
    """A box on the lane, its front on the stop line."""
    transform = stop.transform
    rise = math.tan(math.radians(transform.rotation.pitch)) * length / 2.0
    place = Pose(transform.location.x, transform.location.y, transform.location.z, 0.0, transform.rotation.yaw, 0.0)
    centre = place.ahead(-length / 2.0, 0.0, 1.0 - rise)
    return OrientedBox(centre, (length / 2.0, 0.45 * stop.lane_width, _BOX_HALF_HEIGHT))


def _around(boxes: Sequence[OrientedBox]) -> OrientedBox:
    """The smallest box, along the first one, that holds all of them."""
    axes = boxes[0].centre
    corners = [axes.offset_of(*corner) for box in boxes for corner in box.corners()]
    ahead, right = zip(*corners)
    low, high = (edge(box.centre.z + sign * box.extent[2] for box in boxes) for edge, sign in ((min, -1), (max, 1)))
    middle = axes.ahead((min(ahead) + max(ahead)) / 2.0, (min(right) + max(right)) / 2.0)
    extent = (max(ahead) - min(ahead)) / 2.0, (max(right) - min(right)) / 2.0, (high - low) / 2.0
    return OrientedBox(middle._replace(z=(low + high) / 2.0), extent)
