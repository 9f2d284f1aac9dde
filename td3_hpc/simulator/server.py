"""The server: sockets, the clock of asynchronous mode, and how it starts and ends."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import cv2

from td3_hpc import CARLA_VERSION
from td3_hpc.errors import BadInput
from td3_hpc.simulator.connection import RpcConnection, UnknownFunction
from td3_hpc.simulator.rpc import table
from td3_hpc.simulator.rpc.service import Service
from td3_hpc.simulator.streams import Streams, StreamSession
from td3_hpc.simulator.towns import load_town
from td3_hpc.simulator.world import World


def serve(host: str, port: int, town: str, maps: Path | None) -> None:
    """Serve until SIGTERM or SIGINT. Prints one line when ready. Raises BadInput for a bad town or a port in use."""
    cv2.setNumThreads(1)  # pictures are small; threads would only add latency
    asyncio.run(_serve(host, port, town, maps))


async def _serve(host: str, port: int, town: str, maps: Path | None) -> None:
    world = World(load_town(town, maps), Streams())
    functions = table(Service(world, host, port, maps))
    unknown: set[str] = set()

    def dispatch(name: str, arguments: list[Any]) -> Any:
        if name not in functions:
            if name not in unknown:
                unknown.add(name)
                print(f"unknown function {name}, called with {len(arguments)} arguments", file=sys.stderr, flush=True)
            raise UnknownFunction(name)
        return functions[name](*arguments)

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        rpc = await loop.create_server(lambda: RpcConnection(dispatch), host, port)
        streams = await loop.create_server(lambda: StreamSession(world.streams), host, port + 1)
    except OSError as error:
        raise BadInput(
            f"port {port} or {port + 1} of {host} cannot be used ({error.strerror}); choose another --port"
        ) from None
    print(
        f"td3-hpc simulator ready: CARLA {CARLA_VERSION} protocol on {host}:{port}, town {world.town.name}", flush=True
    )
    clock = asyncio.create_task(_clock(world))
    await stop.wait()
    clock.cancel()
    rpc.close()
    streams.close()


async def _clock(world: World) -> None:
    """Steps of asynchronous mode, at the pace of real time."""
    while True:
        await asyncio.sleep(world.step_seconds)
        if not world.synchronous:
            world.step()
