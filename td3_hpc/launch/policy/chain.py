"""Which stages of a campaign are queued behind which, when its user submits it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from td3_hpc.launch.policy.verbs import Run


@dataclass(frozen=True)
class StageJobs:
    """What one stage needs."""

    stage: str
    seeds: tuple[int, ...]
    """Of the runs that are to be queued."""
    links: int
    """Jobs of each run, one behind the other."""
    behind: str | None
    """The stage all of whose jobs are to end first; None where this waits for nothing."""


def plan_chain(
    stages: Sequence[str], unfinished: Collection[Run], live: Mapping[str, Collection[int]], chain_length: int | None
) -> list[StageJobs]:
    """The stages to queue, in order.

    unfinished: the runs without a verdict that may still get one. live: the seeds of each stage that have jobs.
    chain_length: how many jobs a run has where requeueing is forbidden; None where it is not. Nobody comes after the
    last stage to submit it again: its runs have two.
    """
    found, behind = list[StageJobs](), None
    for stage in stages:
        there = live.get(stage, ())
        seeds = tuple(seed for name, seed in unfinished if name == stage and seed not in there)
        if seeds:
            links = chain_length or (2 if stage == stages[-1] else 1)
            found.append(StageJobs(stage, seeds, links, behind))
        if seeds or there:
            behind = stage
    return found
