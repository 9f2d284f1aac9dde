"""What the model of attempts and crashes keeps account of."""

from dataclasses import dataclass, field

from td3_hpc.checkpoint import CheckpointStore
from tests.checkpoint.rows import GrowingRows


@dataclass
class Attempt:
    """A process that may write."""

    store: CheckpointStore
    step: int
    superseded: bool = False
    perhaps_superseded: bool = False
    """By an attempt that was killed, before its claim or after."""
    rows: GrowingRows = field(default_factory=GrowingRows)


@dataclass(frozen=True)
class Reported:
    """A checkpoint whose save returned."""

    name: str
    order: tuple[int, int, int]
    line: tuple[str, ...]
    run: str
    digests: tuple[tuple[str, str], ...]
    """Path in the run directory, and the content's digest; the manifest first."""


def in_line(name: str, newest) -> bool:
    """Whether a checkpoint is of the line of attempts that leads to another one."""
    attempts = {last.split("-s")[0]: last for last in (*newest.line, newest.name)} if newest else {}
    return name <= attempts.get(name.split("-s")[0], "")
