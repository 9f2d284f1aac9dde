"""The figures of a report."""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from td3_hpc.campaign.history import RunHistory
from td3_hpc.training.monitors import ACTOR_CNN_GRADIENT_LIMIT

COMPONENTS = ("efficiency", "lane_keeping", "comfort", "safety", "progress")


def draw_figures(history: RunHistory, directory: Path) -> list[Path]:
    """Write the figures as PNG files; returns those that the record has data for."""
    directory.mkdir(parents=True, exist_ok=True)
    drawn = []
    if history.of("gradients"):
        drawn.append(_learning(history, directory / "learning.png"))
    if history.of("interval"):
        drawn.append(_rewards(history, directory / "rewards.png"))
    return drawn


def _learning(history: RunHistory, path: Path) -> Path:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    events = history.of("gradients")
    updates = [event["update"] for event in events]
    for group in events[0]["before_clipping"]:
        left.plot(updates, [event["before_clipping"][group] for event in events], "o-", ms=3, label=group)
    left.axhline(ACTOR_CNN_GRADIENT_LIMIT, color="crimson", ls="--", lw=1, label="limit, actor_cnn")
    left.set(yscale="log", xlabel="TD3 update", ylabel="gradient norm before clipping", title="Gradient norms")
    left.legend(fontsize=8)
    intervals = [event for event in history.of("interval") if "critic_loss" in event]
    steps = [event["last_step"] for event in intervals]
    right.plot(steps, [event["q_mean"] for event in intervals], label="mean Q")
    right.plot(steps, [event["q_abs_max"] for event in intervals], label="largest |Q|")
    right.plot(steps, [event["critic_loss"] for event in intervals], label="critic loss")
    _steps_axis(right, "Values and loss")
    right.legend(fontsize=8)
    return _save(figure, path)


def _rewards(history: RunHistory, path: Path) -> Path:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    intervals = history.of("interval")
    steps = [event["last_step"] for event in intervals]
    for name in COMPONENTS:
        left.plot(steps, [event.get(f"reward/{name}", float("nan")) for event in intervals], label=name)
    left.axvline(history.config.training.learning_starts, color="gray", ls=":", lw=1, label="learning starts")
    _steps_axis(left, "Reward per step, by component")
    left.legend(fontsize=8)
    episodes = [event for event in history.of("episode") if "return" in event]
    right.plot(
        [e["last_step"] for e in episodes], [e["return"] for e in episodes], ".", alpha=0.6, label="training episode"
    )
    cycles = history.of("evaluation")
    right.plot([e["step"] for e in cycles], [e["means"]["return"] for e in cycles], "s-", label="evaluation, mean")
    _steps_axis(right, "Return")
    right.legend(fontsize=8)
    return _save(figure, path)


def _steps_axis(axes: Axes, title: str) -> None:
    axes.set(xlabel="step", title=title)
    axes.grid(alpha=0.3)


def _save(figure: "plt.Figure", path: Path) -> Path:
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
