"""Running drills, and the table of what came of them."""

import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from td3_hpc.drills.drill import DRILLS, Caught, Drill, NotCaught, NotHere
from td3_hpc.errors import BadInput


@dataclass(frozen=True)
class Result:
    """What came of one drill."""

    drill: Drill
    status: str
    """caught, NOT CAUGHT, or not here."""
    by: str
    after: str
    seconds: float

    @property
    def row(self) -> tuple[str, ...]:
        """Failure, how it was caused, what caught it, how soon."""
        by = self.by if self.status == "caught" else f"{self.status}: {self.by}"
        return self.drill.failure, self.drill.cause, by, self.after

    def as_fields(self) -> dict[str, str | float]:
        """For --json."""
        fields = {"drill": self.drill.name, "failure": self.drill.failure, "cause": self.drill.cause}
        return {**fields, "status": self.status, "by": self.by, "after": self.after, "seconds": round(self.seconds, 1)}


HEADINGS = ("failure", "how it was caused", "what caught it", "how soon")


def chosen(names: Iterable[str]) -> list[Drill]:
    """The drills of these names, all for none. Raises BadInput for a name that there is not."""
    wanted = list(names) or list(DRILLS)
    for name in wanted:
        if name not in DRILLS:
            raise BadInput(f"no drill {name!r}; there are {', '.join(DRILLS)}")
    return [DRILLS[name] for name in wanted]


def run_drill(drill: Drill, workspace: Path) -> Result:
    """Run one drill in a directory of its own in the workspace."""
    started = time.monotonic()
    try:
        caught = drill.run(workspace / drill.name)
        status = "caught"
    except NotCaught as failure:
        caught, status = Caught(str(failure), "-"), "NOT CAUGHT"
    except (OSError, subprocess.SubprocessError) as error:  # the drill itself broke: the others go on
        caught, status = Caught(f"the drill broke off: {error}", "-"), "NOT CAUGHT"
    except NotHere as reason:
        caught, status = Caught(str(reason), "-"), "not here"
    return Result(drill, status, caught.by, caught.after, time.monotonic() - started)


def markdown(results: Iterable[Result]) -> str:
    """The table in Markdown, with the drills' names."""
    headings = ("drill", *HEADINGS)
    rows = [headings, ("---",) * len(headings), *((f"`{result.drill.name}`", *result.row) for result in results)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows) + "\n"
