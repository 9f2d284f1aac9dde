"""Where vehicles may appear: on driving lanes, outside junctions, well apart."""

import carla

from td3_hpc.roads.client_map import ClientLanes
from td3_hpc.simulator.geometry import Pose, angle_between

_SPACING = 12.0  # Along a lane, m.
_MARGIN = 7.0  # From a lane's ends, so that two lanes' cars do not touch, m.
_HEIGHT = 0.3  # Above the road, m: a car settles on it.
_MIN_WIDTH = 2.4  # m


def find_spawn_points(lanes: ClientLanes) -> tuple[Pose, ...]:
    """Poses along every driving lane outside junctions, in the order of road, section, lane and distance."""
    return tuple(pose for start in lanes.starts.values() if not start.is_junction for pose in _along(lanes, start))


def _along(lanes: ClientLanes, start: carla.Waypoint) -> list[Pose]:
    course = lanes.course(start, 1.0)
    first, last = int(_MARGIN), len(course) - 1 - int(_MARGIN)
    found = course[first : max(last, first) : int(_SPACING)] if last > first else []
    return [_pose(waypoint.transform) for waypoint in found if waypoint.lane_width >= _MIN_WIDTH]


def _pose(transform: carla.Transform) -> Pose:
    location, rotation = transform.location, transform.rotation
    pitch, yaw = angle_between(rotation.pitch, 0.0), angle_between(rotation.yaw, 0.0)
    return Pose(location.x, location.y, location.z + _HEIGHT, pitch, yaw, 0.0)
