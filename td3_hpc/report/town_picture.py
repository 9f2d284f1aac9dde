"""A picture of a town: its lanes with their directions, lights, signs, and ten held-out routes in colour."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from td3_hpc.driving.lanes import FloatArray, read_lanes
from td3_hpc.driving.route import Route
from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput
from td3_hpc.simulator.towns.town import Town

_SIZE = 11.0  # Of the longer side, inches.
_DOTS = 150
_ASPHALT, _JUNCTION, _WALK, _ARROW = "#b9bdc4", "#d5d8dd", "#e9e6dc", "#5d646e"
_LIGHT, _STOP, _YIELD, _SPEED = "#1e9e4a", "#c62f3b", "#e39a1d", "#2f6fb7"
_ARROW_SPACING_M = 40.0


def draw_town(town: Town, routes: Sequence[Route], path: Path) -> None:
    """Write the picture as .png or .svg. The same town gives the same bytes. Raises BadInput for another suffix."""
    if path.suffix not in (".png", ".svg"):
        raise BadInput(f"--picture {path}: the name ends neither in .png nor in .svg")
    lanes = read_lanes(town.map).lanes
    everything = [lane.points for lane in lanes]
    low, high = (edge([edge(points[:, :2], axis=0) for points in everything], axis=0) for edge in (np.min, np.max))
    width, height = np.maximum(high - low, 30.0) + 20.0
    scale = _SIZE / max(width, height)
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "td3-hpc", "font.size": 8}):
        figure, axes = plt.subplots(
            figsize=(max(width * scale, 3.0), max(height * scale, 3.0) + 0.6), layout="constrained"
        )
        try:
            _draw_surfaces(axes, town, scale)
            for inside, colour in ((True, _JUNCTION), (False, _ASPHALT)):
                group = [lane.points[:, :2] for lane in lanes if lane.in_junction == inside]
                axes.add_collection(LineCollection(group, colors=colour, linewidths=3.0 * scale * 72, zorder=2))
            _draw_directions(axes, [lane.points for lane in lanes if not lane.in_junction])
            _draw_routes(axes, routes)
            _draw_signals(axes, town)
            axes.set(xlim=(low[0] - 10, high[0] + 10), ylim=(high[1] + 10, low[1] - 10))  # y grows to the south
            axes.set(xlabel="x (m)", ylabel="y (m)")
            axes.set_aspect("equal", adjustable="box")
            axes.set_title(town.name, parse_math=False)  # a file's name is not for us to interpret
            if axes.get_legend_handles_labels()[1]:
                axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
            buffer = io.BytesIO()
            metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
            figure.savefig(buffer, format=path.suffix[1:], dpi=_DOTS, metadata=metadata)
        finally:
            plt.close(figure)
    try:
        replace_file(path, buffer.getvalue())
    except OSError as error:
        raise BadInput(f"--picture {path}: cannot be written ({error.strerror})") from None


def _draw_surfaces(axes: Axes, town: Town, scale: float) -> None:
    """Lanes that nobody drives on, from places on them."""
    import carla

    places = []
    for lane in town.map.generate_waypoints(4.0):
        for side in (lane.get_right_lane(), lane.get_left_lane()):
            if side is not None and side.lane_type != carla.LaneType.Driving:
                places.append((side.transform.location.x, side.transform.location.y))
    if places:
        axes.plot(*zip(*places), ".", color=_WALK, ms=3.0 * scale * 72, zorder=1)


def _draw_directions(axes: Axes, lines: Sequence[FloatArray]) -> None:
    starts, steps = [], []
    for points in lines:
        for index in range(min(len(points) // 2, 20), len(points) - 1, int(_ARROW_SPACING_M)):
            starts.append(points[index, :2])
            steps.append(points[index + 1, :2] - points[index, :2])
    if starts:
        places, ahead = np.array(starts), np.array(steps)
        ahead /= np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
        style = {"angles": "xy", "scale_units": "xy", "scale": 0.2, "width": 0.0012, "headwidth": 5, "headlength": 6}
        axes.quiver(*places.T, *ahead.T, color=_ARROW, zorder=3, **style)


def _draw_routes(axes: Axes, routes: Sequence[Route]) -> None:
    colours = plt.get_cmap("tab10")
    for number, route in enumerate(routes[:10]):  # more could not be told apart
        colour = colours(number % 10)
        label = f"route {number}, {route.length:.0f} m"
        axes.plot(*route.points[:, :2].T, color=colour, lw=2.0, alpha=0.8, zorder=4, label=label)
        axes.plot(*route.points[0, :2], "o", color=colour, ms=5, zorder=5)
        axes.plot(*route.points[-1, :2], "X", color=colour, ms=6, zorder=5)


def _draw_signals(axes: Axes, town: Town) -> None:
    groups: dict[str, tuple[str, str, list[tuple[float, float]]]] = {
        "traffic light": ("o", _LIGHT, [light.pose[:2] for light in town.traffic_lights]),
        "stop sign": ("8", _STOP, [sign.pose[:2] for sign in town.signs if sign.kind == "traffic.stop"]),
        "yield sign": ("v", _YIELD, [sign.pose[:2] for sign in town.signs if sign.kind == "traffic.yield"]),
        "speed limit": ("s", _SPEED, [sign.pose[:2] for sign in town.signs if "speed_limit" in sign.kind]),
    }
    for label, (marker, colour, places) in groups.items():
        if places:
            axes.plot(*zip(*places), marker, color=colour, ms=4, mec="white", mew=0.4, zorder=6, label=label)
