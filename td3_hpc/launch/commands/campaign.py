"""`td3-hpc campaign submit | status | resume | fix | cancel`, and `plan`, which the jobs call."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from td3_hpc.errors import BadInput
from td3_hpc.options import AsJson, CampaignFile, Cluster, ClusterOverride, PastPreflight, Wait, WatchEvery

HELP = """Stages in a row, each of which must earn the next one.

Example: td3-hpc campaign submit smoke --cluster local
"""
app = typer.Typer(help=HELP, no_args_is_help=True)

AcceptVerdicts = Annotated[
    bool,
    typer.Option(
        "--accept-verdicts", help="Let verdicts count that were earned with other code or another image; recorded."
    ),
]


@app.command()
def submit(
    campaign: CampaignFile,
    cluster: Cluster,
    cluster_override: ClusterOverride = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show the chain; queue and write nothing.")
    ] = False,
    past_preflight: PastPreflight = False,
) -> None:
    """Queue all stages of a campaign at once; or continue one that stopped. Harmless where it runs or is over.

    A stage starts when the one before is GO, and ends at once, with exit code 3, when that is NO-GO. With a profile of
    `scheduler: local` the stages run here, one after another.

    Example: td3-hpc campaign submit smoke --cluster local
    """
    from td3_hpc.launch.campaigns.chain import place, require_ready
    from td3_hpc.launch.campaigns.chain import submit as submit_chain

    here = place(campaign, cluster, cluster_override or [])
    if not dry_run:
        raise typer.Exit(submit_chain(here, typer.echo, past_preflight=past_preflight))
    require_ready(here)
    seeds = ", ".join(map(str, here.campaign.seeds))
    before = ""
    for stage in here.campaign.stages:
        steps, start = stage.config.training.total_steps, "continues" if stage.continues else "fresh"
        order = f"; afterany, {'continues from' if stage.continues else 'admitted by'} {before}" if before else ""
        typer.echo(f"stage {stage.name}: {steps:,} steps, {start}, seeds {seeds}{order}")
        before = stage.name
    typer.echo(f"nothing wrong found; `campaign submit` without --dry-run makes {here.directory.root}")


@app.command()
def resume(
    campaign: CampaignFile,
    cluster: Cluster,
    cluster_override: ClusterOverride = None,
    accept_verdicts: AcceptVerdicts = False,
) -> None:
    """Continue a campaign after a correction of its file, the code, the image or the profile.

    Stages that have passed stay as they are. A stage that failed begins again, unless the correction leaves what it did
    valid, as a changed gate does.

    Example: td3-hpc campaign resume configs/campaigns/smoke.yaml --cluster local
    """
    from td3_hpc.launch.campaigns.chain import place
    from td3_hpc.launch.campaigns.resume import resume as resume_chain

    here = place(campaign, cluster, cluster_override or [])
    raise typer.Exit(resume_chain(here, accept_verdicts, typer.echo))


@app.command()
def fix(
    campaign: CampaignFile,
    cluster: Cluster,
    cluster_override: ClusterOverride = None,
    stage: Annotated[
        str | None, typer.Option(help="The stage whose verdict counts.", show_default="the newest NO-GO's")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same for the seed.", show_default="the newest NO-GO's")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    accept_verdicts: AcceptVerdicts = False,
) -> None:
    """Put the remedy of a NO-GO verdict into the campaign's file, and resume.

    Shows what the blocking gates suggest and what changes in the file, and asks. Only the stages' `overrides` change;
    comments and layout stay. Runs that begin again are kept in `set-aside`.

    Example: td3-hpc campaign fix configs/campaigns/paper.yaml --cluster local
    """
    from td3_hpc.launch.campaigns.chain import place
    from td3_hpc.launch.campaigns.fix import apply, prepare

    here = place(campaign, cluster, cluster_override or [])
    prepared = prepare(here, campaign, stage, seed, accept_verdicts)
    for line in prepared.explanation():
        typer.echo(line)
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("nothing was changed; give --yes to apply this and resume")
        typer.confirm("Apply this and resume?", abort=True)
    raise typer.Exit(apply(prepared, typer.echo))


@app.command()
def status(
    campaign: CampaignFile,
    cluster: Cluster,
    cluster_override: ClusterOverride = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep the table up to date; Ctrl-C leaves.")] = False,
    every: WatchEvery = 30.0,
    as_json: AsJson = False,
) -> None:
    """Where a campaign stands; the same as `td3-hpc status` with its directory.

    Example: td3-hpc campaign status smoke --cluster testcluster
    """
    from td3_hpc.launch.campaigns.chain import place
    from td3_hpc.launch.runs.status_table import show

    show([place(campaign, cluster, cluster_override or []).directory.root], watch, as_json, every)


@app.command()
def cancel(
    campaign: CampaignFile,
    cluster: Cluster,
    cluster_override: ClusterOverride = None,
    wait: Wait = 120.0,
) -> None:
    """Cancel a campaign's jobs; those that run save a checkpoint first. `campaign submit` continues later.

    Example: td3-hpc campaign cancel smoke --cluster testcluster
    """
    from td3_hpc.launch.campaigns.chain import place
    from td3_hpc.launch.runs.cancel import cancel as cancel_jobs

    cancel_jobs(place(campaign, cluster, cluster_override or []).directory.root, wait, typer.echo)


@app.command(hidden=True)
def plan(
    run: Annotated[Path, typer.Argument(help="The run directory of a stage and a seed.")],
    queue: Annotated[bool, typer.Option(help="The job was queued, and can queue others.")] = True,
) -> None:
    """What is the job of this run to do? Leaves it in submission/plan for the job's script, a verb a line."""
    from td3_hpc.launch.policy.start import write_plan

    admission = write_plan(run, queue)
    typer.echo(f"admission: {admission.decision.upper()}: {admission.reason}")
