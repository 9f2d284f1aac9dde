"""`td3-hpc drill`: the known failures, caused on purpose, and whether each is caught."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from td3_hpc.errors import BadInput, ExitCode
from td3_hpc.options import AsJson, print_json


def drill(
    names: Annotated[list[str] | None, typer.Argument(help="Drills to run.", show_default="all")] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Say what there is; run nothing.")] = False,
    workspace: Annotated[
        Path | None, typer.Option(help="Where the drills' runs are kept.", show_default="a temporary directory")
    ] = None,
    as_json: AsJson = False,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Write the table here, too.", show_default=False)
    ] = None,
) -> None:
    """Cause the known failures, one after the other, and print what caught each, and how soon.

    Faults come from outside: signals, flipped bytes, a proxy, a configuration. Exit code 1 if one is not caught. All of
    them take a quarter of an hour or more; `node-lost` needs the test cluster (`make cluster-up`).

    Example: td3-hpc drill simulator-killed flipped-byte
    """
    from rich.console import Console
    from rich.table import Table

    from td3_hpc.drills.drill_list import load_drills
    from td3_hpc.drills.table import HEADINGS, chosen, markdown, run_drill
    from td3_hpc.durable import replace_file, require_folder

    if markdown_file is not None:
        require_folder(markdown_file)
    if workspace is not None and workspace.exists() and not workspace.is_dir():
        raise BadInput(f"{workspace}: not a folder; give --workspace another one")
    load_drills()
    drills = chosen(names or [])
    if list_only and as_json:
        print_json([{"drill": one.name, "failure": one.failure, "cause": one.cause} for one in drills])
        return
    if list_only:
        for one in drills:
            typer.echo(f"{one.name}: {one.failure}; {one.cause}")
        return
    results = []
    with tempfile.TemporaryDirectory(prefix="td3-hpc-drill-") as temporary:
        for one in drills:
            result = run_drill(one, workspace or Path(temporary))
            typer.echo(f"{one.name}: {result.status} ({result.seconds:.0f} s)", err=as_json)
            results.append(result)
    if as_json:
        print_json([result.as_fields() for result in results])
    else:
        table = Table(*HEADINGS, show_lines=True)
        for result in results:
            table.add_row(*result.row)
        Console(soft_wrap=False).print(table)
    if markdown_file is not None:
        replace_file(markdown_file, markdown(results).encode())
    missed = [result.drill.name for result in results if result.status == "NOT CAUGHT"]
    if missed:
        typer.echo(f"not caught: {', '.join(missed)}", err=True)
        raise typer.Exit(ExitCode.FAILED)
