"""Peers measured in turn, each in a process of its own.

Memory, allocator state and thread pools of one peer must not touch another's, and the machine's slow spells must hit
all alike: so every peer lives in a process that waits for a word to do one unit of its work, and they go round.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import MappingProxyType
from unittest import mock

import psutil
import torch

Facts = dict[str, float]
Work = Callable[[], None]
Setup = Callable[[], tuple[Work, Facts]]
"""Prepares a peer: returns one unit of its work, and facts about the prepared peer."""

ROUNDS = 21
WARM_UP = 3


@dataclass(frozen=True)
class Measurement:
    """One peer's seconds per unit, round by round, and its facts."""

    seconds: list[float]
    processor_seconds: list[float]
    """The same as processor time of the peer's process: what is left when others use the machine too."""
    facts: Facts

    @property
    def median(self) -> float:
        """Seconds per unit."""
        return statistics.median(self.seconds)

    def ratio_to(self, other: "Measurement") -> tuple[float, float, float]:
        """How many times as fast as `other`, over the rounds: lower quartile, median, upper quartile."""
        return _quartiles(self.seconds, other.seconds)

    def processor_ratio_to(self, other: "Measurement") -> tuple[float, float, float]:
        """The same of the processor times."""
        return _quartiles(self.processor_seconds, other.processor_seconds)


def _quartiles(seconds: list[float], others: list[float]) -> tuple[float, float, float]:
    lower, middle, upper = statistics.quantiles([b / a for a, b in zip(seconds, others)], n=4)
    return lower, middle, upper


def measure(
    setups: dict[str, Setup],
    threads: int,
    rounds: int = ROUNDS,
    warm_up: int = WARM_UP,
    environments: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    settle: Callable[[], None] = lambda: None,
) -> dict[str, Measurement]:
    """Every peer's measurement, `rounds` of them interleaved, each process with `threads` PyTorch threads.

    `environments`: variables that a peer's process starts with, besides this one's. `settle`: called before each unit,
    lest it pay for what another has left behind; nor does one always follow the same other, since every second round is
    in reverse order.
    """
    context = multiprocessing.get_context("spawn")
    processes, pipes, facts = [], {}, {}
    for name, setup in setups.items():
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, setup, threads, warm_up), daemon=True)
        with mock.patch.dict(os.environ, environments.get(name, {})):
            process.start()
        theirs.close()
        processes.append(process)
        pipes[name] = ours
        facts[name] = ours.recv()
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in setups}
    for number in range(rounds):
        for name in list(pipes)[:: -1 if number % 2 else 1]:
            settle()
            pipes[name].send(True)
            seconds[name].append(pipes[name].recv())
    for pipe in pipes.values():
        pipe.send(False)
    for process in processes:
        process.join()
    return {
        name: Measurement([wall for wall, _ in seconds[name]], [used for _, used in seconds[name]], facts[name])
        for name in setups
    }


def resident_bytes() -> int:
    """Memory of this process."""
    return int(psutil.Process().memory_info().rss)


def _serve(pipe: Connection, setup: Setup, threads: int, warm_up: int) -> None:
    torch.set_num_threads(threads)
    work, facts = setup()
    for _ in range(warm_up):
        work()
    pipe.send(facts)
    while pipe.recv():
        start, used = time.perf_counter(), time.process_time()
        work()
        pipe.send((time.perf_counter() - start, time.process_time() - used))
