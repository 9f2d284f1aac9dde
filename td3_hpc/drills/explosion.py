"""The actor CNN's gradient explosion of the validation run: learning rate 1e-4, no clipping, a badly scaled reward."""

import json
from pathlib import Path
from typing import Any

from td3_hpc.config.monitors import ACTOR_CNN_GRADIENT_LIMIT
from td3_hpc.drills.drill import Caught, NotCaught, drill
from td3_hpc.drills.training_run import LEARNING_STARTS, TrainingRun, training_run
from td3_hpc.record import AlertChanged, Interval

UNCLIPPED = tuple(f"agent.clip_norms.{group}=null" for group in ("actor", "critic", "actor_cnn", "critic_cnn"))
SUMMARY = (
    "agent.encoder=nature",
    "agent.saturation_penalty=0",
    "agent.exploration_noise=0.1",
    "agent.learning_rates.actor_cnn=1.0e-4",
    *UNCLIPPED,
    "environment.reward.scale=1.0e+8",
)
"""The settings with which it was first seen, and a badly scaled reward. Alone, they saturate the policy first."""
EXPLODING = (
    *SUMMARY,
    "agent.learning_rates.critic=2.0e-3",
    "agent.learning_rates.actor=3.0e-5",
    "agent.hidden=[256, 256, 256, 256, 256]",
)
"""The gradient is Q's slope times the policy's. Q's slope is a product over the critic's layers, which a higher rate
and more of them let grow fast; the policy's vanishes with saturation, which a slow head of the actor puts off."""
GROWTH, LIMIT, SATURATION = "actor_cnn_growth", "actor_cnn_gradient", "action_saturation"
UPDATES = 110


@drill(
    "gradient-explosion",
    "the actor CNN's gradients explode",
    "configuration: actor CNN learning rate 1e-4, no clipping, reward times 1e8; critics at 2e-3, five layers in each "
    "head, a slow actor's head",
)
def explosion(workspace: Path) -> Caught:
    """Called long before the limit; then the limit is crossed, and the stage is NO-GO. Other settings beside it."""
    with training_run(workspace) as run:
        _train(run, *EXPLODING)
        called, crossed, norms = _alert(run, GROWTH), _alert(run, LIMIT), _norms(run)
        grown = max(norms) / norms[0]
        if crossed is None or grown < 1000:
            raise NotCaught(f"it did not explode: the norm grew {grown:,.0f}-fold, to {max(norms):.3g}")
        if called is None or called.step >= crossed.step:
            raise NotCaught(f"the norm grew {grown:,.0f}-fold and nobody said so in time")
        _expect_refused(run)
    ahead = crossed.step - called.step
    alone = _with_the_summarys_settings_alone(workspace)
    _expect_calm(workspace)
    return Caught(
        f"growth monitor, at a norm of {called.norm or 0.0:,.0f}; {ahead} updates later the limit of "
        f"{ACTOR_CNN_GRADIENT_LIMIT:,.0f} is crossed (alert), at last {max(norms):,.0f} reached, {grown:.1g} times the "
        f"first norm; NO-GO by both gates, with cause and change. {alone} With the shipped settings and reward: no "
        "alert",
        f"update {_update(called)}, {ahead} before the limit is crossed",
    )


def _expect_refused(run: TrainingRun) -> None:
    """The verdict: NO-GO by both gates, each with a cause and a change that undoes what was set."""
    verdict: dict[str, Any] = json.loads((run.directory / "verdict.json").read_text(encoding="utf-8"))
    gates = {gate["name"]: gate for gate in verdict["gates"]}
    for name in (GROWTH, LIMIT):
        gate = gates[name]
        if verdict["verdict"] != "NO-GO" or gate["status"] != "fail" or not gate["cause"]:
            raise NotCaught(f"{verdict['verdict']}, and gate {name} is {gate['status']}: {gate['cause'] or 'no cause'}")
        if gate["change"].get("environment.reward.scale") != 1:
            raise NotCaught(f"gate {name} does not name the reward's scale as a cause: {gate['change']}")


def _with_the_summarys_settings_alone(workspace: Path) -> str:
    """What they come to, with the same reward: Adam's steps are as long whatever the gradient, and tanh saturates."""
    with training_run(workspace, "summary") as run:
        _train(run, *SUMMARY)
        saturated, peak = _alert(run, SATURATION), max(_norms(run))
        if saturated is None and _alert(run, GROWTH) is None:
            raise NotCaught(f"the summary's own settings raised no alert, with a norm of up to {peak:.3g}")
    if saturated is None:
        return f"With the summary's settings alone the norm reaches {peak:.2g}, and its growth is called."
    return (
        f"With the summary's settings alone the policy saturates (alert, update {_update(saturated)}) before the norm "
        f"is beyond {peak:.2g}."
    )


def _expect_calm(workspace: Path) -> None:
    """The shipped settings on the shipped reward: neither growth nor limit may be called."""
    with training_run(workspace, "shipped") as run:
        _train(run)
        if _alert(run, GROWTH) or _alert(run, LIMIT):
            raise NotCaught("a false alarm: the shipped settings were called an explosion")


def _train(run: TrainingRun, *overrides: str) -> None:
    total = LEARNING_STARTS + UPDATES
    run.complete(
        *overrides,
        f"training.total_steps={total}",
        f"evaluation.every_steps={total}",
        "evaluation.episodes=1",
        "checkpoint.every_steps=200",
    )


def _alert(run: TrainingRun, name: str) -> AlertChanged | None:
    """The first time that an alert was raised."""
    return next((event for event in run.events(AlertChanged) if event.name == name and event.active), None)


def _update(alert: AlertChanged) -> int:
    """The update that raised it, made while the step after the alert's was on its way."""
    return alert.step + 1 - LEARNING_STARTS


def _norms(run: TrainingRun) -> list[float]:
    """The actor CNN's gradient norms before clipping, of every update of the actor."""
    maxima = [interval.gradient_maxima for interval in run.events(Interval)]
    return [groups["actor_cnn"] for groups in maxima if "actor_cnn" in groups]
