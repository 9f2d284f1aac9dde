"""`td3-hpc checkpoint inspect | verify | diff | prune | continue | set-aside`."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from td3_hpc.checkpoint import choice
from td3_hpc.checkpoint.compare import diff as compare
from td3_hpc.checkpoint.errors import CheckpointDamaged, CheckpointUnreadable
from td3_hpc.checkpoint.manifest import Manifest, problems, read_manifest
from td3_hpc.checkpoint.retention import line_manifests
from td3_hpc.checkpoint.retention import prune as remove_unneeded
from td3_hpc.checkpoint.set_aside import remove_set_aside, set_aside_dir, set_aside_files
from td3_hpc.checkpoint.store import CheckpointStore
from td3_hpc.checkpoint_names import manifest_paths
from td3_hpc.config import CONFIG_FILE, CheckpointConfig, load_resolved, parse_resolved
from td3_hpc.errors import BadInput, ExitCode, file_error
from td3_hpc.options import AsJson

app = typer.Typer(no_args_is_help=True)

Checkpoints = Annotated[
    list[Path],
    typer.Argument(help="Run directories, or state/checkpoint-*.json files.", show_default=False, metavar="PATH..."),
]


@app.command()
def inspect(paths: Checkpoints, as_json: AsJson = False) -> None:
    """What checkpoints there are and what they hold, the newest first. Reads the manifests only; `verify` reads all.

    A damaged one, and one of another line (written by an attempt that had been taken over) is listed as such; exits 0.

    Example: td3-hpc checkpoint inspect checkpoints/1k
    """
    found = {path: _rows(path) for path in paths}
    if as_json:
        typer.echo(json.dumps([row for rows in found.values() for row in rows], indent=1))
        return
    for path, rows in found.items():
        typer.echo(f"{path} (a checkpoint's manifest is state/checkpoint-NAME.json)")
        Console().print(_table(rows))
        aside = set_aside_files(path) if path.is_dir() else {}
        if aside:
            size = sum(aside.values()) / 1e6
            typer.echo(
                f"{set_aside_dir(path)}: {len(aside)} files, {size:.1f} MB, set aside; yours to delete: "
                f"td3-hpc checkpoint prune {path} --set-aside"
            )


@app.command()
def verify(paths: Checkpoints, as_json: AsJson = False) -> None:
    """Hold every file of every checkpoint against its size and checksum; names what is missing or damaged.

    Exits 0 where all are whole, 1 otherwise.

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
    """Compare two checkpoints byte by byte: networks, optimizers, random state, counters and replay rows.

    Where and when they were made (provenance) does not count. Exits 0 only where all is the same, 1 otherwise.

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
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Remove what was set aside instead: damaged, or of another line.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove the checkpoints that the run's retention rules no longer keep, and files that none needs.

    The rules are those of the run's config.yaml (checkpoint.keep_last and so on), or else of its newest checkpoint. A
    training run does this itself after each checkpoint, and may be running. What was set aside goes only with
    --set-aside.

    Example: td3-hpc checkpoint prune checkpoints/1k --dry-run
    """
    if set_aside:
        _prune_set_aside(run, dry_run, as_json)
        return
    _manifest_paths(run)
    pruned = remove_unneeded(run, _rules(run), dry_run)
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, **vars(pruned)}, indent=1))
        return
    for name in (*pruned.manifests, *pruned.files):
        typer.echo(name)
    verb = "would free" if dry_run else "freed"
    typer.echo(f"{verb} {pruned.bytes / 1e6:.1f} MB")


def _rules(run: Path) -> CheckpointConfig:
    """The run's own, which every checkpoint holds, too. Raises BadInput where nothing tells them."""
    path = run / CONFIG_FILE
    if path.exists():
        return load_resolved(path).checkpoint
    newest = CheckpointStore(run, CheckpointConfig()).latest()
    if newest is None:
        raise BadInput(f"{path}: missing, and no checkpoint tells the run's rules; nothing is removed")
    return parse_resolved(newest.state()["config"], newest.manifest.name).checkpoint


def _prune_set_aside(run: Path, dry_run: bool, as_json: bool) -> None:
    if not run.is_dir():
        raise BadInput(f"{run}: no checkpoint here; give a run directory")
    files = set_aside_files(run)
    if not dry_run:
        remove_set_aside(run, files)
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, "files": files, "bytes": sum(files.values())}, indent=1))
        return
    _echo_sizes(files)
    typer.echo(f"{'would free' if dry_run else 'freed'} {sum(files.values()) / 1e6:.1f} MB")


@app.command(name="continue")
def continue_(
    run: Annotated[Path, typer.Argument(help="A run directory.", show_default=False)],
    checkpoint: Annotated[
        Path | None,
        typer.Argument(help="Its state/checkpoint-*.json to go on from.", show_default="the newest whole one"),
    ] = None,
) -> None:
    """Decide which checkpoint a run goes on from, where `train` refuses to; the others are set aside, not deleted.

    One that was set aside (state/set-aside/checkpoint-*.json) is brought back. The run must not be running.

    Example: td3-hpc checkpoint continue checkpoints/1k
    """
    _require_state(run)
    with _told_of_files(run):
        manifest, moved = choice.continue_from(run, checkpoint)
    _echo_sizes(moved)
    typer.echo(f"{run}: goes on from {manifest.name} (step {manifest.step}); {len(moved)} files set aside")


@app.command(name="set-aside")
def set_aside_all(run: Annotated[Path, typer.Argument(help="A run directory.", show_default=False)]) -> None:
    """Set all checkpoints of a run aside, so that it begins anew; nothing is deleted, and `continue` brings them back.

    The record, the verdict and TensorBoard's files, which tell of them, go with them, and come back with them.

    Example: td3-hpc checkpoint set-aside checkpoints/1k
    """
    _require_state(run)
    with _told_of_files(run):
        moved = choice.set_all_aside(run)
    _echo_sizes(moved)
    typer.echo(f"{run}: {len(moved)} files set aside in {set_aside_dir(run)}; the run begins anew")


def _require_state(run: Path) -> None:
    if not set_aside_dir(run).parent.is_dir():
        raise BadInput(f"{run}: no checkpoint here; give a run directory")


@contextlib.contextmanager
def _told_of_files(run: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise file_error(error, f"{run}: cannot be changed ({error.strerror})") from error


def _echo_sizes(files: Mapping[str, int]) -> None:
    for name, size in files.items():
        typer.echo(f"{name}  {size / 1e6:.1f} MB")


def _manifest_paths(path: Path) -> list[Path]:
    found = manifest_paths(path) if path.is_dir() else [path] if path.is_file() and path.suffix == ".json" else []
    if not found:
        raise BadInput(f"{path}: no checkpoint here; give a run directory or a state/checkpoint-*.json file")
    return found


def _problems(path: Path) -> list[str]:
    try:
        return list(problems(path.parent.parent, read_manifest(path)))
    except (CheckpointDamaged, CheckpointUnreadable) as error:
        return [str(error)]


def _table(rows: list[dict[str, Any]]) -> Table:
    numbers = [Column(name, justify="right", no_wrap=True) for name in ("step", "rows", "MB")]
    table = Table(
        Column("name", no_wrap=True),
        Column("written, UTC", no_wrap=True),
        *numbers,
        Column("remarks", overflow="fold"),
        box=None,
    )
    for row in rows:
        name = row["name"].removeprefix("checkpoint-").removesuffix(".json")
        if row["damage"]:
            table.add_row(name, "", "", "", "", "DAMAGED, see verify")
            continue
        tags = [
            f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in row["tags"].items()
        ]
        remarks = ", ".join(["of another line: set aside at the next start"] * row["other_line"] + tags)
        numbers_of_it = f"{row['step']:,}", f"{row['rows']:,}", f"{row['bytes'] / 1e6:,.1f}"
        table.add_row(name, row["created"][:16].replace("T", " "), *numbers_of_it, remarks)
    return table


def _rows(path: Path) -> list[dict[str, Any]]:
    """One row a manifest, the same keys in each."""
    in_line = {manifest.name for manifest in line_manifests(path)} if path.is_dir() else {path.name}
    rows = []
    for manifest_path in _manifest_paths(path):
        manifest, damage = None, ""
        try:
            manifest = read_manifest(manifest_path)
        except (CheckpointDamaged, CheckpointUnreadable) as error:
            damage = str(error)
        known = _contents(manifest) if manifest else dict.fromkeys(_CONTENTS)
        rows.append(
            {
                "path": str(manifest_path),
                "name": manifest_path.name,
                "damage": damage,
                "other_line": manifest is not None and manifest_path.name not in in_line,
                **known,
            }
        )
    return rows


_CONTENTS = ("epoch", "step", "created", "rows", "segments", "bytes", "tags")


def _contents(manifest: Manifest) -> dict[str, Any]:
    values = (
        manifest.epoch,
        manifest.step,
        manifest.created,
        manifest.next_row - manifest.first_row,
        len(manifest.segments),
        sum(file.bytes for file in manifest.files()),
        dict(manifest.tags),
    )
    return dict(zip(_CONTENTS, values))
