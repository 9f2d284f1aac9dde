"""The actor CNN's gradient explosion of the validation run: learning rate 1e-4, no clipping, a badly scaled reward."""

import time
from pathlib import Path

from td3_hpc.campaign.drills.drill import Caught, NotCaught, drill
from td3_hpc.campaign.drills.training_run import LEARNING_STARTS, Event, TrainingRun, seconds_since, training_run
from td3_hpc.training.monitors import ACTOR_CNN_GRADIENT_LIMIT

UNCLIPPED = tuple(f"agent.clip_norms.{group}=null" for group in ("actor", "critic", "actor_cnn", "critic_cnn"))
SUMMARY = ("agent.learning_rates.actor_cnn=1.0e-4", *UNCLIPPED)
"""The settings with which it was first seen."""
GROWTH, LIMIT = "actor_cnn_growth", "actor_cnn_gradient"


@drill(
    "gradient-explosion",
    "the actor CNN's gradients explode",
    "configuration: actor CNN learning rate 1e-4, no clipping, reward times 1e9",
)
def explosion(workspace: Path) -> Caught:
    """The norm grows a thousandfold within some 60 updates, until the policy saturates and has no gradient left.

    With tanh actions and Adam that comes before the limit: a step of Adam's is as long whatever the gradient's scale.
    """
    updates = 90
    with training_run(workspace) as run:
        started = time.monotonic()
        _train(run, updates, *SUMMARY, "environment.reward.scale=1.0e+9", "agent.batch_size=64")
        after = seconds_since(started)
        called = _alert(run, GROWTH)
        norms = _norms(run)
        saturated, crossed = _alert(run, "action_saturation"), _alert(run, LIMIT)
    if _growth(norms) < 100:
        raise NotCaught(f"it did not explode: the norm grew only {_growth(norms):,.0f}-fold")
    if called is None or (crossed is not None and crossed["step"] <= called["step"]):
        raise NotCaught(f"the norm grew {_growth(norms):,.0f}-fold and nobody said so in time")
    _expect_calm(workspace, updates)
    return Caught(
        f"growth monitor: a factor of {called['factor']:.2g} per 100 updates, the limit due in "
        f"{called['updates_to_limit']:.0f} updates, at a norm of {called['norm']:.2g} (limit "
        f"{ACTOR_CNN_GRADIENT_LIMIT:,.0f}){'; then the policy saturates, called too' if saturated else ''}. With the "
        "shipped settings and reward: no alert",
        f"update {called['step'] - LEARNING_STARTS} ({after} for all {updates})",
    )


def _growth(norms: dict[int, float]) -> float:
    """How many times the first norm the largest is."""
    return max(norms.values()) / norms[min(norms)]


def _expect_calm(workspace: Path, updates: int) -> None:
    """The shipped settings on the shipped reward: neither growth nor limit may be called."""
    with training_run(workspace, "shipped") as run:
        _train(run, updates, "agent.batch_size=64")
        if _alert(run, GROWTH) or _alert(run, LIMIT):
            raise NotCaught("a false alarm: the shipped settings were called an explosion")


def _train(run: TrainingRun, updates: int, *overrides: str) -> None:
    total = LEARNING_STARTS + updates
    run.complete(
        *overrides,
        f"training.total_steps={total}",
        f"evaluation.every_steps={total}",
        "evaluation.episodes=1",
        "checkpoint.every_steps=200",
    )


def _alert(run: TrainingRun, name: str) -> Event | None:
    """The first time that an alert was raised."""
    return next((event for event in run.events("alert") if event["name"] == name and event["active"]), None)


def _norms(run: TrainingRun) -> dict[int, float]:
    """The actor CNN's gradient norm before clipping, by update."""
    return {
        event["update"]: event["before_clipping"]["actor_cnn"]
        for event in run.events("gradients")
        if "actor_cnn" in event["before_clipping"]
    }
