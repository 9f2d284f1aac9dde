"""What `td3-hpc evaluate` prints."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from td3_hpc.durable import replace_file, require_folder
from td3_hpc.errors import UserError
from td3_hpc.training.evaluation.command import Drive, Driven, evaluate_run, figures
from td3_hpc.training.evaluation.measures import MEASURES, Estimate
from td3_hpc.training.signals import StopRequested


def print_drives(drives: Sequence[Drive], json_file: Path | None) -> None:
    """Drive each, with a progress bar in a terminal; print the episodes, and the figures over all of them."""
    if json_file is not None:
        require_folder(json_file)
    console = Console()
    done: list[Driven] = []
    for drive in drives:
        done.append(_driven(drive, console))
        console.print(_episodes(drive, done[-1]), "")
    over_all = figures(done)
    console.print(_figures(done, over_all))
    if json_file is not None:
        fields = {
            "figures": {name: asdict(figure) for name, figure in over_all.items()},
            "runs": [driven.as_fields(drive) for drive, driven in zip(drives, done)],
        }
        replace_file(json_file, json.dumps(fields, indent=1).encode())


def _driven(drive: Drive, console: Console) -> Driven:
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(f"driving {drive.path.name}", total=None)
        try:
            return evaluate_run(drive, lambda driven, of: progress.update(bar, completed=driven, total=of))
        except StopRequested:
            raise UserError("evaluate: stopped before the last episode; nothing is written") from None


def _episodes(drive: Drive, driven: Driven) -> Table:
    who = f"{drive.policy}, step {driven.step}" if driven.step is not None else drive.policy
    who += f", the best of ten, throttle {driven.throttle:g}" if driven.throttle is not None else ""
    without = f", without its {drive.without}" if drive.without else ""
    where = f"{driven.config.name}, seed {driven.config.seed}"
    title = f"{where}: {who}{without}, in {driven.config.environment.town}"
    headings = ("route", "m", "completion", "return", "decisions", "km/h", "collisions", "lines")
    columns = [Column(heading, justify="right", no_wrap=True) for heading in headings]
    table = Table(
        *columns, Column("end", no_wrap=True), title=title, title_justify="left", box=None, padding=(0, 1, 0, 0)
    )
    for episode in driven.episodes:
        table.add_row(
            str(episode.route),
            f"{episode.route_length_m:.0f}",
            f"{episode.route_completion:.0%}",
            f"{episode.return_:.1f}",
            str(episode.length),
            f"{episode.mean_speed_kmh:.1f}",
            str(episode.collisions),
            str(episode.lane_invasions),
            episode.end_reason.replace("_", " "),
        )
    return table


def _figures(drives: Sequence[Driven], over_all: dict[str, Estimate]) -> Table:
    runs = f"{len(drives)} runs of " if len(drives) > 1 else ""
    count = len(drives[0].episodes)
    title = f"{runs}{count} episode{'s' if count > 1 else ''}"
    table = Table(
        "measure", "unit", "value (95 % interval)", title=title, title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    for measure in MEASURES:
        table.add_row(measure.name, measure.unit, str(over_all[measure.name]))
    return table
