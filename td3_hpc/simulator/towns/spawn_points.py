"""Where vehicles may appear: on driving lanes, outside junctions, well apart."""

import carla

from td3_hpc.simulator.geometry import Pose, angle_between

_SPACING = 12.0  # Along a lane, m.
_MARGIN = 7.0  # From a lane's ends, so that two lanes' cars do not touch, m.
_HEIGHT = 0.3  # Above the road, m: a car settles on it.
_MIN_WIDTH = 2.4  # m


def find_spawn_points(road_map: carla.Map) -> tuple[Pose, ...]:
    """Poses along every driving lane outside junctions, in the order of road, section, lane and distance."""
    lanes = {(w.road_id, w.section_id, w.lane_id): w for w, _ in road_map.get_topology() if not w.is_junction}
    return tuple(pose for key in sorted(lanes) for pose in _along(lanes[key]))


def _along(start: carla.Waypoint) -> list[Pose]:
    course = [start, *start.next_until_lane_end(1.0)]
    first, last = int(_MARGIN), len(course) - 1 - int(_MARGIN)
    found = course[first : max(last, first) : int(_SPACING)] if last > first else []
    return [_pose(waypoint.transform) for waypoint in found if waypoint.lane_width >= _MIN_WIDTH]


def _pose(transform: carla.Transform) -> Pose:
    location, rotation = transform.location, transform.rotation
    pitch, yaw = angle_between(rotation.pitch, 0.0), angle_between(rotation.yaw, 0.0)
    return Pose(location.x, location.y, location.z + _HEIGHT, pitch, yaw, 0.0)
