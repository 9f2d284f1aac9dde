"""What `td3-hpc evaluate` prints."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from td3_hpc.config.suite import load_suite
from td3_hpc.durable import replace_file, require_folder
from td3_hpc.errors import BadInput, UserError
from td3_hpc.record import EpisodeSummary
from td3_hpc.training.evaluation.command import Drive, Driven, evaluate_run, figures, refuse_incomparable
from td3_hpc.training.evaluation.measures import SUITE_MEASURES, Estimate
from td3_hpc.training.signals import StopRequested


def print_drives(drives: Sequence[Drive], json_file: Path | None) -> None:
    """Drive each, with a progress bar in a terminal; print the episodes, and the figures over all of them."""
    if json_file is not None:
        require_folder(json_file)
    fields = _print_drives(drives, Console())
    _write(json_file, fields)


def print_suite(path: Path, drives: Sequence[Drive], json_file: Path | None) -> None:
    """The same in every town of a suite, which `path` holds, and how it went by kind of situation.

    A town that the simulator does not offer is passed over, and said; raises its BadInput where there is no other.
    """
    if json_file is not None:
        require_folder(json_file)
    suite = load_suite(path)
    console, told, missing = Console(), list[dict[str, Any]](), list[BadInput]()
    for town in suite.towns:
        there = [
            replace(drive, overrides=[*suite.overrides_of(town), *drive.overrides], episodes=town.episodes)
            for drive in drives
        ]
        try:
            told.append({"town": town.town, **_print_drives(there, console)})
        except BadInput as error:
            if f"town {town.town}:" not in str(error):
                raise
            missing.append(error)
            console.print(f"[yellow]{town.town} is not driven:[/] {error}", "", soft_wrap=True)
    if not told:
        raise missing[0]
    _write(json_file, {"suite": suite.name, "towns": told})


def _print_drives(drives: Sequence[Drive], console: Console) -> dict[str, Any]:
    """Drive each, print what came of it, and return that as the fields of a JSON file."""
    refuse_incomparable(drives)
    done: list[Driven] = []
    for drive in drives:
        done.append(_driven(drive, console))
        console.print(_episodes(drive, done[-1]), "")
    over_all = figures(done)
    if done[0].config.environment.traffic.situations:
        console.print(_situations(done), "")
    console.print(_figures(done, over_all), "")
    return {
        "figures": {name: _as_json(figure) for name, figure in over_all.items()},
        "runs": [driven.as_fields(drive) for drive, driven in zip(drives, done)],
    }


def _as_json(figure: Estimate) -> dict[str, float | None]:
    """JSON knows no NaN, which a figure per kilometre is where none was driven."""
    return {name: None if math.isnan(value) else value for name, value in asdict(figure).items()}


def _write(json_file: Path | None, fields: dict[str, Any]) -> None:
    if json_file is None:
        return
    try:
        replace_file(json_file, json.dumps(fields, indent=1).encode())
    except OSError as error:
        raise BadInput(f"{json_file}: cannot be written ({error.strerror})") from None


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
    situations = bool(driven.config.environment.traffic.situations)
    left = ("return", "lines") if situations else ("situation",)  # 80 columns hold no more
    rows = [_episode(episode) for episode in driven.episodes]
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for heading in [heading for heading in rows[0] if heading not in left]:
        table.add_column(heading, justify="left" if heading in ("end", "situation") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*[cell for heading, cell in row.items() if heading not in left])
    return table


def _episode(episode: EpisodeSummary) -> dict[str, str]:
    """The cells of its row, by their columns."""
    return {
        "route": str(episode.route),
        "m": f"{episode.route_length_m:.0f}",
        "completion": f"{episode.route_completion:.0%}",
        "return": f"{episode.return_:.1f}",
        "decisions": str(episode.length),
        "km/h": f"{episode.mean_speed_kmh:.1f}",
        "collisions": str(episode.collisions),
        "lines": str(episode.lane_invasions),
        "end": episode.end_reason.replace("_", " "),
        "situation": (episode.situation or "").replace("_", " "),
    }


def _situations(drives: Sequence[Driven]) -> Table:
    """Over all drives, by kind."""
    episodes = [episode for driven in drives for episode in driven.episodes]
    table = Table("situation", box=None, padding=(0, 2, 0, 0))
    for heading in ("episodes", "success", "collisions", "completion"):
        table.add_column(heading, justify="right", no_wrap=True)
    for kind in dict.fromkeys(episode.situation or "" for episode in episodes):
        of_kind = [episode for episode in episodes if episode.situation == kind]
        done = sum(episode.completed for episode in of_kind)
        table.add_row(
            kind.replace("_", " "),
            str(len(of_kind)),
            f"{done / len(of_kind):.0%}",
            str(sum(episode.collisions for episode in of_kind)),
            f"{sum(episode.route_completion for episode in of_kind) / len(of_kind):.0%}",
        )
    return table


def _figures(drives: Sequence[Driven], over_all: dict[str, Estimate]) -> Table:
    runs = f"{len(drives)} runs of " if len(drives) > 1 else ""
    count = len(drives[0].episodes)
    title = f"{runs}{count} episode{'s' if count > 1 else ''}"
    table = Table(
        "measure", "unit", "value (95 % interval)", title=title, title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    for measure in SUITE_MEASURES:
        if measure.name in over_all:
            table.add_row(measure.name, measure.unit, str(over_all[measure.name]))
    return table
