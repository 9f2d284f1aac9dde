"""`td3-hpc status` on the screen: a table that keeps itself up to date, or JSON."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Column, Table

from td3_hpc.launch.status import RunStatus, Status, read_status

INTERVAL_S = 5.0


def show(paths: Sequence[Path], watch: bool, as_json: bool) -> None:
    """Print the status of run and campaign directories; `watch`: again and again, until nothing goes on any more."""
    if as_json:
        typer.echo(json.dumps(as_fields(read_status(paths)), indent=1))
        return
    console = Console()
    status = read_status(paths)
    if not watch:
        console.print(table(status))
        return
    try:
        with Live(table(status), console=console, auto_refresh=False) as live:
            while not status.over or any(run.progress.state == "started" for run in status.runs):
                time.sleep(INTERVAL_S)
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
    """The table, the campaigns' states above it and what could not be learnt below."""
    columns = ("steps", "steps/s", "time left", "checkpoint", "attempts")
    rows = Table(Column("run", no_wrap=True), "state", Column("job", no_wrap=True), "Slurm", *columns, "alerts, notes")
    for run in status.runs:
        rows.add_row(*_row(run))
    parts: list[RenderableType] = [f"[bold]{name}[/bold]: {state}" for name, state in status.campaigns.items()]
    return Group(*parts, rows, *(f"not known: {what}" for what in status.unknown))


def _row(run: RunStatus) -> list[str]:
    progress, job = run.progress, run.job
    total = f"{progress.total_steps:,}" if progress.total_steps else "?"
    checkpoint = "none"
    if progress.checkpoint_age_s is not None:
        checkpoint = f"step {progress.checkpoint_step:,}, {duration(progress.checkpoint_age_s)} ago"
    state = progress.state
    if state == "started" and job is not None and not job.live:
        state = "ended without a word"
    return [
        f"{progress.run_dir.parent.name}, seed {progress.seed}" if run.campaign else progress.run_dir.name,
        state,
        job.id if job else "-",
        " ".join(filter(None, (job.state, job.reason and f"({job.reason})", job.node and f"on {job.node}")))
        if job
        else "-",
        f"{progress.step:,} of {total}",
        f"{progress.steps_per_second:.1f}" if progress.steps_per_second else "-",
        duration(progress.seconds_left) if progress.seconds_left is not None else "-",
        checkpoint,
        str(progress.attempts),
        "; ".join(filter(None, (", ".join(progress.alerts), progress.note, run.waits))),
    ]


def duration(seconds: float) -> str:
    """A length of time in its two largest units."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{value} {unit}" for value, unit in ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")) if value]
    return " ".join(parts[:2]) or "0 s"
