"""Commands about clusters themselves: `td3-hpc cluster`."""

import json
from typing import Annotated

import typer

from td3_hpc.errors import ExitCode
from td3_hpc.options import AsJson, ClusterOverride

HELP = """What is known of sites' clusters.

Example: td3-hpc cluster check lumi
"""
cluster = typer.Typer(help=HELP, no_args_is_help=True)


@cluster.callback()
def _clusters() -> None:
    """Keeps `check` a command of its own while there is no other."""


@cluster.command()
def check(
    profile: Annotated[
        str,
        typer.Argument(
            help="A profile by its name or file, or a known site.", show_default=False, metavar="PROFILE|SITE"
        ),
    ],
    site: Annotated[
        str | None, typer.Option(help="Whose rules to apply.", show_default="the site of the profile's name")
    ] = None,
    cluster_override: ClusterOverride = None,
    as_json: AsJson = False,
) -> None:
    """Apply what a site says to a profile, each rule in the site's words, and tell what is unverified.

    Exit code 2 where one is broken. Reads files only; what the site's Slurm itself takes, `td3-hpc preflight` asks.

    Examples: td3-hpc cluster check lumi, td3-hpc cluster check mysite --site mahti -c walltime=1-00
    """
    from rich.console import Console

    from td3_hpc.launch.preflight import as_lines, as_table, mistakes
    from td3_hpc.launch.site_rules import check_profile

    known, judgements = check_profile(profile, site, cluster_override or [])
    findings = [judgement.result for judgement in judgements]
    found = len(mistakes(findings))
    if as_json:
        checks = [judgement.as_json() for judgement in judgements]
        typer.echo(json.dumps({"profile": profile, "site": known.name, "mistakes": found, "checks": checks}, indent=2))
    else:
        title, console = f"{profile}, by what {known.name} says", Console()
        if console.is_terminal:
            console.print(as_table(findings, title))
        else:
            typer.echo("\n".join([title, *as_lines(findings)]))
        broken = f"{found} mistake{'' if found == 1 else 's'}"
        typer.echo(f"{broken}, {len(known.unverified)} keys unverified; none of this was tried there")
    raise typer.Exit(ExitCode.BAD_INPUT if found else ExitCode.DONE)
