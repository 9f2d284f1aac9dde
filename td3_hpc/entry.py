"""The entry point of `td3-hpc`: all commands under one name; an error of the user's is one line on standard error."""

import functools
import io
import sys
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from td3_hpc.cli import app
from td3_hpc.errors import ExitCode, UserError, file_error

CHECKPOINTS = """Look at, verify, compare and thin out checkpoints.

Example: td3-hpc checkpoint inspect checkpoints/1k
"""
#: Modules of the extra `export`; every other one that a bare installation lacks is in the extra `train`.
EXPORT_MODULES = ("onnx", "onnxruntime", "onnxscript", "safetensors")


class _CheckpointCommands(TyperGroup):
    """Those of `checkpoint`, whose room loads HDF5: only when one of them is asked for."""

    @functools.cached_property
    def _loaded(self) -> Any:
        from td3_hpc.checkpoint.cli import app as checkpoint

        return get_command(checkpoint)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self._loaded.list_commands(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return self._loaded.get_command(ctx, cmd_name)


def _mount() -> None:
    """Add the commands that live in their own rooms; importing them is quick, none loads PyTorch or the client."""
    from td3_hpc.drills.cli import drill
    from td3_hpc.init import init
    from td3_hpc.launch.commands.campaign import app as campaign
    from td3_hpc.launch.commands.checks import doctor, preflight
    from td3_hpc.launch.commands.cluster import cluster
    from td3_hpc.launch.commands.runs import cancel, logs, status
    from td3_hpc.launch.commands.submit import container, submit
    from td3_hpc.simulator.__main__ import simulator

    checkpoint = typer.Typer(cls=_CheckpointCommands, no_args_is_help=True, help=CHECKPOINTS)
    app.add_typer(checkpoint, name="checkpoint")
    app.command()(init)
    app.command()(simulator)
    app.command()(preflight)
    app.command()(doctor)
    app.command()(drill)
    app.command()(submit)
    app.add_typer(container, name="container")
    app.add_typer(campaign, name="campaign")
    app.add_typer(cluster, name="cluster")
    for command in (status, logs, cancel):
        app.command()(command)


def _missing(module: str) -> str:
    """What to install for a module, in one line."""
    extra = "export" if module.partition(".")[0] in EXPORT_MODULES else "train"
    return (
        f"this command needs {module.partition('.')[0]}, which is not installed: `td3-hpc constraints > "
        f"constraints.txt`, then `pip install -c constraints.txt 'WHEEL[{extra}]'`"
    )


def main() -> None:
    """Entry point of `td3-hpc`: runs a command; an error of the user's is one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")  # a terminal may lack a letter
    try:
        _mount()
        app()
    except UserError as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"td3-hpc: {error}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if "--debug" in sys.argv or not error.name or error.name.startswith("td3_hpc"):
            raise
        typer.echo(f"td3-hpc: {_missing(error.name)}", err=True)
        sys.exit(ExitCode.FAILED)
    except KeyboardInterrupt:  # before a command was far enough to have its own answer
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone, as in `td3-hpc ... | head`
        sys.stderr.close()
        sys.exit(ExitCode.FAILED)
    except OSError as error:
        if "--debug" in sys.argv or not isinstance(error.filename, str):
            raise
        told = file_error(error, f"{error.filename}: {error.strerror}; check the permissions and the space there")
        typer.echo(f"td3-hpc: {told}", err=True)
        sys.exit(told.exit_code)
