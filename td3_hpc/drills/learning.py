"""A policy that learns nothing: every mechanism works, and it drives no better than a car that never steers."""

import json
import time
from pathlib import Path
from typing import Any

from td3_hpc.drills.drill import Caught, NotCaught, drill
from td3_hpc.drills.training_run import seconds_since, training_run

JUDGED = ("evaluation.final_episodes=20", "environment.route.evaluation_routes=20")
"""As many episodes as the gate asks for."""
QUICK = ("environment.max_decisions=10", "environment.traffic.vehicles=0", "evaluation.simulators=2")
"""Twelve other drivers drive the same episodes: short, and without traffic, an episode takes a quarter of the time."""
FROZEN = tuple(f"agent.learning_rates.{group}=1.0e-12" for group in ("actor", "critic", "actor_cnn", "critic_cnn"))


@drill("learns-nothing", "the policy learns nothing", "configuration: learning rates of 1e-12")
def learns_nothing(workspace: Path) -> Caught:
    """NO-GO by the gate against the constant driver, and the report's first sentence says it."""
    with training_run(workspace) as run:
        started = time.monotonic()
        run.complete(*FROZEN, *QUICK, *JUDGED)
        verdict: dict[str, Any] = json.loads((run.directory / "verdict.json").read_text(encoding="utf-8"))
        gate = next(gate for gate in verdict["gates"] if gate["name"] == "above_constant")
        if verdict["verdict"] != "NO-GO" or gate["status"] != "fail":
            raise NotCaught(f"{verdict['verdict']}, and gate above_constant is {gate['status']}: {gate['why']}")
        sentence = (run.directory / "report.md").read_text(encoding="utf-8").splitlines()[2].strip("*")
        if not sentence.startswith("It does not drive: "):
            raise NotCaught(f"the report begins with: {sentence}")
        return Caught(f"NO-GO by gate above_constant: {gate['cause']}", seconds_since(started))
