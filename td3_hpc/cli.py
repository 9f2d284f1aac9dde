"""The command line: `td3-hpc COMMAND`. Each command imports what it needs only when it runs, so that help is quick."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from td3_hpc import __version__
from td3_hpc.errors import BadInput, ExitCode, UserError
from td3_hpc.lasting_output import survive_lost_output
from td3_hpc.options import AsJson, Override, StageFile, print_json, stage_file, suite_file

app = typer.Typer(
    name="td3-hpc",
    help="Take a TD3 driving agent from a 1K-step validation run to a 1M-step run on a cluster.\n\n"
    "Example: `td3-hpc init my-project`, then there `td3-hpc train 1k`",
    epilog="Exit codes: 0 done, 1 failed, 2 bad input, 3 NO-GO, 75 preempted with a checkpoint saved.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"td3-hpc {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command; they stand before its name."""


@app.command()
def train(
    config: StageFile,
    run_dir: Annotated[
        Path | None, typer.Option(help="Where the run lives.", show_default="checkpoints/<name>")
    ] = None,
    override: Override = None,
) -> None:
    """Run one stage in this process, or continue it where the run directory holds a checkpoint.

    SIGINT (Ctrl-C), SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 finish the step, save a checkpoint and exit 75; the same
    command then continues as if nothing had happened. After the last step the run is judged: exit 0 for GO, 3 for
    NO-GO.

    Example: td3-hpc train 1k --run-dir checkpoints/second -o seed=2 -o agent.tau=0.01
    """
    from td3_hpc.campaign.directory import place_of
    from td3_hpc.gates.verdict import read_gates
    from td3_hpc.record import RECORD_FILE
    from td3_hpc.training.evaluation.picture import PictureTest
    from td3_hpc.training.run import default_run_dir, train

    survive_lost_output()
    directory = run_dir or default_run_dir(config, override or [])
    place = place_of(directory.absolute())
    gate = read_gates(directory).picture_matters  # a mistake in the gates is told now, not after the last step
    picture = None
    if gate:
        picture = PictureTest(gate.from_step, gate.limit, gate.severity == "blocking")
    try:
        code = train(config, directory, override or [], picture, place[0].own_files if place else ())
    except UserError as error:
        if error.exit_code == ExitCode.FAILED and (directory / RECORD_FILE).exists():
            from td3_hpc.report.run_report import write_report

            with contextlib.suppress(UserError):  # the run's own error is the one to show
                typer.echo(f"report: {write_report(directory)}")
        raise
    if code == ExitCode.PREEMPTED:  # what stops a run does not wait for a report
        raise typer.Exit(code)

    from td3_hpc.gates.verdict import final_verdict
    from td3_hpc.report.campaign_report import write_campaign_report
    from td3_hpc.report.run_report import write_report

    verdict = final_verdict(directory)
    typer.echo(f"{verdict.verdict}: {verdict.reason}")
    typer.echo(f"report: {write_report(directory)}")
    if place is not None:
        with contextlib.suppress(UserError):  # the campaign's page is no part of the stage
            write_campaign_report(place[0].root)
    raise typer.Exit(verdict.exit_code)


@app.command()
def report(
    run: Annotated[
        Path, typer.Argument(help="A run directory, finished or not, or a campaign's directory.", show_default=False)
    ],
    compare: Annotated[
        Path | None, typer.Option(help="The run before: what was resolved, what is new.", show_default=False)
    ] = None,
) -> None:
    """Write report.md, report.html and figures from the record. What is missing or damaged is said in the report.

    Examples: td3-hpc report checkpoints/1k, td3-hpc report checkpoints/second --compare checkpoints/first
    """
    from td3_hpc.report.campaign_report import is_campaign, write_campaign_report
    from td3_hpc.report.run_report import write_report

    if compare is not None and is_campaign(run):
        raise BadInput(f"{run} is a campaign: --compare is for runs, such as {run}/<stage>/seed-<n>")
    written = write_campaign_report(run) if is_campaign(run) else write_report(run, compare)
    typer.echo(f"report: {written}")


@app.command()
def town(
    name: Annotated[
        str, typer.Argument(help="An OpenDRIVE file, or the name of a town.", show_default=False, metavar="TOWN")
    ],
    maps: Annotated[
        Path | None, typer.Option(help="Folder of OpenDRIVE files, or of a CARLA installation, to find the name in.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the town into this .png or .svg file.", show_default=False)
    ] = None,
    min_length: Annotated[float, typer.Option(help="Shortest route, metres.", min=1)] = 150.0,
    max_length: Annotated[float, typer.Option(help="Longest route, metres.", min=1)] = 400.0,
    as_json: AsJson = False,
) -> None:
    """Say what a town holds: roads, lanes, lights, signs, limits, routes, what was healed in it and what is missing.

    Exit code 2, and one line that says what is wrong and what to do, where it cannot be driven in.

    Example: td3-hpc town my-roads.xodr --picture my-roads.png
    """
    from td3_hpc.report.town_facts import town_facts
    from td3_hpc.simulator.towns import load_town

    if max_length < min_length:
        raise BadInput(f"--max-length {max_length:g} is below --min-length {min_length:g}")
    loaded = load_town(name, maps)
    facts, routes = town_facts(loaded, min_length, max_length)
    if as_json:
        print_json({"town": loaded.name, "facts": [{"question": asked, "answer": said} for asked, said in facts]})
    else:
        typer.echo(f"town {loaded.name}")
        for question, answer in facts:
            typer.echo(f"  {question:<14} {answer}")
    if picture is not None:
        from td3_hpc.report.town_picture import draw_town

        draw_town(loaded, routes, picture)
        typer.echo(f"picture: {picture}", err=as_json)


@app.command()
def evaluate(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run directories, or state/checkpoint-*.json files; a stage's file or name for the other policies.",
            show_default=False,
            metavar="RUN...",
        ),
    ],
    policy: Annotated[
        Literal["checkpoint", "untrained", "constant", "random", "pure-pursuit", "traffic-manager", "true-distances"],
        typer.Option(
            help="Who drives. The last five show what the figures are worth; constant never steers: the best of ten "
            "throttles, 0.1 to 1; true-distances is pure pursuit that is told how far ahead the way is taken."
        ),
    ] = "checkpoint",
    best: Annotated[
        bool, typer.Option("--best", help="The run's best checkpoint by evaluation return, not the newest one.")
    ] = False,
    episodes: Annotated[
        int | None, typer.Option(min=1, help="Whole episodes of each run.", show_default="each held-out route once")
    ] = None,
    first_route: Annotated[int, typer.Option(min=0, help="The held-out route to begin with.")] = 0,
    suite: Annotated[
        Path | None,
        typer.Option(
            help="Drive a suite's towns and situations instead: its YAML file, or its name, as must-see.",
            show_default=False,
            callback=suite_file,
        ),
    ] = None,
    without: Annotated[
        str | None,
        typer.Option(metavar="ENTRY", help="Hide an entry of the observation from the policy, as image or vector."),
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(help="Film the first run's first episode into this .gif or .mp4 file.", show_default=False),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write figures and episodes here, too.", show_default=False)
    ] = None,
    override: Override = None,
) -> None:
    """Drive a policy, without noise, on the held-out routes, and print what came of it.

    Example: td3-hpc evaluate checkpoints/1k --episodes 3 --video drive.gif

    Several seeds, each one's best checkpoint: td3-hpc evaluate checkpoints/learn/5k/seed-* --best

    Another town: td3-hpc evaluate checkpoints/1k -o environment.town=Town01 -o simulator.maps=MAPS

    For scale: td3-hpc evaluate 1k --policy random

    Where one must see: td3-hpc evaluate checkpoints/1k --suite must-see --without image
    """
    from td3_hpc.checkpoint.retention import best_checkpoint
    from td3_hpc.training.evaluation.command import Drive
    from td3_hpc.training.evaluation.printout import print_drives, print_suite

    if suite is not None and (episodes is not None or first_route):
        raise BadInput("--suite: it says itself which episodes are driven; leave --episodes and --first-route away")
    if best and policy != "checkpoint":
        raise BadInput(f"--best: a {policy} policy has no checkpoint")
    if policy != "checkpoint":
        runs = [stage_file(run) or run for run in runs]
    drives = [
        Drive(
            best_checkpoint(run) if best else run,
            policy,
            without,
            episodes,
            first_route,
            None if number else video,
            override or [],
        )
        for number, run in enumerate(runs)
    ]
    if suite is not None:
        print_suite(suite, drives, json_file)
    else:
        print_drives(drives, json_file)


@app.command()
def pretrain(
    stage: StageFile,
    output: Annotated[Path, typer.Option("--output", "-O", help="The file to write.", show_default=False)],
    episodes: Annotated[int, typer.Option(min=2, help="Episodes to drive.")] = 160,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over what was seen.")] = 15,
    override: Override = None,
) -> None:
    """Train a CNN beforehand to say how near what is ahead is: `agent.pretrained` begins with it.

    Drives episodes of the stage, whose reward must heed hazards, with a scripted driver and noise, and fits the encoder
    to its pictures. What is done is kept in OUTPUT.drives; the same command goes on from there.

    Example: td3-hpc pretrain see -O distances.h5
    """
    from td3_hpc.pretraining.command import pretrain

    for name, value in pretrain(stage, output, episodes, epochs, override or []).items():
        typer.echo(f"{name}: {value:.2f}")
    typer.echo(f"{output}: written; use it with -o agent.encoder=distances -o agent.pretrained={output.absolute()}")


@app.command()
def export(
    run: Annotated[
        Path, typer.Argument(help="A run directory, or a state/checkpoint-*.json file.", show_default=False)
    ],
    best: Annotated[
        bool, typer.Option("--best", help="The run's best checkpoint by evaluation return, not the newest one.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-O", help="The folder to write to.", show_default="RUN/export")
    ] = None,
) -> None:
    """Write a run's policy as ONNX and as safetensors, with a model card, to be used without this package.

    The file is tried on stored observations before it is written. `td3_hpc.load_policy(FOLDER)` loads it again, and
    needs neither CARLA nor the configuration.

    Example: td3-hpc export checkpoints/5k --best -O my-policy
    """
    from td3_hpc.checkpoint.retention import best_checkpoint
    from td3_hpc.export.command import export

    folder = output or (run if run.is_dir() else run.parent.parent) / "export"
    for path in export(best_checkpoint(run) if best else run, folder):
        typer.echo(f"{path}  {path.stat().st_size:,} bytes")


@app.command()
def constraints() -> None:
    """Print the exact versions of all packages that this version was tested with, for `pip install -c`.

    Example: td3-hpc constraints > constraints.txt
    """
    from td3_hpc.shipped import shipped

    typer.echo(shipped("constraints.txt").read_text(encoding="utf-8"), nl=False)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def testcluster(context: typer.Context) -> None:
    """A real Slurm on this Debian machine, to try jobs out: up, down, status, env, apptainer, kill-node, start-node.

    Example: td3-hpc testcluster up
    """
    import subprocess

    from td3_hpc.shipped import shipped

    program = [sys.executable, str(shipped("slurm/testcluster")), *(context.args or ["--help"])]
    raise typer.Exit(subprocess.run(program).returncode)
