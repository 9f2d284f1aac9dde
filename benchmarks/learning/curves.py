"""Draw learning curves of groups of runs on one figure, by steps and by wall time.

    python -m benchmarks.learning.curves --runs "this package" RUN RUN RUN --runs peer PEER --output curves.png

A RUN is a run directory, its record.jsonl, or the output folder of the peer's benchmark. The line is the mean over a
group's seeds, the band its 95 % bootstrap interval.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from td3_hpc.record import RECORD_FILE, EvaluationCycle, Interval, read_events

MEASURE = "route_completion"


@dataclass(frozen=True)
class Curve:
    """One seed: route completion in percent at each evaluation cycle."""

    steps: np.ndarray
    minutes: np.ndarray
    """Of training, evaluation left out."""
    percent: np.ndarray


def read_curve(path: Path) -> Curve:
    """The evaluation cycles in a run's record, or in a peer's output."""
    record = path / RECORD_FILE if path.is_dir() else path
    cycles, intervals = read_events(record, EvaluationCycle), read_events(record, Interval)
    if not cycles:
        raise SystemExit(f"{path}: no evaluation cycle in it")
    return Curve(
        np.array([cycle.step for cycle in cycles]),
        np.array([_training_seconds(intervals, cycle.step) for cycle in cycles]) / 60.0,
        np.array([100.0 * cycle.means[MEASURE] for cycle in cycles]),
    )


def _training_seconds(intervals: Sequence[Interval], step: int) -> float:
    """Seconds that the intervals up to a step took."""
    timed = [interval for interval in intervals if interval.last_step <= step and interval.steps_per_second]
    return sum(interval.steps / (interval.steps_per_second or 1.0) for interval in timed)


def draw(groups: dict[str, list[Curve]], output: Path) -> None:
    """Write the figure."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharey=True)
    for name, curves in groups.items():
        _band(left, name, curves, "steps")
        _band(right, name, curves, "minutes")
    left.set(xlabel="step", ylabel="route completion on held-out routes (%)", ylim=(0, 102))
    right.set(xlabel="minutes of training (evaluation left out)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=len(groups), frameon=False)
    figure.savefig(output, dpi=110)


def _band(axes: Axes, name: str, curves: list[Curve], x: str) -> None:
    """Mean over seeds and its interval, on a grid that every seed covers."""
    where = [getattr(curve, x) for curve in curves]
    grid = np.linspace(max(w[0] for w in where), min(w[-1] for w in where), 60)
    values = np.stack([np.interp(grid, w, curve.percent) for w, curve in zip(where, curves)])
    picks = np.random.default_rng(0).integers(len(values), size=(1000, len(values)))
    low, high = np.percentile(values[picks].mean(axis=1), (2.5, 97.5), axis=0)
    seeds = f"{len(curves)} seeds" if len(curves) > 1 else "one seed"
    (line,) = axes.plot(grid, values.mean(axis=0), label=f"{name}, {seeds}")
    axes.fill_between(grid, low, high, alpha=0.2, color=line.get_color())


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--runs", action="append", nargs="+", required=True, metavar=("NAME", "RUN"), help="a group; repeatable"
    )
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    draw({name: [read_curve(Path(path)) for path in paths] for name, *paths in arguments.runs}, arguments.output)


if __name__ == "__main__":
    main()
