"""Options that several commands have, each with its one name and help."""

from pathlib import Path
from typing import Annotated

import typer

StageFile = Annotated[Path, typer.Argument(help="The stage's YAML file.", show_default=False)]
Override = Annotated[
    list[str] | None,
    typer.Option("--override", "-o", metavar="KEY=VALUE", help="Change one key of the stage; repeatable."),
]
Cluster = Annotated[
    str, typer.Option(help="A profile in configs/clusters by its name, or a YAML file.", show_default=False)
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
