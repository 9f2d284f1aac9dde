"""Evaluation cycles: somebody drives whole episodes on held-out routes, on simulators of their own, without noise."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from td3_hpc.driving.worker_handle import StepResult
from td3_hpc.record import EpisodeSummary, EvaluationCycle
from td3_hpc.spaces import Observation
from td3_hpc.training.env_slot import side_by_side
from td3_hpc.training.evaluation.trace import EpisodeTrace, write_trace
from td3_hpc.training.evaluation.values import States, Value
from td3_hpc.training.seeding import derived_seed
from td3_hpc.training.signals import StopFlag, StopRequested
from td3_hpc.training.simulation import EpisodeLost, Simulation

Policy = Callable[[Observation], np.ndarray]

#: The means that describe a cycle, from each episode's summary.
MEASURES = ("return", "length", "route_completion", "mean_speed_kmh", "collisions", "lane_invasions")


@dataclass(frozen=True)
class Driver:
    """Who drives."""

    policy: Callable[[int], Policy]
    """The policy of an episode, by its number: what it does in one must not depend on those before."""
    value: Value | None = None
    """What the driver expects to earn, where it has an opinion."""
    autopilot: str | None = None
    """Who drives whatever the policy says (`DrivingEnv.reset`)."""


@dataclass(frozen=True)
class EvaluationResult:
    """One cycle."""

    cycle: int
    """Number of the cycle, from 1."""
    episodes: list[EpisodeSummary]
    """Each whole episode's summary, with its route, in the order of their numbers."""
    lost: int
    """Episodes that a lost simulator cut off; they are repeated, and not counted among `episodes`."""
    seconds: float
    """Wall-clock time of the cycle."""
    states: States = field(default_factory=States)
    """What the driver expected, and what it earned."""

    def first(self, count: int) -> "EvaluationResult":
        """Its first episodes alone, by which it can be compared with a cycle that has no more."""
        return replace(self, episodes=self.episodes[:count])

    def means(self) -> dict[str, float]:
        """Mean of each measure over the episodes."""
        numbers = [episode.as_line() for episode in self.episodes]
        return {name: float(np.mean([episode[name] for episode in numbers])) for name in MEASURES}

    def as_event(self, policy_motion: float | None = None) -> EvaluationCycle:
        """The record's event of it."""
        return EvaluationCycle(
            cycle=self.cycle,
            means=self.means(),
            episodes=self.episodes,
            lost=self.lost,
            seconds=round(self.seconds, 1),
            policy_motion=policy_motion,
            **self.states.as_fields(),
        )


@dataclass
class _Episode:
    """An episode under way."""

    number: int
    simulation: Simulation
    policy: Policy
    observation: Observation
    trace: EpisodeTrace | None
    states: States


def evaluate(
    driver: Driver,
    simulations: Sequence[Simulation],
    *,
    cycle: int,
    numbers: Sequence[int],
    routes: int,
    stop: StopFlag,
    film: Path | None = None,
    trace: Path | None = None,
    on_episode: Callable[[int, EpisodeSummary], None] = lambda number, summary: None,
) -> EvaluationResult:
    """Drive the whole episodes of these numbers; number n is on the held-out route n modulo `routes`.

    Weather and traffic depend on an episode's number alone: every cycle, policy and run meets the same situations. The
    simulators drive different episodes side by side, each of which is the same on any of them; `on_episode` is told of
    them as they end. `film`: a file that the first episode is filmed into. `trace`: what to call the files of
    `write_trace`. Raises StopRequested as soon as the stop flag is set: the cycle is repeated from its start on resume.
    """
    started, lost = time.monotonic(), 0
    waiting, free, under_way = deque(numbers), list(simulations), list[_Episode]()
    ended: dict[int, tuple[EpisodeSummary, _Episode]] = {}

    def begin(number: int, simulation: Simulation) -> _Episode:
        first = number == numbers[0]
        observation = simulation.reset(
            situation_seed(number), number % routes, film if first else None, driver.autopilot
        )
        traced = EpisodeTrace(pictures=first) if trace is not None else None
        return _Episode(number, simulation, driver.policy(number), observation, traced, States(driver.value))

    while waiting or under_way:
        if stop:
            raise StopRequested
        starts = [partial(begin, waiting.popleft(), free.pop(0)) for _ in range(min(len(waiting), len(free)))]
        under_way += [begun.result() for begun in side_by_side(starts)]
        for episode in under_way:
            action = episode.policy(episode.observation)
            episode.states.decide(episode.observation, action)
            episode.simulation.send(action)
        for episode in list(under_way):
            try:
                result = episode.simulation.receive()
            except EpisodeLost:
                lost += 1
                waiting.appendleft(episode.number)
            else:
                if not _take_in(episode, result, episode.number % routes):
                    continue
                summary = _summary(episode.number % routes, result)
                ended[episode.number] = summary, episode
                on_episode(episode.number, summary)
            under_way.remove(episode)
            free.append(episode.simulation)
    in_order = [ended[number] for number in numbers]
    if trace is not None:
        with contextlib.suppress(OSError):  # a full disk costs the pictures, not the run
            write_trace(trace, [episode.trace for _, episode in in_order if episode.trace is not None])
    summaries = [summary for summary, _ in in_order]
    states = States.together([episode.states for _, episode in in_order])
    return EvaluationResult(cycle, summaries, lost, time.monotonic() - started, states)


def _take_in(episode: _Episode, result: StepResult, route: int) -> bool:
    """What came of a decision; whether the episode has ended by itself."""
    over = result.terminated or result.truncated
    episode.observation = result.observation
    episode.states.earn(result.reward)
    if episode.trace is not None:
        episode.trace.add(result.observation, result.info)
    if over:
        episode.states.end(result.terminated)
        if episode.trace is not None:
            episode.trace.end(route, result.info)
    return over


def _summary(route: int, result: StepResult) -> EpisodeSummary:
    return EpisodeSummary.model_validate({"route": route, **result.info["episode"]})


def situation_seed(number: int) -> int:
    """The seed of evaluation episode `number`, the same for every run."""
    return derived_seed(0, "evaluation", number)
