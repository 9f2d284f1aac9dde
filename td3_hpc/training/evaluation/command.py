"""`td3-hpc evaluate`: somebody drives the held-out routes, and what came of it in the field's measures."""

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from td3_hpc.checkpoint import open_checkpoint
from td3_hpc.config import CONFIG_FILE, StageConfig, load_resolved, load_stage
from td3_hpc.config.environment import EnvironmentConfig
from td3_hpc.driving.film import check_format
from td3_hpc.errors import BadInput, UserError
from td3_hpc.record import EpisodeSummary, RunRecord
from td3_hpc.training.evaluation.cycle import Driver, evaluate
from td3_hpc.training.evaluation.kept_episodes import Course
from td3_hpc.training.evaluation.measures import MEASURES, SUITE_MEASURES, Estimate, estimates_over_runs
from td3_hpc.training.evaluation.policies import THROTTLES, PolicyName, blinded, constant, make_driver
from td3_hpc.training.evaluation.references import drive_reference
from td3_hpc.training.signals import StopFlag
from td3_hpc.training.simulation import Simulation

Progress = Callable[[int, int], None]
"""Told how many episodes are driven, and of how many."""


@dataclass(frozen=True)
class Drive:
    """What to evaluate, and how."""

    path: Path
    """A run directory, a checkpoint's manifest or, for policies that need no checkpoint, a stage's YAML file."""
    policy: PolicyName = "checkpoint"
    without: str | None = None
    """The entry of the observation that the policy is not shown."""
    episodes: int | None = None
    """None: each held-out route once."""
    first_route: int = 0
    """The held-out route to begin with."""
    film: Path | None = None
    """A .gif or .mp4 file for the first episode."""
    overrides: Sequence[str] = ()
    """Changes to the stage, such as another town."""


@dataclass(frozen=True)
class Driven:
    """An evaluation's outcome."""

    config: StageConfig
    step: int | None
    """Of the checkpoint; None for other policies."""
    episodes: list[EpisodeSummary]
    throttle: float | None = None
    """For the constant policy: of the best of ten."""

    def as_fields(self, drive: Drive) -> dict[str, Any]:
        """For a JSON file."""
        return {
            "stage": self.config.name,
            "seed": self.config.seed,
            "town": self.config.environment.town,
            "policy": drive.policy,
            "throttle": self.throttle,
            "without": drive.without,
            "step": self.step,
            "episodes": [episode.as_line() for episode in self.episodes],
        }


def refuse_incomparable(drives: Sequence[Drive]) -> None:
    """Raise BadInput where figures over all drives would mix what is not alike: town, routes, length of a decision."""
    if len(drives) < 2:
        return
    first, *others = [(drive, _read(drive)[0].environment) for drive in drives]

    def facts(drive: Drive, environment: EnvironmentConfig) -> dict[str, Any]:
        route = environment.route.model_dump(mode="json")
        episodes = drive.episodes or route["evaluation_routes"]
        del route["evaluation_routes"]
        alike = {"environment.town": environment.town, "seconds of a decision": environment.decision_seconds}
        return alike | {"episodes": episodes} | {f"environment.route.{name}": value for name, value in route.items()}

    wanted = facts(*first)
    for other in others:
        for name, value in facts(*other).items():
            if value != wanted[name]:
                remedy = "give --episodes" if name == "episodes" else "evaluate them apart"
                both = f"{other[0].path}: {name} {value}, {first[0].path}: {wanted[name]}"
                raise BadInput(f"{both}; figures over both need the same: {remedy}")


def evaluate_run(drive: Drive, on_progress: Progress = lambda driven, of: None) -> Driven:
    """Drive whole episodes on the held-out routes; `on_progress` is told how many are driven, and of how many.

    Nothing is written into a run directory. Raises BadInput where something is missing, StopRequested on a stop signal.
    """
    if drive.film is not None:
        check_format(drive.film)
    config, step = _read(drive)
    routes = config.environment.route.evaluation_routes
    if drive.first_route >= routes:
        raise BadInput(f"route {drive.first_route}: there are {routes} held-out routes, from 0")
    driver = None if drive.policy == "constant" else make_driver(drive.policy, config, drive.path)
    if drive.without is not None and driver is not None:
        driver = blinded(driver, drive.without)
    numbers = range(drive.first_route, drive.first_route + (drive.episodes or routes))
    with _course(config, numbers) as course:
        throttle = None
        if driver is None:
            throttle, episodes = _best_constant(course, drive.film, on_progress)
        else:
            episodes = _drive(course, driver, drive.film, on_progress)
    if drive.film is not None and not drive.film.exists():
        raise UserError(f"{drive.film}: not filmed, since the simulator was lost in that episode; try again")
    return Driven(config, step, episodes, throttle)


def _best_constant(
    course: Course, film: Path | None, on_progress: Progress
) -> tuple[float | None, list[EpisodeSummary]]:
    """The best of the ten drivers, its throttle and episodes; a film needs one of them driven now."""
    counted = _counted(len(THROTTLES) * len(course.numbers), on_progress)
    best = drive_reference(replace(course, on_episode=counted), "constant")
    if film is not None and best.throttle is not None:
        _drive(replace(course, numbers=course.numbers[:1]), constant(best.throttle), film, on_progress)
    return best.throttle, best.episodes


def _drive(course: Course, driver: Driver, film: Path | None, on_progress: Progress) -> list[EpisodeSummary]:
    counted = _counted(len(course.numbers), on_progress)
    return evaluate(
        driver,
        course.simulations,
        cycle=1,
        numbers=course.numbers,
        routes=course.config.environment.route.evaluation_routes,
        stop=course.stop,
        film=film,
        on_episode=lambda number, summary: counted(),
    ).episodes


def _counted(of: int, on_progress: Progress) -> Callable[[], None]:
    """Tells how many of so many episodes are driven, each time that it is called."""
    driven = itertools.count(1)
    on_progress(0, of)
    return lambda: on_progress(next(driven), of)


@contextlib.contextmanager
def _course(config: StageConfig, numbers: Sequence[int]) -> Iterator[Course]:
    """The episodes of these numbers on simulators that run, without a run directory."""
    with _workspace() as directory, StopFlag() as stop:
        record = RunRecord(directory)
        record.open()
        count = min(config.evaluation.simulators, len(numbers))
        simulations = [Simulation(config, "evaluation", directory, record, stop, index) for index in range(count)]
        with contextlib.closing(record), contextlib.ExitStack() as started:
            for simulation in simulations:
                started.callback(simulation.close)
                simulation.start()
            yield Course(config, simulations, numbers, stop)


def figures(drives: Sequence[Driven]) -> dict[str, Estimate]:
    """Every measure over all drives, which had the same number of episodes on the same routes."""
    environment = drives[0].config.environment
    measures = SUITE_MEASURES if environment.traffic.situations else MEASURES
    return estimates_over_runs([driven.episodes for driven in drives], environment.decision_seconds, measures)


@contextlib.contextmanager
def _workspace() -> Iterator[Path]:
    """A folder for the simulator's logs, kept where the drive fails: the error names a file in it."""
    directory, keep = Path(tempfile.mkdtemp(prefix="td3-hpc-evaluate-")), False
    try:
        yield directory
    except UserError as error:
        keep = not isinstance(error, BadInput)
        raise
    finally:
        if not keep:
            shutil.rmtree(directory)


def _read(drive: Drive) -> tuple[StageConfig, int | None]:
    """The configuration, and the checkpoint's step where there is one to drive."""
    is_stage = drive.path.suffix in (".yaml", ".yml")
    if drive.policy == "checkpoint":
        if is_stage:
            raise BadInput(
                f"{drive.path}: a stage has no checkpoint to drive; give a run directory, or another --policy"
            )
        checkpoint = open_checkpoint(drive.path)
        return load_resolved(_config_file(checkpoint.run_dir), drive.overrides), checkpoint.manifest.step
    if is_stage:
        return load_stage(drive.path, drive.overrides), None
    return load_resolved(_config_file(drive.path), drive.overrides), None


def _config_file(run_dir: Path) -> Path:
    path = run_dir / CONFIG_FILE
    if not path.exists():
        raise BadInput(f"{run_dir}: no {CONFIG_FILE} there; a run directory is needed, whole")
    return path
