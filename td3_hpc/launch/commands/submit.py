"""Commands that put stages on a cluster: `td3-hpc submit` and `td3-hpc container`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from td3_hpc.errors import BadInput
from td3_hpc.options import Cluster, ClusterOverride, Override, PastPreflight, StageFile

HELP = """Build the container images that jobs run in.

Example: td3-hpc container build embedded
"""
container = typer.Typer(help=HELP, no_args_is_help=True)


def submit(
    config: StageFile,
    cluster: Cluster,
    run_dir: Annotated[
        Path | None, typer.Option(help="Where the run lives.", show_default="<the profile's runs>/<name>")
    ] = None,
    override: Override = None,
    cluster_override: ClusterOverride = None,
    submit_by: Annotated[
        Literal["sbatch", "submitit", "hand"],
        typer.Option("--by", help="All queue the same script; hand: only write it, for your own sbatch."),
    ] = "sbatch",
    past_preflight: PastPreflight = False,
    print_only: Annotated[
        bool, typer.Option("--print", help="Show the job's script; queue and write nothing.")
    ] = False,
) -> None:
    """Queue one stage as a Slurm job that outlives preemption, time limits and lost nodes.

    What `td3-hpc preflight` finds wrong is refused, unless --past-preflight is given. Code, configuration and image are
    frozen now; later edits change nothing in the job.

    Example: td3-hpc submit 1k --cluster testcluster -o seed=2
    """
    from td3_hpc.launch.jobs import slurm
    from td3_hpc.launch.jobs.submission import load_cluster, show
    from td3_hpc.launch.jobs.submission import submit as submit_stage
    from td3_hpc.launch.preflight import check, mistakes, refusal
    from td3_hpc.launch.preflight.checks import ASK_SLURM

    if print_only:
        profile = load_cluster(cluster, cluster_override or [])
        typer.echo(show(config, profile, run_dir, override or [], submit_by), nl=False)
        return
    found = mistakes(check(config, cluster, run_dir, override or [], cluster_override or []))
    if submit_by == "hand" and not slurm.has("sbatch"):  # a container on a login node, say: it is outside
        found = [finding for finding in found if finding.check != ASK_SLURM]
    if found and not past_preflight:
        raise refusal(found)
    passed_over = [f"{finding.check}: {finding.found}" for finding in found]
    for line in passed_over:
        typer.echo(f"passed over: {line}", err=True)
    profile = load_cluster(cluster, cluster_override or [])
    submission = submit_stage(config, profile, run_dir, override or [], submit_by, passed_over=passed_over)
    if submission.jobs:
        typer.echo(f"job {', '.join(submission.jobs)} runs {submission.run_dir}; its log: {submission.run_dir}/logs")
        if submission.shortened:
            wanted = f"{len(submission.jobs)} of the chain's {profile.chain_length} jobs are queued"
            typer.echo(f"{wanted}: {submission.shortened}. Each of them queues what there is room for")
    elif submit_by == "hand":
        typer.echo(f"{'sbatch' if profile.queued else 'bash'} {submission.script}")
    raise typer.Exit(submission.status)


@container.command()
def build(
    kind: Annotated[
        Literal["embedded", "carla"],
        typer.Argument(
            help="The embedded simulator, or CARLA 0.9.16 with its NVIDIA driver hooks.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-O", help="The SIF file.", show_default="containers/<kind>.sif")
    ] = None,
    build_arg: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A build argument of the definition file, such as BASE; repeatable."),
    ] = None,
    gpu: Annotated[
        Literal["nvidia", "amd", "none"] | None,
        typer.Option(help="Whose GPUs PyTorch is built for; amd was never tried.", show_default="as pip is set"),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for downloads and the base image.", show_default="~/.cache/td3-hpc")
    ] = None,
) -> None:
    """Build an image of this package; where the cluster cannot, build elsewhere and copy the file and its .sha256.

    Example: td3-hpc container build embedded
    """
    from td3_hpc.launch.images import build as build_image

    pairs = [argument.partition("=") for argument in build_arg or []]
    for name, separator, _ in pairs:
        if not separator:
            raise BadInput(f"--build-arg {name}: write it as NAME=VALUE")
    image = build_image(kind, output or Path("containers") / f"{kind}.sif", {n: v for n, _, v in pairs}, cache, gpu)
    typer.echo(f"{image.path}\nsha256 {image.sha256}")


@container.command()
def digest(image: Annotated[Path, typer.Argument(help="A SIF file.", show_default=False)]) -> None:
    """Print an image's SHA-256, to compare a copy with what the build printed.

    Example: td3-hpc container digest containers/embedded.sif
    """
    from td3_hpc.launch.jobs.freeze import freeze_image

    typer.echo(f"sha256 {freeze_image(image).sha256}")
