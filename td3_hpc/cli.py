"""The command line: `td3-hpc COMMAND`."""

import typer

app = typer.Typer(name="td3-hpc", no_args_is_help=True, add_completion=False)


def main() -> None:
    """Entry point of `td3-hpc`."""
    app()
