"""What a drill is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class NotCaught(Exception):
    """The product did not do with a failure what it promises; says what it did instead."""


class NotHere(Exception):
    """The drill cannot be run on this machine; says what is missing."""


@dataclass(frozen=True)
class Caught:
    """How a failure was caught."""

    by: str
    """What caught it, and what came of it."""
    after: str
    """How soon."""


@dataclass(frozen=True)
class Drill:
    """A known failure and how to cause it."""

    name: str
    failure: str
    cause: str
    """How it is caused, from outside."""
    run: Callable[[Path], Caught]
    """Causes it, in a directory of its own below the given one. Raises NotCaught or NotHere."""


DRILLS: dict[str, Drill] = {}


def drill(name: str, failure: str, cause: str) -> Callable[[Callable[[Path], Caught]], Callable[[Path], Caught]]:
    """Enter a function into the list of drills."""

    def enter(run: Callable[[Path], Caught]) -> Callable[[Path], Caught]:
        DRILLS[name] = Drill(name, failure, cause, run)
        return run

    return enter
