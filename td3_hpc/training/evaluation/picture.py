"""Whether the policy uses its picture: the suite in which one must see, driven with it and without.

A run begins without PyTorch, and knows of the test: what drives is imported when it drives.
"""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass

from td3_hpc.config import StageConfig, apply_overrides, validate
from td3_hpc.config.suite import load_suite
from td3_hpc.record import PictureDrive, RunRecord
from td3_hpc.shipped import shipped
from td3_hpc.spaces import IMAGE
from td3_hpc.training.evaluation.cycle import Driver
from td3_hpc.training.evaluation.kept_episodes import Course, EpisodeFiles, drive_kept
from td3_hpc.training.signals import StopFlag
from td3_hpc.training.simulation import Simulation

SUITE = "configs/suites/must-see.yaml"
FOLDER = "picture-test"
"""In the run directory: the finished episodes of a test under way."""


@dataclass(frozen=True)
class PictureTest:
    """When a run is tested, on what, and what it must come to (`gates.picture_matters`)."""

    from_step: int
    """It is made at the first evaluation cycle at or after this step."""
    limit: float
    """Fewest points of success that the picture must be worth."""
    ends_run: bool
    """A run that misses it goes no further."""

    def is_missed(self, drives: Iterable[PictureDrive]) -> bool:
        """The run ends: by the last of the drives that its record tells of."""
        last = list(drives)[-1:]
        return self.ends_run and any(drive.gain < self.limit for drive in last)

    def check(self, config: StageConfig) -> None:
        """Raise BadInput where the run comes to the test, and the suite cannot be driven with its configuration."""
        if config.training.total_steps >= self.from_step:
            _stage(config)

    def drive(self, config: StageConfig, driver: Driver, whose: str, record: RunRecord, stop: StopFlag) -> PictureDrive:
        """Drive the suite's situations in the run's own town, on simulators in the place of those for evaluation, which
        must be closed. Raises StopRequested: the next call goes on, for a driver that is the same by `whose`."""
        from td3_hpc.training.evaluation.policies import blinded

        started, (stage, name, episodes) = time.monotonic(), _stage(config)
        run_dir = record.path.parent
        kept = EpisodeFiles(run_dir / FOLDER)
        with contextlib.ExitStack() as running:
            simulations = []
            for index in range(min(config.evaluation.simulators, episodes)):
                simulation = Simulation(stage, "evaluation", run_dir, record, stop, index)
                running.callback(simulation.close)
                simulation.start()
                simulations.append(simulation)
            course = Course(stage, simulations, range(episodes), stop)
            seeing = drive_kept(course, kept, f"with-picture-{whose}", driver)
            blind = drive_kept(course, kept, f"without-picture-{whose}", blinded(driver, IMAGE.name))
        return PictureDrive(
            suite=name,
            with_picture=seeing,
            without_picture=blind,
            seconds=round(time.monotonic() - started, 1),
        )


def decisions_at_most(config: StageConfig) -> int:
    """Of the test of a run, with and without its picture, where every episode takes its time."""
    stage, _, episodes = _stage(config)
    return 2 * episodes * stage.environment.max_decisions


def _stage(config: StageConfig) -> tuple[StageConfig, str, int]:
    """The run's stage in the suite's situations, in its own town; the suite's name; how many episodes."""
    path, own = shipped(SUITE), config.environment.town
    suite = load_suite(path)
    town = next((town for town in suite.towns if town.town == own), suite.towns[0])
    changes = suite.overrides_of(town.model_copy(update={"town": own}))
    data = apply_overrides(config.model_dump(mode="json"), changes)
    return validate(StageConfig, data, str(path)), suite.name, town.episodes
