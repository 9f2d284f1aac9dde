"""Drives of the scripted driver that is told what is ahead, with noise: what its camera saw, and what was ahead then.

An episode is a function of the configuration, the seed and its number. Each is kept in a file of its own as soon as it
has ended, so that a collection that was stopped goes on where it was.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.hdf5_file import read_tree, tree_image, write_file
from td3_hpc.config import StageConfig
from td3_hpc.driving.hazard import FREE, Ahead
from td3_hpc.driving.pure_pursuit import careful_pursuit
from td3_hpc.driving.worker_handle import StepResult
from td3_hpc.errors import BadInput
from td3_hpc.spaces import ACTION, IMAGE, Observation
from td3_hpc.training.env_slot import side_by_side
from td3_hpc.training.seeding import derived_seed, generator
from td3_hpc.training.signals import StopFlag, StopRequested
from td3_hpc.training.simulation import EpisodeLost, Simulation

_DESCRIPTIONS = {
    "frames": ("(n, 84, 84) the camera's frames, one a decision", "grey level, 0 to 255"),
    "ahead": ("(n, 2) what was ahead then: the obstacle, the red or yellow light; infinite where there was none", "m"),
    "moved": ("(n,) whether the ego had moved since the frame before", ""),
}
_STILL_M = 0.02
_SPEED = (0.6, 1.4)  # of the target
_BLIND = 0.3  # of the episodes are driven by one that is told nothing: it shows what is near
_NOISE = (0.05, 0.3)
_STEERING_NOISE = 0.4  # of the pedal's


@dataclass(frozen=True)
class Episode:
    """What was seen and what was ahead, decision by decision."""

    frames: NDArray[np.uint8]
    """(n, 84, 84)"""
    ahead: NDArray[np.float32]
    """(n, 2) metres to the obstacle and to the red or yellow light, infinite where there was none."""
    moved: NDArray[np.bool_]
    """(n,) whether the ego had moved since the frame before."""


class _Driver:
    """Drives one episode and books it."""

    def __init__(self, config: StageConfig, number: int, simulation: Simulation) -> None:
        self.number, self.simulation, self._config = number, simulation, config
        self._noise = generator(derived_seed(config.seed, "pretraining drive", number), "noise")
        self._target_kmh = config.environment.reward.target_speed_kmh * self._noise.uniform(*_SPEED)
        self._told = self._noise.random() >= _BLIND
        self._deviation = self._noise.uniform(*_NOISE)
        self._ahead, self._place = FREE, (np.inf, np.inf)
        self._frames: list[NDArray[np.uint8]] = []
        self._rows: list[tuple[float, float]] = []
        self._moved: list[bool] = []

    def begin(self) -> None:
        self.observation: Observation = self.simulation.reset(
            derived_seed(self._config.seed, "pretraining episode", self.number)
        )

    def decide(self) -> None:
        """Send the next action."""
        safe_speed = self._ahead.safe_speed if self._told else np.inf
        action = careful_pursuit(self.observation, self._config.environment, self._target_kmh, safe_speed)
        noise = self._noise.normal(0, self._deviation, 2) * (_STEERING_NOISE, 1.0)
        self.simulation.send(np.clip(action + noise, ACTION.low, ACTION.high).astype(ACTION.dtype))

    def take_in(self, result: StepResult) -> bool:
        """What came of it; whether the episode has ended."""
        self.observation, self._ahead = result.observation, Ahead(**result.info["ahead"])
        place = result.info["position"]
        self._frames.append(IMAGE.newest(result.observation[IMAGE.name]))
        self._rows.append(self._ahead)
        self._moved.append(float(np.hypot(place[0] - self._place[0], place[1] - self._place[1])) > _STILL_M)
        self._place = place
        return result.terminated or result.truncated

    def episode(self) -> Episode:
        return Episode(np.array(self._frames), np.array(self._rows, np.float32), np.array(self._moved))


def collect(
    config: StageConfig,
    folder: Path,
    simulations: Sequence[Simulation],
    episodes: int,
    stop: StopFlag,
    on_episode: Callable[[int], None],
) -> None:
    """Drive the episodes that the folder lacks, on all simulators side by side; `on_episode` is told how many are
    there. Raises StopRequested at a stop signal; the episodes under way are then driven again."""
    waiting = [number for number in range(episodes) if not _file(folder, number).exists()]
    free, under_way = list(simulations), list[_Driver]()
    on_episode(episodes - len(waiting))
    while waiting or under_way:
        if stop:
            raise StopRequested
        begun = [_Driver(config, waiting.pop(0), free.pop(0)) for _ in range(min(len(waiting), len(free)))]
        for started in side_by_side([driver.begin for driver in begun]):
            started.result()
        under_way += begun
        for driver in under_way:
            driver.decide()
        for driver in list(under_way):
            try:
                if not driver.take_in(driver.simulation.receive()):
                    continue
                _write(folder, driver.number, driver.episode())
            except EpisodeLost:
                waiting.insert(0, driver.number)
            under_way.remove(driver)
            free.append(driver.simulation)
            on_episode(episodes - len(waiting) - len(under_way))


def read_episodes(folder: Path, episodes: int) -> Iterator[Episode]:
    """Those that `collect` has put there, in order. Raises BadInput for a damaged file, naming it."""
    return map(partial(_read, folder), range(episodes))


def _file(folder: Path, number: int) -> Path:
    return folder / f"episode-{number:05}.h5"


def _write(folder: Path, number: int, episode: Episode) -> None:
    tree = {"frames": episode.frames, "ahead": episode.ahead, "moved": episode.moved}
    write_file(_file(folder, number), tree_image(tree, _DESCRIPTIONS))


def _read(folder: Path, number: int) -> Episode:
    path = _file(folder, number)
    try:
        tree = read_tree(path)
        return Episode(tree["frames"], tree["ahead"], tree["moved"].astype(np.bool_))
    except (CheckpointDamaged, KeyError) as error:
        raise BadInput(f"{path}: damaged ({error}); delete it, and give the command again") from None
