"""`td3-hpc status` on the screen: a table that keeps itself up to date, or JSON."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import typer
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from td3_hpc.formatting import duration
from td3_hpc.launch.jobs.job_states import Job
from td3_hpc.launch.runs.status import RunStatus, Status, read_status

#: Every look is a question to Slurm's controller, which others ask as well.
INTERVAL_S = 30.0
#: So many runs are named of which the same is said.
LISTED = 3


def show(paths: Sequence[Path], watch: bool, as_json: bool, every_s: float = INTERVAL_S) -> None:
    """Print the status of run and campaign directories; `watch`: again and again, until nothing goes on any more."""
    if as_json:
        typer.echo(json.dumps(as_fields(read_status(paths)), indent=1))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has no width
    status = read_status(paths)
    if not watch:
        console.print(table(status))
        return
    try:
        with Live(table(status), console=console, auto_refresh=False) as live:
            while not status.over:
                seconds_left = every_s
                while seconds_left > 0:
                    live.update(Group(table(status), f"next look in {seconds_left:.0f} s"), refresh=True)
                    step = min(1.0, seconds_left)
                    time.sleep(step)
                    seconds_left -= step
                status = read_status(paths)
            live.update(table(status), refresh=True)
    except KeyboardInterrupt:
        pass


def as_fields(status: Status) -> dict[str, object]:
    """For --json."""
    return {
        "campaigns": status.campaigns,
        "runs": [run.as_fields() for run in status.runs],
        "unknown": list(status.unknown),
    }


def table(status: Status) -> RenderableType:
    """The campaigns' states, the table of runs, what there is to say of single runs, and what could not be learnt."""
    rows = Table(
        "run", "state", "steps", "steps/s", "time left", "checkpoint", "job", box=box.SIMPLE_HEAD, pad_edge=False
    )
    several = len(status.campaigns) > 1  # whose stages may have the same names
    for run in status.runs:
        rows.add_row(*(escape(cell) for cell in _row(run, several)))
    above = [f"[bold]{escape(name)}[/bold]: {escape(state)}" for name, state in status.campaigns.items()]
    said: dict[str, list[str]] = {}
    for run in status.runs:
        for note in _notes(run):
            said.setdefault(note, []).append(_name(run, several))
    notes = [f"{_named(names)}: {note}" for note, names in said.items()]
    unknown = [f"not known: {what}" for what in status.unknown]
    return Group(*above, rows, *(escape(line) for line in (*notes, *unknown)))


def _name(run: RunStatus, several: bool) -> str:
    progress = run.progress
    if not run.campaign:
        return progress.run_dir.name
    name = f"{progress.run_dir.parent.name}, seed {progress.seed}"
    return f"{run.campaign}: {name}" if several else name


def _named(names: Sequence[str]) -> str:
    """Runs of which the same is said."""
    return "; ".join(names) if len(names) <= LISTED else f"{names[0]}, and {len(names) - 1} more"


def _row(run: RunStatus, several: bool) -> list[str]:
    progress = run.progress
    total = f"{progress.total_steps:,}" if progress.total_steps else "?"
    age = progress.checkpoint_age_s
    return [
        _name(run, several),
        _state(run),
        f"{progress.step:,} of {total}",
        f"{progress.steps_per_second:.1f}" if progress.steps_per_second else "-",
        duration(progress.seconds_left) if progress.seconds_left is not None else "-",
        "none" if age is None else f"step {progress.checkpoint_step:,}, {duration(age)} ago",
        _job(run.job) if run.job else "-",
    ]


def _state(run: RunStatus) -> str:
    progress, job = run.progress, run.job
    ended = job is not None and not job.live
    state = "ended without a word" if progress.state == "started" and ended else progress.state
    return f"{state}, {progress.attempts} attempts" if progress.attempts > 1 else state


def _job(job: Job) -> str:
    return " ".join(filter(None, (job.id, job.state, job.reason and f"({job.reason})", job.node and f"on {job.node}")))


def _notes(run: RunStatus) -> list[str]:
    alerts = f"alerts: {', '.join(run.progress.alerts)}" if run.progress.alerts else ""
    return [note for note in (alerts, run.progress.note, run.waits) if note]
