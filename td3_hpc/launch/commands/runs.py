"""`td3-hpc status`, `logs` and `cancel`: what is going on with runs that were submitted."""

from pathlib import Path
from typing import Annotated

import typer

from td3_hpc.options import AsJson, Wait, WatchEvery


def status(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Run or campaign directories.", show_default="all in checkpoints/"),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep the table up to date until nothing goes on; Ctrl-C leaves.")
    ] = False,
    every: WatchEvery = 30.0,
    as_json: AsJson = False,
) -> None:
    """What is going on: job and its state in Slurm, steps, speed, time left, checkpoint, alerts.

    Works without Slurm and without its accounting, and says what it could not learn.

    Example: td3-hpc status checkpoints/smoke --watch
    """
    from td3_hpc.launch.runs.status import default_paths
    from td3_hpc.launch.runs.status_table import show

    show(runs or default_paths(), watch, as_json, every)


def logs(
    run: Annotated[Path, typer.Argument(help="A run directory.", show_default=False)],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, across attempts.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Lines to begin with.")] = 40,
) -> None:
    """The log of a run's newest attempt.

    Example: td3-hpc logs checkpoints/smoke/learn/seed-1 -f
    """
    from td3_hpc.launch.runs.logs import show_log

    try:
        show_log(run, lines, follow)
    except KeyboardInterrupt:
        raise typer.Exit from None


def cancel(
    run: Annotated[Path, typer.Argument(help="A run's or a campaign's directory.", show_default=False)],
    wait: Wait = 120.0,
) -> None:
    """Cancel a run's jobs; one that runs saves a checkpoint first. Submitting again continues from there.

    Example: td3-hpc cancel checkpoints/1k
    """
    from td3_hpc.launch.runs.cancel import cancel as cancel_jobs

    cancel_jobs(run, wait, typer.echo)
