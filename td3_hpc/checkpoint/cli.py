"""`td3-hpc checkpoint inspect | verify | diff | prune`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from td3_hpc.checkpoint.compare import diff as compare
from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.manifest import Manifest, manifest_paths, problems, read_manifest
from td3_hpc.checkpoint.retention import prune as remove_unneeded
from td3_hpc.config import CheckpointConfig, load_stage
from td3_hpc.errors import BadInput, ExitCode

app = typer.Typer(help="Look at, verify, compare and thin out checkpoints.", no_args_is_help=True)

Checkpoints = Annotated[
    list[Path], typer.Argument(help="Run directories, or state/checkpoint-*.json files.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def inspect(paths: Checkpoints, as_json: AsJson = False) -> None:
    """What the checkpoints of a run hold.

    Example: td3-hpc checkpoint inspect checkpoints/1k
    """
    manifests = [manifest for path in paths for manifest in _manifests(path)]
    rows = [_row(path, manifest) for path, manifest in manifests]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table(Column("checkpoint", no_wrap=True), "step", "created", "rows", "segments", "MB", "tags")
    for row in rows:
        tags = ", ".join(f"{key}={value}" for key, value in row["tags"].items())
        megabytes = f"{row['bytes'] / 1e6:.1f}"
        table.add_row(
            row["name"], str(row["step"]), row["created"], str(row["rows"]), str(row["segments"]), megabytes, tags
        )
    Console().print(table)


@app.command()
def verify(paths: Checkpoints, as_json: AsJson = False) -> None:
    """Hold every file of every checkpoint against its checksum; exits 0 where all are whole, 1 otherwise.

    Example: td3-hpc checkpoint verify checkpoints/1k
    """
    found: dict[str, list[str]] = {}
    for path in paths:
        for manifest_path in _manifest_paths(path):
            found[str(manifest_path)] = _problems(manifest_path)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        for name, faults in found.items():
            typer.echo(f"{name}: {'whole' if not faults else 'DAMAGED'}")
            for fault in faults:
                typer.echo(f"  {fault}")
    raise typer.Exit(ExitCode.FAILED if any(found.values()) else ExitCode.DONE)


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(help="A run directory (its newest checkpoint) or a manifest.")],
    second: Annotated[Path, typer.Argument(help="What to compare it with.")],
    as_json: AsJson = False,
) -> None:
    """Compare two checkpoints byte by byte; exits 0 only where networks, optimizers, random state, counters and replay
    rows are all the same. Where and when they were made (provenance) does not count.

    Example: td3-hpc checkpoint diff checkpoints/a checkpoints/b
    """
    differences = compare(first, second)
    if as_json:
        typer.echo(json.dumps([vars(difference) for difference in differences], indent=1))
    elif differences:
        for difference in differences:
            typer.echo(f"{difference.path}: {difference.what}")
    else:
        typer.echo("the same bytes")
    raise typer.Exit(ExitCode.FAILED if differences else ExitCode.DONE)


@app.command()
def prune(
    run: Annotated[Path, typer.Argument(help="A run directory.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
) -> None:
    """Remove the checkpoints that the run's retention rules no longer keep, and files that none needs.

    Example: td3-hpc checkpoint prune checkpoints/1k --dry-run
    """
    _manifest_paths(run)
    config_path = run / "config.yaml"
    config = load_stage(config_path).checkpoint if config_path.exists() else CheckpointConfig()
    pruned = remove_unneeded(run, config, dry_run)
    for name in (*pruned.manifests, *pruned.files):
        typer.echo(name)
    verb = "would free" if dry_run else "freed"
    typer.echo(f"{verb} {pruned.bytes / 1e6:.1f} MB")


def _manifest_paths(path: Path) -> list[Path]:
    found = manifest_paths(path) if path.is_dir() else [path] if path.is_file() else []
    if not found:
        raise BadInput(f"{path}: no checkpoint here; give a run directory or a state/checkpoint-*.json file")
    return found


def _manifests(path: Path) -> list[tuple[Path, Manifest]]:
    return [(found, read_manifest(found)) for found in _manifest_paths(path)]


def _problems(path: Path) -> list[str]:
    try:
        return list(problems(path.parent.parent, read_manifest(path)))
    except CheckpointDamaged as error:
        return [str(error)]


def _row(path: Path, manifest: Manifest) -> dict[str, Any]:
    return {
        "name": path.name,
        "epoch": manifest.epoch,
        "step": manifest.step,
        "created": manifest.created,
        "rows": manifest.next_row - manifest.first_row,
        "segments": len(manifest.segments),
        "bytes": sum(file.bytes for file in manifest.files()),
        "tags": dict(manifest.tags),
    }
