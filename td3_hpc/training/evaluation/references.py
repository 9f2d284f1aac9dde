"""Reference drives: how far drivers come that learn nothing, on the episodes that a policy is judged by.

What an episode came to is kept in the user's cache, by all that it depends on, so that the stages and seeds of a
campaign drive it once, and a drive that was interrupted goes on.
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any, Literal

from td3_hpc.behaviour import BEHAVIOUR
from td3_hpc.code import PACKAGE, code_digest
from td3_hpc.config import StageConfig
from td3_hpc.record import ReferenceDrive
from td3_hpc.training.evaluation.kept_episodes import Course, EpisodeFiles, drive_kept
from td3_hpc.training.evaluation.measures import mean_completion
from td3_hpc.training.evaluation.policies import THROTTLES, constant, make_driver
from td3_hpc.user_cache import user_cache

Reference = Literal["constant", "random", "pure-pursuit"]
REFERENCES: tuple[Reference, ...] = ("constant", "random", "pure-pursuit")

DRIVEN_BY = ("driving", "roads", "simulator", "training/evaluation")
"""Parts of this package that make an episode what it is; whoever works on another keeps the drives."""


def drive_reference(course: Course, policy: Reference) -> ReferenceDrive:
    """Drive the course; of the constant drivers, all ten, and the best counts. Raises StopRequested.

    The best of ten on the very routes that it is compared on is chosen in its favour: what beats it beats them all.
    """
    started, kept = time.monotonic(), kept_references(course.config, course.simulations[0].roads_sha256())
    throttle: float | None = None
    if policy == "constant":
        drives = {pedal: drive_kept(course, kept, f"constant-{pedal}", constant(pedal)) for pedal in THROTTLES}
        best = max(drives, key=lambda pedal: mean_completion(drives[pedal]))
        throttle, episodes = best, drives[best]
    else:
        episodes = drive_kept(course, kept, policy, make_driver(policy, course.config, Path()))
    seconds = round(time.monotonic() - started, 1)
    return ReferenceDrive(policy=policy, throttle=throttle, episodes=episodes, seconds=seconds)


def kept_references(config: StageConfig, roads_sha256: str) -> EpisodeFiles:
    """Those of `$XDG_CACHE_HOME/td3-hpc/references/<digest>/`. `roads_sha256`: of the town's OpenDRIVE text."""
    content = json.dumps(_depends_on(config, roads_sha256), sort_keys=True)
    return EpisodeFiles(user_cache() / "references" / hashlib.sha256(content.encode()).hexdigest())


def _depends_on(config: StageConfig, roads_sha256: str) -> dict[str, Any]:
    """All that an episode of these drivers depends on but its number: neither the run's seed nor its ports."""
    environment = config.environment.model_dump(mode="json")
    environment["traffic"] = {
        key: value for key, value in environment["traffic"].items() if key not in ("port", "evaluation_port")
    }
    return {
        "environment": environment,
        "roads": roads_sha256,
        "simulator": [config.simulator.kind, config.simulator.version],
        "behaviour": BEHAVIOUR,
        "code": [code_digest(PACKAGE / part) for part in DRIVEN_BY],
    }
