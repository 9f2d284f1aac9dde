"""Reference drives: how far drivers come that learn nothing, on the episodes that a policy is judged by.

What an episode came to is kept in the user's cache, by all that it depends on, so that the stages and seeds of a
campaign drive it once, and a drive that was interrupted goes on.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from td3_hpc.behaviour import BEHAVIOUR
from td3_hpc.code import PACKAGE, code_digest
from td3_hpc.config import StageConfig
from td3_hpc.durable import replace_file
from td3_hpc.record import EpisodeSummary, ReferenceDrive
from td3_hpc.training.evaluation.cycle import Driver, evaluate
from td3_hpc.training.evaluation.measures import mean_completion
from td3_hpc.training.evaluation.policies import THROTTLES, constant, make_driver
from td3_hpc.training.signals import StopFlag
from td3_hpc.training.simulation import Simulation
from td3_hpc.user_cache import user_cache

Reference = Literal["constant", "random", "pure-pursuit"]
REFERENCES: tuple[Reference, ...] = ("constant", "random", "pure-pursuit")

Episodes = dict[int, EpisodeSummary]
"""By their numbers."""
DRIVEN_BY = ("driving", "roads", "simulator", "training/evaluation")
"""Parts of this package that make an episode what it is; whoever works on another keeps the drives."""
_EPISODES = TypeAdapter(Episodes)


@dataclass(frozen=True)
class Course:
    """The episodes to drive, and on what."""

    config: StageConfig
    simulations: Sequence[Simulation]
    numbers: Sequence[int]
    stop: StopFlag
    on_episode: Callable[[], None] = lambda: None
    """Called for each episode of each driver, whether driven now or kept from earlier."""


def drive_reference(course: Course, policy: Reference) -> ReferenceDrive:
    """Drive the course; of the constant drivers, all ten, and the best counts. Raises StopRequested.

    The best of ten on the very routes that it is compared on is chosen in its favour: what beats it beats them all.
    """
    started, cache = time.monotonic(), EpisodeCache(course.config, course.simulations[0].roads_sha256())
    throttle: float | None = None
    if policy == "constant":
        drives = {pedal: _drive(course, cache, f"constant-{pedal}", constant(pedal)) for pedal in THROTTLES}
        best = max(drives, key=lambda pedal: mean_completion(drives[pedal]))
        throttle, episodes = best, drives[best]
    else:
        episodes = _drive(course, cache, policy, make_driver(policy, course.config, Path()))
    seconds = round(time.monotonic() - started, 1)
    return ReferenceDrive(policy=policy, throttle=throttle, episodes=episodes, seconds=seconds)


def _drive(course: Course, cache: "EpisodeCache", name: str, driver: Driver) -> list[EpisodeSummary]:
    """The episodes of one driver in the order of the course's numbers; those that are missing are driven, and kept."""
    kept = cache.read(name)

    def keep(number: int, summary: EpisodeSummary) -> None:
        kept[number] = summary
        cache.write(name, kept)
        course.on_episode()

    missing = [number for number in course.numbers if number not in kept]
    for _ in range(len(course.numbers) - len(missing)):
        course.on_episode()
    if missing:
        routes = course.config.environment.route.evaluation_routes
        evaluate(driver, course.simulations, cycle=1, numbers=missing, routes=routes, stop=course.stop, on_episode=keep)
    return [kept[number] for number in course.numbers]


class EpisodeCache:
    """Episodes kept in `$XDG_CACHE_HOME/td3-hpc/references/<digest>/`, a file for each driver."""

    def __init__(self, config: StageConfig, roads_sha256: str) -> None:
        """`roads_sha256`: digest of the town's OpenDRIVE text. Where no file can be written, nothing is kept."""
        content = json.dumps(_depends_on(config, roads_sha256), sort_keys=True)
        self._folder = user_cache() / "references" / hashlib.sha256(content.encode()).hexdigest()

    def read(self, name: str) -> Episodes:
        """What is kept of a driver; nothing where its file cannot be read."""
        try:
            return _EPISODES.validate_json((self._folder / f"{name}.json").read_bytes())
        except (OSError, ValidationError):
            return {}

    def write(self, name: str, episodes: Episodes) -> None:
        """Put a driver's file in place, atomically."""
        fields = {str(number): summary.as_line() for number, summary in sorted(episodes.items())}
        with contextlib.suppress(OSError):  # a full or read-only disk costs the time to drive again
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_file(self._folder / f"{name}.json", json.dumps(fields).encode())


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
