"""The figures of a report: SVG without a background, for light and dark pages, and PNG for Markdown."""

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from td3_hpc.driving.reward import COMPONENTS
from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput, UserError
from td3_hpc.gates.history import RunHistory
from td3_hpc.gates.verdict import run_gates
from td3_hpc.record import EpisodeEnded, EvaluationCycle, GradientReading, Interval
from td3_hpc.report.drivers import POLICY, decision_s, drivers
from td3_hpc.training.evaluation.measures import Estimate, estimates
from td3_hpc.training.evaluation.trace import trace_path
from td3_hpc.training.monitors.limits import value_bounds

#: Legible on white and on near-black.
COLOURS = ("#2f81c7", "#d9822b", "#2f9e6e", "#9a66d6", "#8a8f98")
LIMIT_COLOUR = "#d64550"
#: Stands for the page's own text colour in the SVG; no other part of a figure has it.
INK = "#010203"
#: Most points of a line; of more, the largest of each stretch is drawn.
MOST_POINTS = 500
#: Most evaluation cycles whose intervals are bars; those of more are a band.
MOST_BARS = 30
SIZE = (5.4, 3.2)


@dataclass(frozen=True)
class Drawn:
    """A figure that the record has data for."""

    name: str
    caption: str


Draw = Callable[[Axes, RunHistory], None]


def draw_figures(history: RunHistory, directory: Path) -> tuple[dict[str, Drawn], list[str]]:
    """Write each figure as NAME.svg and NAME.png.

    Returns, by name, those that there are data for, and what could not be drawn from a damaged record. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    drawn, problems = {}, []
    for name, (caption, draw, has_data) in FIGURES.items():
        try:
            if has_data(history):
                _draw(history, directory, name, draw)
                drawn[name] = Drawn(name, caption)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            problems.append(f"figure {name}: cannot be drawn from this record ({error!r})")
    return drawn, problems


def _draw(history: RunHistory, directory: Path, name: str, draw: Draw) -> None:
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
        try:
            draw(axes, history)
            _save(figure, directory, name)
        finally:
            plt.close(figure)


def _gradients(axes: Axes, history: RunHistory) -> None:
    readings = history.of(GradientReading)
    groups = list(readings[-1].before_clipping)
    for group, colour in zip(groups, COLOURS):
        points = [(reading.update, reading.before_clipping.get(group)) for reading in readings]
        _line(axes, points, label=group.replace("_cnn", " CNN"), color=colour, marker="o", markersize=3)
    _limit(axes, gate_limit(history, "actor_cnn_gradient"), "limit, actor CNN")
    axes.set(yscale="log", ylabel="L2 norm before clipping")
    _steps(axes)
    axes.set_xlabel("TD3 update")
    _legend(axes)


def _values(axes: Axes, history: RunHistory) -> None:
    readings: tuple[tuple[Callable[[Interval], float | None], str, str], ...] = (
        (lambda interval: interval.q_abs_max, "largest |Q|", COLOURS[0]),
        (lambda interval: interval.td_error, "mean TD error", COLOURS[1]),
        (lambda interval: interval.critic_loss, "critic loss", COLOURS[4]),
    )
    for read, label, colour in readings:
        _line(axes, [(each.last_step, read(each)) for each in history.intervals], label=label, color=colour)
    factor = gate_limit(history, "q_magnitude")
    if history.stage is not None and factor is not None:
        for side, bound in zip("<>", value_bounds(history.config)):
            _limit(axes, factor * abs(bound), f"limit, Q {side} 0")
    _steps(axes)
    axes.set(yscale="log")
    _legend(axes)


def _rewards(axes: Axes, history: RunHistory) -> None:
    for name, colour in zip(COMPONENTS, COLOURS):
        points = [(interval.last_step, interval.rewards.get(name)) for interval in history.intervals]
        _line(axes, points, label=name.replace("_", " "), color=colour)
    if history.stage is not None:
        axes.axvline(history.config.training.learning_starts, color=INK, ls=":", lw=1, label="learning starts")
    _steps(axes)
    axes.set(ylabel="reward per step")
    _legend(axes)


def _returns(axes: Axes, history: RunHistory) -> None:
    ended = history.of(EpisodeEnded)
    episodes = [(episode.last_step, episode.return_) for episode in ended if episode.return_ is not None]
    many = len(episodes) > MOST_POINTS
    style: dict[str, Any] = {"alpha": 0.4, "ms": 2, "rasterized": True} if many else {}
    axes.plot(*zip(*episodes) if episodes else ((), ()), ".", color=COLOURS[4], label="training episode", **style)
    _with_intervals(axes, history, "return", COLOURS[0])
    _steps(axes)
    axes.set(ylabel="return")
    _legend(axes)


def _completion(axes: Axes, history: RunHistory) -> None:
    _with_intervals(axes, history, "route completion", COLOURS[2])
    _steps(axes)
    axes.set(ylabel="route completion (%)", ylim=(0, 100))
    _legend(axes)


def _with_intervals(axes: Axes, history: RunHistory, measure: str, colour: str) -> None:
    cycles = [cycle for cycle in history.of(EvaluationCycle) if cycle.episodes]
    figures = [estimates(cycle.episodes, decision_s(history))[measure] for cycle in cycles]
    steps, middle = [cycle.step for cycle in cycles], [figure.value for figure in figures]
    low, high = [figure.low for figure in figures], [figure.high for figure in figures]
    label = "evaluation, 95 %"
    if len(cycles) > MOST_BARS:
        axes.fill_between(steps, low, high, color=colour, alpha=0.25, lw=0)
        axes.plot(steps, middle, color=colour, lw=1.4, label=label)
        return
    reach = [np.subtract(middle, low), np.subtract(high, middle)]
    axes.errorbar(steps, middle, yerr=np.abs(reach), fmt="s-", color=colour, ms=4, lw=1.4, capsize=3, label=label)


def _map(axes: Axes, history: RunHistory) -> None:
    episodes = _last_paths(history)
    for points in _roads(history):
        axes.plot(*zip(*points), ".", color=COLOURS[4], alpha=0.35, ms=0.8, zorder=0, rasterized=True)
    for episode, colour in zip(episodes, COLOURS):
        axes.plot(*zip(*episode["planned"]), color=colour, lw=4, alpha=0.25, solid_capstyle="round")
        axes.plot(*zip(*episode["path"]), color=colour, lw=1.6, label=f"route {episode['route']}")
        axes.plot(*episode["path"][0], "o", color=colour, ms=5)
        axes.plot(*episode["path"][-1], "X", color=colour, ms=7)
        axes.annotate(
            str(episode["end_reason"]).replace("_", " "),
            episode["path"][-1],
            textcoords="offset points",
            xytext=(6, 4),
            fontsize=8,
        )
    _frame(axes, [point for episode in episodes for point in episode["planned"] + episode["path"]])
    _legend(axes)


def _frame(axes: Axes, points: Sequence[Sequence[float]]) -> None:
    """Show these points and a little around them, x and y to one scale; y grows to the south."""
    middles, reaches = [], []
    for column in zip(*points):
        middles.append((max(column) + min(column)) / 2)
        reaches.append((max(column) - min(column)) / 2 + 15)
    shape = SIZE[0] / SIZE[1]
    across = max(reaches[0], reaches[1] * shape)
    axes.set(xlim=(middles[0] - across, middles[0] + across))
    axes.set(ylim=(middles[1] + across / shape, middles[1] - across / shape))
    axes.set(xlabel="x (m)", ylabel="y (m)")
    axes.set_aspect("equal", adjustable="box")


def _last_paths(history: RunHistory) -> list[dict[str, Any]]:
    """The paths of the last evaluation cycle that has a trace."""
    for cycle in reversed(history.of(EvaluationCycle)):
        try:
            path = trace_path(history.run_dir, cycle.step).with_suffix(".json")
            episodes = [episode for episode in json.loads(path.read_bytes())["episodes"] if episode["path"]]
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if episodes:
            return episodes
    return []


def _roads(history: RunHistory) -> list[list[tuple[float, float]]]:
    """Points on every lane of the town, where its OpenDRIVE file is to be had."""
    if history.stage is None:
        return []
    from td3_hpc.simulator.towns import load_town

    simulator = history.config.simulator
    try:
        town = load_town(history.config.environment.town, simulator.maps or simulator.carla_root)
    except UserError:
        return []
    places = [waypoint.transform.location for waypoint in town.map.generate_waypoints(3.0)]
    return [[(place.x, place.y) for place in places]]


def _has_values(history: RunHistory) -> bool:
    return any(interval.q_abs_max is not None for interval in history.intervals)


def _drivers(axes: Axes, history: RunHistory) -> None:
    figures = {
        name: estimates(episodes, decision_s(history))["route completion"]
        for name, episodes in drivers(history).items()
    }
    bars(axes, figures, POLICY)
    axes.set(xlabel="route completion (%), with 95 % intervals")


def bars(axes: Axes, figures: Mapping[str, Estimate], marked: str) -> None:
    """A bar for each name, from the top, with its interval as a whisker; percent. The marked one has its own colour."""
    for place, (name, figure) in enumerate(figures.items()):
        colour = COLOURS[0] if name == marked else COLOURS[4]
        axes.barh(place, figure.value, height=0.62, color=colour, alpha=1.0 if name == marked else 0.7)
        reach = [[figure.value - figure.low], [figure.high - figure.value]]
        axes.errorbar(figure.value, place, xerr=reach, fmt="none", ecolor=INK, elinewidth=1.2, capsize=3)
        axes.annotate(
            f"{figure.value:.0f} %",
            (max(figure.high, figure.value), place),
            textcoords="offset points",
            xytext=(6, 0),
            va="center",
            fontweight="bold" if name == marked else "normal",
        )
    axes.set(xlim=(0, 115), xticks=range(0, 101, 20), ylim=(len(figures) - 0.45, -0.55))
    axes.set_yticks(range(len(figures)), list(figures))
    axes.grid(visible=False, axis="y")


FIGURES: dict[str, tuple[str, Draw, Callable[[RunHistory], bool]]] = {
    "drivers": ("Who completes how much of the routes", _drivers, lambda h: bool(drivers(h))),
    "gradients": ("Gradient norms of each parameter group", _gradients, lambda h: bool(h.of(GradientReading))),
    "values": (
        "Q values, TD error, loss",
        _values,
        _has_values,
    ),
    "rewards": ("Reward per step, by component", _rewards, lambda h: any(interval.rewards for interval in h.intervals)),
    "returns": ("Return of episodes", _returns, lambda h: bool(h.of(EpisodeEnded) or h.of(EvaluationCycle))),
    "completion": ("Route completion in evaluation", _completion, lambda h: bool(h.of(EvaluationCycle))),
    "map": (
        "Paths of the last evaluation cycle, five at most; wide: the planned route",
        _map,
        lambda h: bool(_last_paths(h)),
    ),
}


def _legend(axes: Axes) -> None:
    """Above the axes, where it covers nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, handlelength=1.4)


def gate_limit(history: RunHistory, name: str) -> float | None:
    """The limit that a gate holds this run against; None where it is off, or the run's files do not tell."""
    try:
        gate = getattr(run_gates(history), name)
    except BadInput:  # which the report says elsewhere
        return None
    return gate.limit if gate else None


def _steps(axes: Axes) -> None:
    """The horizontal axis, in steps: 500, 20k, 1M."""
    axes.set_xlabel("step")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _limit(axes: Axes, height: float | None, label: str) -> None:
    if height is not None:
        axes.axhline(height, color=LIMIT_COLOUR, ls="--", lw=1.2, label=label)


def _line(axes: Axes, points: Sequence[tuple[float, float | None]], **style: Any) -> None:
    found = [(x, y) for x, y in points if y is not None and math.isfinite(y)]
    if found:
        axes.plot(*zip(*_thin(found)), **{"lw": 1.6, **style})


def _thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most about MOST_POINTS of the points: of each stretch the highest, which is the one that matters."""
    stretch = -(-len(points) // MOST_POINTS)
    if stretch <= 1:
        return list(points)
    return [
        max(points[start : start + stretch], key=lambda point: point[1]) for start in range(0, len(points), stretch)
    ]


_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "td3-hpc",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.18,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), INK
    ),
}


def _save(figure: "plt.Figure", directory: Path, name: str) -> None:
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=110, facecolor="white")
    figure.set_layout_engine("none")  # the layout is made
    with plt.rc_context({"svg.hashsalt": f"td3-hpc {name}"}):
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = svg.getvalue().decode().replace(INK, "currentColor")
    replace_file(directory / f"{name}.svg", text.encode())
    replace_file(directory / f"{name}.png", png.getvalue())
