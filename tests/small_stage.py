"""The small stage that real runs of the tests train: that of the drills, shorter still."""

import json
from collections.abc import Mapping
from typing import Any

from td3_hpc.config import apply_overrides
from td3_hpc.drills.training_run import STAGE


def changed(stage: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the stage with some keys changed: `{"training.total_steps": 60}`."""
    return apply_overrides(stage, [f"{key}={json.dumps(value)}" for key, value in changes.items()])


SMALL = changed(
    STAGE,
    {
        "name": "small",
        "training.total_steps": 40,
        "training.learning_starts": 20,
        "environment.max_decisions": 15,
        "evaluation": {"every_steps": 20, "episodes": 1},
        "logging": {"interval_steps": 10, "gradient_interval_updates": 10},
    },
)
