"""What a gate finds, and how sure it may be of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from td3_hpc.gates.history import EventType, Evidence, RunHistory


@dataclass(frozen=True)
class Confidence:
    """How far the evidence carries, from 0 to 1, and why."""

    value: float
    why: str


@dataclass(frozen=True)
class Finding:
    """A gate's judgement of one run."""

    met: bool | None
    """None where this run cannot tell; `confidence.why` then says why."""
    target: str
    achieved: str
    confidence: Confidence
    evidence: tuple[Evidence, ...]
    cause: str = ""
    """Why it was missed, in plain words; empty where it was met."""
    remedy: str = ""
    """What to do, where that is more than the change."""
    change: Mapping[str, Any] = field(default_factory=dict)
    """Configuration keys and the values to give them; each can be applied with `-o KEY=VALUE`."""
    pending: bool = False
    """Missed only because the run has not come that far."""
    value: float | None = None
    """The number behind `achieved`; None where it is none."""
    unit: str = ""
    """Unit of the value, the interval and the target."""
    interval: tuple[float, float] | None = None
    """95 % interval of the value, where there is one."""


def not_judged(target: str, why: str, *evidence: Evidence) -> Finding:
    """This run cannot tell."""
    return Finding(None, target, "–", Confidence(0.0, why), evidence)


def coverage(history: RunHistory) -> Confidence:
    """For a count over all steps: as sure as the record is complete."""
    covered, _ = history.steps_covered()
    total = history.config.training.total_steps
    return Confidence(min(1.0, covered / total), f"counted over {covered:,} of {total:,} steps")


def zero_failures(count: int, what: str, history: RunHistory) -> Confidence:
    """For something that was looked for and not seen.

    None among n readings bounds its rate to 1 - 0.05 ** (1 / n) at 95 % (Clopper and Pearson; the "rule of three" for
    large n). The confidence is what that leaves, times the share of the run that the record covers.
    """
    if count < 1:
        return Confidence(0.0, f"no {what} to look at")
    covered, _ = history.steps_covered()
    share = min(1.0, covered / history.config.training.total_steps)
    bound = 1 - 0.05 ** (1 / count)
    part = "" if share >= 1 else f", over {share:.0%} of the run"
    return Confidence(
        share * (1 - bound), f"none among {count:,} {what}{part}: at most {100 * bound:.2g} % of them, at 95 %"
    )


def certain(what: str) -> Confidence:
    """For something that must not be and was seen: certain."""
    return Confidence(1.0, f"seen: {what}")


def agreement(agreeing: int, count: int, what: str) -> Confidence:
    """For a tendency: the share of its readings that agree with the judgement."""
    share = agreeing / count if count else 0.0
    return Confidence(share, f"{agreeing:,} of {count:,} {what} agree")


def worst(events: Iterable[EventType], read: Callable[[EventType], float | None]) -> tuple[float, EventType] | None:
    """The largest number that `read` finds (NaN counts as the largest) and its event; None where it finds none."""
    found = [(value, event) for event in events if (value := read(event)) is not None]
    return max(found, key=lambda pair: float("inf") if pair[0] != pair[0] else pair[0]) if found else None
