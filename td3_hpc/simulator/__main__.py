"""`python -m td3_hpc.simulator`: the embedded simulator in the foreground."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from td3_hpc.errors import UserError


def simulator(
    port: Annotated[int, typer.Option(help="RPC port; the one after it serves the streams.", min=1, max=65532)] = 2000,
    town: Annotated[str, typer.Option(help="Name of a town, or an OpenDRIVE file.")] = "Brookfield",
    maps: Annotated[
        Path | None, typer.Option(help="Folder of OpenDRIVE files, or of a CARLA installation, to offer by name.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; anything but loopback is open to others.")
    ] = "127.0.0.1",
    synchronous: Annotated[
        bool,
        typer.Option(
            "--synchronous",
            help="Start with time standing still, in steps of 0.05 s, until a client ticks; each world that is loaded "
            "numbers its actors from 1.",
        ),
    ] = False,
) -> None:
    """Serve the embedded simulator: CARLA 0.9.16's protocol, headless, for the unmodified client.

    Prints one line when it is ready, and serves any number of clients until Ctrl-C or SIGTERM. Its time runs by itself,
    20 steps a second, until a client sets synchronous mode. Towns of its own: Brookfield and Hamlet.

    Examples:

      td3-hpc simulator --port 2000 --town Brookfield

      td3-hpc simulator --maps /opt/carla-0.9.16 --town Town03

      td3-hpc simulator --town my-roads.xodr
    """
    from td3_hpc.simulator.server import serve  # only now: help must not load the town or the client
    from td3_hpc.simulator.settings import FRESH, SYNCHRONOUS

    serve(host, port, town, maps, SYNCHRONOUS if synchronous else FRESH)


if __name__ == "__main__":
    try:
        typer.run(simulator)
    except UserError as error:
        print(f"td3-hpc: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
