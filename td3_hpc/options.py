"""Options that several commands have, each with its one name and help."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from td3_hpc.shipped import Kind, find_configuration


def stage_file(given: Path | None) -> Path | None:
    """The stage's file; where a name was given, standard error says which."""
    return _found(given, "stage")


def campaign_file(given: Path) -> Path | None:
    """The same of a campaign."""
    return _found(given, "campaign")


def suite_file(given: Path | None) -> Path | None:
    """The same of a suite."""
    return _found(given, "suite")


def _found(given: Path | None, kind: Kind) -> Path | None:
    if given is None:
        return None
    path, said = find_configuration(given, kind)
    if said:
        typer.echo(said, err=True)
    return path


def print_json(value: Any) -> None:
    """A table for programs, on standard output."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


StageFile = Annotated[
    Path,
    typer.Argument(help="The stage's YAML file, or its name, such as 1k.", show_default=False, callback=stage_file),
]
CampaignFile = Annotated[
    Path,
    typer.Argument(
        help="The campaign's YAML file, or its name, such as smoke.", show_default=False, callback=campaign_file
    ),
]
Override = Annotated[
    list[str] | None,
    typer.Option("--override", "-o", metavar="KEY=VALUE", help="Change one key of the stage; repeatable."),
]
Cluster = Annotated[
    str,
    typer.Option(help="A profile in configs/clusters or a known site by its name, or a YAML file.", show_default=False),
]
ClusterOverride = Annotated[
    list[str] | None,
    typer.Option("--cluster-override", "-c", metavar="KEY=VALUE", help="Change one key of the profile; repeatable."),
]
PastPreflight = Annotated[
    bool, typer.Option("--past-preflight", help="Queue in spite of the mistakes that preflight finds; recorded.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
WatchEvery = Annotated[float, typer.Option(min=1, help="With --watch: seconds between two looks.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds that running jobs have to save and end.")]
