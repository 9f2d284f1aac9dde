"""Evaluation cycles: the deterministic policy drives whole episodes on held-out routes, on a simulator of its own."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from td3_hpc.record import EpisodeSummary, EvaluationCycle
from td3_hpc.spaces import Observation
from td3_hpc.training.evaluation.trace import CycleTrace
from td3_hpc.training.seeding import derived_seed
from td3_hpc.training.signals import StopFlag, StopRequested
from td3_hpc.training.simulation import EpisodeLost, Simulation

Policy = Callable[[Observation], np.ndarray]

#: The means that describe a cycle, from each episode's summary.
MEASURES = ("return", "length", "route_completion", "mean_speed_kmh", "collisions", "lane_invasions")


@dataclass(frozen=True)
class EvaluationResult:
    """One cycle."""

    cycle: int
    """Number of the cycle, from 1."""
    episodes: list[EpisodeSummary]
    """Each whole episode's summary, with its route."""
    lost: int
    """Episodes that a lost simulator cut off; they are repeated, and not counted among `episodes`."""
    seconds: float
    """Wall-clock time of the cycle."""

    def means(self) -> dict[str, float]:
        """Mean of each measure over the episodes."""
        numbers = [episode.as_line() for episode in self.episodes]
        return {name: float(np.mean([episode[name] for episode in numbers])) for name in MEASURES}

    def as_event(self) -> EvaluationCycle:
        """The record's event of it."""
        seconds = round(self.seconds, 1)
        return EvaluationCycle(
            cycle=self.cycle, means=self.means(), episodes=self.episodes, lost=self.lost, seconds=seconds
        )


def evaluate(
    policy: Policy,
    simulation: Simulation,
    *,
    cycle: int,
    episodes: int,
    routes: int,
    stop: StopFlag,
    first: int = 0,
    film: Path | None = None,
    autopilot: bool = False,
    trace: CycleTrace | None = None,
    on_episode: Callable[[EpisodeSummary], None] = lambda summary: None,
) -> EvaluationResult:
    """Drive `episodes` whole episodes on the held-out routes first, first + 1, … in turn.

    `film`: a file that the first episode is filmed into. `autopilot`: the Traffic Manager drives, not the policy.
    `trace` is given every decision, and written at the end.
    Weather and traffic depend on the episode's number alone: every cycle, policy and run meets the same situations.
    Raises StopRequested as soon as the stop flag is set: the cycle is then repeated from its start on resume.
    """
    started = time.monotonic()
    summaries: list[EpisodeSummary] = []
    lost = 0
    while len(summaries) < episodes:
        number = first + len(summaries)
        route, seed = number % routes, situation_seed(number)
        first_film = None if summaries else film
        try:
            summary = drive_episode(policy, simulation, seed, route, stop, first_film, autopilot, trace)
        except EpisodeLost:
            lost += 1
            continue
        summaries.append(summary)
        on_episode(summaries[-1])
    if trace is not None:
        with contextlib.suppress(OSError):  # a full disk costs the pictures, not the run
            trace.write()
    return EvaluationResult(cycle, summaries, lost, time.monotonic() - started)


def situation_seed(number: int) -> int:
    """The seed of evaluation episode `number`, the same for every run."""
    return derived_seed(0, "evaluation", number)


def drive_episode(
    policy: Policy,
    simulation: Simulation,
    seed: int,
    route: int,
    stop: StopFlag,
    film: Path | None = None,
    autopilot: bool = False,
    trace: CycleTrace | None = None,
) -> EpisodeSummary:
    """One whole episode; returns what came of it."""
    observation = simulation.reset(seed, route, film, autopilot)
    if trace is not None:
        trace.begin()
    while True:
        if stop:
            raise StopRequested
        simulation.send(policy(observation))
        result = simulation.receive()
        if trace is not None:
            trace.add(result.observation, result.info)
        if result.terminated or result.truncated:
            if trace is not None:
                trace.end(route, result.info)
            return EpisodeSummary.model_validate({"route": route, **result.info["episode"]})
        observation = result.observation
