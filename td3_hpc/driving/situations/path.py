"""Lines that a situation's cars and walkers go along."""

from dataclasses import dataclass

import numpy as np

from td3_hpc.driving.lanes import FloatArray
from td3_hpc.driving.route import Route


@dataclass(frozen=True)
class Path:
    """A line with the heading of whoever goes along it."""

    along: FloatArray
    """(n,) metres from its start."""
    rows: FloatArray
    """(n, 5) x, y, z (metres), pitch and yaw (degrees, yaw continuous)."""

    @property
    def length(self) -> float:
        """Metres."""
        return float(self.along[-1])

    def at(self, distance: float) -> tuple[float, float, float, float, float]:
        """x, y, z, pitch and yaw at a distance in metres from its start, held at both ends."""
        x, y, z, pitch, yaw = (float(np.interp(distance, self.along, column)) for column in self.rows.T)
        return x, y, z, pitch, yaw


def beside(route: Route, lateral: float) -> Path:
    """Along the route and past its goal, `lateral` metres to its right; its distances are the route's."""
    ahead = route.beyond
    level = np.broadcast_to([route.points[-1, 2], 0.0], (len(ahead), 2))
    rows = np.concatenate(
        [
            np.column_stack([route.points, route.angles[:, :2]]),
            np.column_stack([ahead[:, 1:3], level, ahead[:, 3]]),
        ]
    )
    yaw = np.radians(rows[:, 4])
    rows[:, 0] -= lateral * np.sin(yaw)
    rows[:, 1] += lateral * np.cos(yaw)
    return Path(np.concatenate([route.distances, ahead[:, 0]]), rows)


def across(route: Route, distance: float, reach: float, from_right: bool) -> Path:
    """Straight across the route at a distance from its start, from `reach` metres on one side to as far on the other;
    half way along, at `reach` metres, is the route."""
    x, y, z, _, yaw = beside(route, 0.0).at(distance)
    heading = yaw + (-90.0 if from_right else 90.0)
    dx, dy = np.cos(np.radians(heading)), np.sin(np.radians(heading))
    rows = [(x + side * reach * dx, y + side * reach * dy, z, 0.0, heading) for side in (-1.0, 1.0)]
    return Path(np.array([0.0, 2.0 * reach]), np.array(rows))
