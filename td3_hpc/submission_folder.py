"""The folder `submission/` of a run or a campaign: every file in it, who writes it, and its format.

stage.yaml       of a run: its configuration, resolved
cluster.yaml     the profile
code/            the package
stage.sbatch     the job's script; in a campaign's folder one for each stage, <stage>.sbatch
submission.json  of a run: when, with which version, code and image, and as which jobs it was submitted
jobs             a line for each time that a campaign's run was queued, or a job of a chain has queued another one: its
                 furthest step then (- where a job has put itself behind an unfinished stage, which is no attempt), and
                 the jobs' ids
attempts         by the script, a line for each start: its job (`chain` where jobs follow one another) and its step
outcome          by the script: the newest attempt's exit status, and on a second line its furthest step
bad_nodes        by the script: nodes that the next attempt keeps away from, one a line
owed             of a chain: how many of its jobs the site did not take at submission; its jobs queue them
gave_up          by a campaign's scripts: why the run's jobs are not submitted any more
plan             of a campaign's run, for its script: what to do, a verb a line (td3_hpc/launch/policy/verbs.py)
cancelled        there where its user has cancelled it: then the script does not requeue itself
lock             a folder, there while somebody queues jobs; a command locks the file `holder` in it, which names its
                 machine and number
lock.local       of a campaign: held by the processes that run it without Slurm
submitit/        submitit's own files
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput

#: What the earlier jobs of a run have left, or its user's `cancel`.
_LEFT_BY_JOBS = ("jobs", "attempts", "outcome", "bad_nodes", "owed", "gave_up", "cancelled")


@dataclass(frozen=True)
class Outcome:
    """How the newest attempt ended."""

    status: int
    step: int
    """The furthest of any checkpoint then."""

    @property
    def over(self) -> bool:
        """Whether its job was not to go on."""
        return self.status in (0, 1, 2, 3)


@dataclass(frozen=True)
class SubmissionFolder:
    """The files of one folder. Reading a file that is not there is no error; what is written raises OSError."""

    owner: Path
    """The run's directory, or the campaign's."""

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.owner / "submission"

    # ---- what is frozen
    @property
    def stage(self) -> Path:
        """The run's configuration."""
        return self.path / "stage.yaml"

    @property
    def profile(self) -> Path:
        """The cluster profile."""
        return self.path / "cluster.yaml"

    @property
    def code(self) -> Path:
        """The folder that Python is to import the package from."""
        return self.path / "code"

    def script(self, stage: str = "stage") -> Path:
        """The script of the run's jobs, or of those of a campaign's stage."""
        return self.path / f"{stage}.sbatch"

    @property
    def _notes(self) -> Path:
        return self.path / "submission.json"

    def notes(self) -> dict[str, Any]:
        """When, with which version, code and image, and as which jobs; empty where the run never was submitted.

        Raises BadInput where the file is damaged.
        """
        path = self._notes
        try:
            notes = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise BadInput(f"{path}: damaged ({error}); take it away, and submit again") from None
        if not isinstance(notes, dict):
            raise BadInput(f"{path}: damaged (no mapping); take it away, and submit again")
        return notes

    def write_notes(self, notes: dict[str, Any]) -> None:
        """Put notes in place of those there are."""
        replace_file(self._notes, json.dumps(notes, indent=1).encode())

    # ---- the run's jobs
    def queued(self) -> list[tuple[int | None, list[str]]]:
        """Each time that a run was queued since its user last submitted it, but for the jobs in its notes: its furthest
        step then (None: no attempt, it only waits), and the jobs' ids."""
        lines = [line.split() for line in self._lines("jobs")]
        return [(int(words[0]) if words[0].isdigit() else None, words[1:]) for words in lines]

    def note_queued(self, step: int, jobs: Sequence[str]) -> None:
        """Note that a campaign's run was queued, at its furthest step."""
        with (self.path / "jobs").open("a", encoding="utf-8") as file:
            file.write(" ".join([str(step), *jobs]) + "\n")

    def jobs(self) -> list[str]:
        """The ids of all jobs that a run was queued as since its user last submitted it, the oldest first."""
        return [*self.notes().get("jobs", []), *(job for _, jobs in self.queued() for job in jobs)]

    def owe(self, jobs: int) -> None:
        """Leave it to the jobs of a chain to queue so many more."""
        (self.path / "owed").write_text(f"{jobs}\n", encoding="utf-8")

    def outcome(self) -> Outcome | None:
        """How the newest attempt ended; None where none has, or the file was cut off."""
        lines = self._lines("outcome")
        words = [*lines, "0"][:2]  # of earlier scripts, perhaps, without the step
        return Outcome(int(words[0]), int(words[1])) if lines and all(map(str.isdigit, words)) else None

    @property
    def gave_up(self) -> str:
        """Why the run's jobs are not submitted any more; empty where they are."""
        return " ".join(self._lines("gave_up"))

    @property
    def cancelled(self) -> bool:
        """Whether its user has cancelled the run."""
        return (self.path / "cancelled").exists()

    def cancel(self) -> None:
        """Note that its user has cancelled the run."""
        (self.path / "cancelled").touch()

    def write_plan(self, plan: str) -> None:
        """Tell the script of a campaign's run what to do."""
        replace_file(self.path / "plan", plan.encode())

    def forget_jobs(self) -> None:
        """Forget what became of the run's earlier jobs, before it is queued again by its user."""
        for name in _LEFT_BY_JOBS:
            (self.path / name).unlink(missing_ok=True)

    # ---- locks
    @property
    def lock(self) -> Path:
        """A folder, there while somebody queues jobs of this run or campaign."""
        return self.path / "lock"

    @property
    def local_lock(self) -> Path:
        """Held by the processes that run a campaign without Slurm."""
        return self.path / "lock.local"

    def _lines(self, name: str) -> list[str]:
        path = self.path / name
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return [line for line in text.splitlines() if line.strip()]
