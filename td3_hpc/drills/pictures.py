"""Pictures that show nothing."""

import json
import time
from pathlib import Path
from typing import Any

from td3_hpc.config import CameraConfig
from td3_hpc.drills.drill import Caught, NotCaught, drill
from td3_hpc.drills.training_run import seconds_since, training_run

SKYWARD = "environment.camera.pitch_deg=90"


@drill(
    "sees-nothing", "the picture tells the policy nothing", "configuration: a camera that looks straight up, at the sky"
)
def sees_nothing(workspace: Path) -> Caught:
    """NO-GO by the gate on observations, though each picture has contrast; its remedy is the camera's default."""
    with training_run(workspace) as run:
        started = time.monotonic()
        run.complete(SKYWARD, "environment.max_decisions=15", "evaluation.episodes=1")
        verdict: dict[str, Any] = json.loads((run.directory / "verdict.json").read_text(encoding="utf-8"))
        gate = next(gate for gate in verdict["gates"] if gate["name"] == "observations_normalised")
        if verdict["verdict"] != "NO-GO" or gate["status"] != "fail":
            raise NotCaught(f"{verdict['verdict']}, and gate observations_normalised is {gate['status']}")
        remedy = {"environment.camera.pitch_deg": CameraConfig().pitch_deg}
        if gate["change"] != remedy or "environment.camera.pitch_deg" not in (run.directory / "report.md").read_text(
            encoding="utf-8"
        ):
            raise NotCaught(f"the report does not suggest {remedy}: {gate['change']}")
        return Caught(f"NO-GO by gate observations_normalised: {gate['cause']}", seconds_since(started))
