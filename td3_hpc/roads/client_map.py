"""The lanes of the client library's map, walked so that its faults do not show.

`Waypoint.next_until_lane_end` walks to the end of the road, not of the lane (carla issues 5240, 2511), fails where a
step ends on it ("distance > 0.0"; carla issues 7505, 4024), and reads beyond an empty list where the road goes nowhere.
So nothing here, and nobody else in this package, calls it or its mirror image: lanes end where `read_lane_graph` says.
"""

import carla

from td3_hpc.roads.lanes import LaneGraph, LaneKey

_INSET = 1e-3  # From a lane's end, where the client library may answer with the next lane, m.
_SHORTER = (2.0**-52, 1e-6)  # Than what is left of a lane, m: rounding must not carry a step over its end.


class ClientLanes:
    """The driving lanes of a map.

    Attributes:
        graph: what follows what.
        starts: where traffic enters each lane, in the order of the keys.
    """

    def __init__(self, road_map: carla.Map, graph: LaneGraph) -> None:
        self.graph = graph
        entered = {key_of(start): start for start, _ in road_map.get_topology()}
        self.starts: dict[LaneKey, carla.Waypoint] = {}
        for key, span in sorted(graph.lanes.items()):
            inset = min(_INSET, abs(span.end - span.start) / 2.0)
            place = span.start + (inset if key.lane < 0 else -inset)
            start = entered.get(key) or road_map.get_waypoint_xodr(key.road, key.lane, place)
            if start is not None and key_of(start) == key and start.lane_type == carla.LaneType.Driving:
                self.starts[key] = start

    def course(self, place: carla.Waypoint, step: float) -> list[carla.Waypoint]:
        """A place on a driving lane, those every `step` metres ahead of it on its lane, and the lane's end."""
        key, found = key_of(place), [place]
        span = self.graph.lanes.get(key)
        if span is None:
            return found
        left = abs(span.end - place.s)
        for _ in range(int(left / step) + 1):
            ahead = found[-1].next(step)
            if len(ahead) != 1 or key_of(ahead[0]) != key:
                break
            found.append(ahead[0])
        left = abs(span.end - found[-1].s)
        for shorter in _SHORTER:
            ahead = found[-1].next(left - shorter) if left > shorter else []
            if len(ahead) == 1 and key_of(ahead[0]) == key:
                return [*found, ahead[0]]
        return found

    def end(self, place: carla.Waypoint) -> carla.Waypoint:
        """The end of the lane that a place lies on."""
        return self.course(place, 1.0)[-1]

    def start(self, place: carla.Waypoint) -> carla.Waypoint:
        """Where traffic enters the lane that a place lies on."""
        return self.starts.get(key_of(place), place)


def key_of(waypoint: carla.Waypoint) -> LaneKey:
    """The lane that a waypoint lies on."""
    return LaneKey(waypoint.road_id, waypoint.section_id, waypoint.lane_id)
