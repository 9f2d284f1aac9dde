"""What `td3-hpc evaluate` prints."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from td3_hpc.durable import replace_file
from td3_hpc.errors import UserError
from td3_hpc.training.evaluate_run import Drive, Driven, evaluate_run
from td3_hpc.training.measures import MEASURES
from td3_hpc.training.signals import StopRequested


def print_drive(drive: Drive, json_file: Path | None) -> None:
    """Drive, with a progress bar in a terminal, and print the episodes and the figures."""
    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("driving", total=drive.episodes)

        def count(summary: dict[str, Any]) -> None:
            progress.advance(bar)

        try:
            driven = evaluate_run(drive, count)
        except StopRequested:
            raise UserError("evaluate: stopped before the last episode; nothing is written") from None
    console.print(_episodes(drive, driven))
    console.print(_figures(driven))
    if json_file is not None:
        replace_file(json_file, json.dumps(driven.as_fields(drive), indent=1).encode())


def _episodes(drive: Drive, driven: Driven) -> Table:
    who = f"{drive.policy}, step {driven.step}" if driven.step is not None else drive.policy
    without = f", without its {drive.without}" if drive.without else ""
    headings = ("route", "m", "completion", "return", "decisions", "km/h", "collisions", "lines", "end")
    table = Table(*headings, title=f"{driven.config.name}: {who}{without}, in {driven.config.environment.town}")
    for episode in driven.result.episodes:
        table.add_row(
            str(episode["route"]),
            f"{episode['route_length_m']:.0f}",
            f"{episode['route_completion']:.0%}",
            f"{episode['return']:.1f}",
            str(episode["length"]),
            f"{episode['mean_speed_kmh']:.1f}",
            str(episode["collisions"]),
            str(episode["lane_invasions"]),
            episode["end_reason"].replace("_", " "),
        )
    return table


def _figures(driven: Driven) -> Table:
    table = Table("measure", "unit", "value (95 % interval)", title=f"{len(driven.result.episodes)} episodes")
    for measure in MEASURES:
        table.add_row(measure.name, measure.unit, str(driven.figures[measure.name]))
    return table
