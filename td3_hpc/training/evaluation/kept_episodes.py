"""Drives whose finished episodes are kept in files: one that was interrupted goes on with what is missing."""

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from td3_hpc.config import StageConfig
from td3_hpc.durable import replace_file
from td3_hpc.record import EpisodeSummary
from td3_hpc.training.evaluation.cycle import Driver, evaluate
from td3_hpc.training.signals import StopFlag
from td3_hpc.training.simulation import Simulation

Episodes = dict[int, EpisodeSummary]
"""By their numbers."""
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


class EpisodeFiles:
    """Episodes kept in a folder, a file for each driver. Where no file can be written, nothing is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

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


def drive_kept(course: Course, files: EpisodeFiles, name: str, driver: Driver) -> list[EpisodeSummary]:
    """The episodes of one driver in the order of the course's numbers; those that are missing are driven, and kept.
    Raises StopRequested."""
    kept = files.read(name)

    def keep(number: int, summary: EpisodeSummary) -> None:
        kept[number] = summary
        files.write(name, kept)
        course.on_episode()

    missing = [number for number in course.numbers if number not in kept]
    for _ in range(len(course.numbers) - len(missing)):
        course.on_episode()
    if missing:
        routes = course.config.environment.route.evaluation_routes
        evaluate(driver, course.simulations, cycle=1, numbers=missing, routes=routes, stop=course.stop, on_episode=keep)
    return [kept[number] for number in course.numbers]
