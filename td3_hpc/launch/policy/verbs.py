"""What a job's script can be told, as it reads it: a line each, words separated by spaces. Where they stand in the
script, messages may name its variables (`$run`).

`sbatch` and `give-up` are carried out under the lock of the campaign, and only where the run that they name has no job
(but the one that reads them): the queue may have changed since the plan was made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: So many attempts or jobs of a run in a row, begun or queued at one and the same step, are the last.
FRUITLESS = 3

Run = tuple[str, int]
"""Stage and seed."""


@dataclass(frozen=True)
class Sbatch:
    """Queue a run where it has no job. One that is not the reader's own begins its count of attempts anew."""

    run: Run
    step: int | None
    """Its furthest step, for the count of fruitless jobs; None where this is no attempt, it only waits."""
    behind: tuple[Run, ...] = ()
    """Runs whose jobs are to end first; the reader's own stands for the job that reads this."""

    def __str__(self) -> str:
        step = "-" if self.step is None else self.step
        return " ".join(["sbatch", *map(str, self.run), str(step), *(f"{stage}/{seed}" for stage, seed in self.behind)])


@dataclass(frozen=True)
class GiveUp:
    """Note, where a run has no job, that it is not submitted any more, and end with exit status 1."""

    run: Run
    reason: str

    def __str__(self) -> str:
        return f"give-up {self.run[0]} {self.run[1]} {self.reason}"


@dataclass(frozen=True)
class Scancel:
    """Cancel the jobs of a run that wait."""

    run: Run

    def __str__(self) -> str:
        return f"scancel {self.run[0]} {self.run[1]}"


@dataclass(frozen=True)
class Withdraw:
    """This start of the script is no attempt."""

    def __str__(self) -> str:
        return "withdraw"


@dataclass(frozen=True)
class Start:
    """Go on with the script, which starts the run. What cannot be queued before is said, and no reason to end."""

    def __str__(self) -> str:
        return "run"


@dataclass(frozen=True)
class Exit:
    """End the job. What cannot be queued before ends it with exit status 75."""

    status: int
    message: str

    def __str__(self) -> str:
        return f"exit {self.status} {self.message}"


@dataclass(frozen=True)
class Requeue:
    """End the job with exit status 75 and have Slurm start it again, unless its user has cancelled the run, or Slurm is
    ending the job anyhow: for good by scancel, to start it again by preemption; neither is for the script to change."""

    why: str

    def __str__(self) -> str:
        return f"requeue {self.why}"


@dataclass(frozen=True)
class Exclude:
    """Keep the next attempt away from this node, and do what follows exit status 75. Go on with the next verb where
    `when` does not hold, or the partition has no other node."""

    when: Literal["simulator", "begun"]
    """The record says that a simulator never came up (then its node is meant); or the run has got past step 0."""
    what: str
    """What was wrong on the node."""

    def __str__(self) -> str:
        return f"exclude {self.when} {self.what}"


Verb = Sbatch | GiveUp | Scancel | Withdraw | Start | Exit | Requeue | Exclude


@dataclass(frozen=True)
class Plan:
    """What to do now, and when the run has ended: no Python can be asked after SIGKILL."""

    first: tuple[Verb, ...]
    after: Mapping[int | str, tuple[Verb, ...]] = field(default_factory=dict)
    """By the run's exit status, or the word for another event."""

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in self.lines())

    def lines(self) -> list[str]:
        """When, and a verb; in the order in which they are carried out."""
        lines = [f"first {verb}" for verb in self.first]
        return lines + [f"{when} {verb}" for when, verbs in self.after.items() for verb in verbs]
