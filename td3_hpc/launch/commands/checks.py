"""`td3-hpc preflight` and `td3-hpc doctor`: what would go wrong, before anything is queued."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from td3_hpc.errors import ExitCode
from td3_hpc.options import AsJson, Cluster, ClusterOverride, Override, StageFile, print_json, stage_file

if TYPE_CHECKING:
    from td3_hpc.launch.preflight import CheckResult


def preflight(
    config: StageFile,
    cluster: Annotated[
        str, typer.Option(help="A profile in configs/clusters by its name, or a YAML file; local: this machine.")
    ] = "local",
    run_dir: Annotated[
        Path | None, typer.Option(help="Where the run would live.", show_default="<the profile's runs>/<name>")
    ] = None,
    override: Override = None,
    cluster_override: ClusterOverride = None,
    steps_per_second: Annotated[
        float | None, typer.Option(min=1e-6, help="Your word for it.", show_default="as measured by `td3-hpc doctor`")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find every mistake that would waste a stage's time, before it is queued; exit code 2 where there is one.

    Asks the configuration, this machine, Slurm, and what `td3-hpc doctor` measured. Queues and writes nothing.

    Example: td3-hpc preflight 1m --cluster testcluster --steps-per-second 40
    """
    from td3_hpc.launch.preflight import check, mistakes

    findings = check(config, cluster, run_dir, override or [], cluster_override or [], steps_per_second)
    _show(findings, f"preflight: {config} on {cluster}", as_json)
    found = len(mistakes(findings))
    open_ones = sum(finding.status == "not checked" for finding in findings)
    if not as_json:
        typer.echo(f"{found} mistake{'' if found == 1 else 's'}, {open_ones} not checked")
    raise typer.Exit(ExitCode.BAD_INPUT if found else ExitCode.DONE)


def doctor(
    cluster: Cluster,
    stage: Annotated[
        Path | None,
        typer.Option(
            help="A stage whose simulator, town and networks to measure.",
            show_default="the defaults",
            callback=stage_file,
        ),
    ] = None,
    override: Override = None,
    cluster_override: ClusterOverride = None,
    as_json: AsJson = False,
) -> None:
    """Queue one short job on the real nodes and measure there what preflight needs; exit code 1 where something fails.

    GPU, Vulkan, one camera frame, the signals' way into the container, the restart after a stop, the step's CPUs, the
    file system, steps a second. The table is kept beside the profile's runs. Ctrl-C cancels the job.

    Example: td3-hpc doctor --cluster testcluster --stage 1m
    """
    from rich.console import Console
    from rich.markup import escape

    from td3_hpc.config import StageConfig, apply_overrides, load_stage, validate
    from td3_hpc.launch.doctor.examination import examine_nodes
    from td3_hpc.launch.doctor.result import result_path
    from td3_hpc.launch.jobs.submission import load_cluster
    from td3_hpc.launch.preflight import judge, mistakes

    if stage:
        config = load_stage(stage, override or [])
    else:
        defaults = {"name": "doctor", "training": {"total_steps": 1000, "learning_starts": 500}}
        config = validate(StageConfig, apply_overrides(defaults, override or []), "the doctor's stage")
    profile = load_cluster(cluster, cluster_override or [])
    console = Console(stderr=True, highlight=False)
    with console.status("") as spinner:  # nothing where that is no terminal

        def log(line: str) -> None:
            console.print(line, markup=False, soft_wrap=True)
            spinner.update(escape(line))

        result = examine_nodes(config, profile, cluster, log)
    findings = judge(config, profile, cluster, result)
    _show(findings, f"doctor: {cluster}, {result.node}", as_json)
    typer.echo(f"kept as {result_path(profile, cluster)}", err=as_json)
    raise typer.Exit(ExitCode.FAILED if mistakes(findings) else ExitCode.DONE)


def _show(findings: "Sequence[CheckResult]", title: str, as_json: bool) -> None:
    """A table on a terminal, lines elsewhere, or JSON."""
    if as_json:
        print_json([asdict(finding) for finding in findings])
        return
    from rich.console import Console

    from td3_hpc.launch.preflight import as_lines, as_table

    console = Console()
    if console.is_terminal:
        console.print(as_table(findings, title))
    else:
        typer.echo("\n".join([title, *as_lines(findings)]))
