"""The server: sockets, the clock of asynchronous mode, and how it starts and ends."""

import asyncio
import errno
import os
import signal
import sys
from pathlib import Path

import cv2

from td3_hpc import CARLA_VERSION
from td3_hpc.errors import BadInput
from td3_hpc.simulator.connection import RpcConnection
from td3_hpc.simulator.rpc import CallTable
from td3_hpc.simulator.rpc.service import Service
from td3_hpc.simulator.settings import EpisodeSettings
from td3_hpc.simulator.streams import Streams, StreamSession
from td3_hpc.simulator.towns import load_town
from td3_hpc.simulator.world import World


def serve(host: str, port: int, town: str, maps: Path | None, settings: EpisodeSettings) -> None:
    """Serve until SIGTERM or SIGINT, and end the process with status 0. Prints one line when ready. Raises BadInput for
    a bad town or a port in use."""
    cv2.setNumThreads(1)  # pictures are small; threads would only add latency
    asyncio.run(_serve(host, port, town, maps, settings))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a thread that still builds the scene would abort the process at the interpreter's end


async def _serve(host: str, port: int, town: str, maps: Path | None, settings: EpisodeSettings) -> None:
    here = load_town(town, maps)
    for line in here.healed:
        print(f"town {here.name}, as served: {line}", file=sys.stderr, flush=True)
    world = World(here, Streams(), settings, numbers_anew=settings.synchronous_mode)
    table = CallTable(Service(world, port, maps))
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        rpc = await loop.create_server(lambda: RpcConnection(table.answer, world), host, port)
        streams = await loop.create_server(lambda: StreamSession(world.streams), host, port + 1)
    except OSError as error:
        remedy = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
        raise BadInput(
            f"port {port} or {port + 1} of {host} cannot be used ({error.strerror}); choose another {remedy}"
        ) from None
    clock = asyncio.create_task(_clock(world, stop))
    print(
        f"td3-hpc simulator ready: CARLA {CARLA_VERSION} protocol on {host}:{port}, town {world.town.name}", flush=True
    )
    world.prepare_pictures()
    await stop.wait()
    rpc.close()
    streams.close()
    clock.cancel()
    await asyncio.gather(clock, return_exceptions=True)
    failure = None if clock.cancelled() else clock.exception()
    if failure is not None:
        raise failure


async def _clock(world: World, stop: asyncio.Event) -> None:
    """Steps of asynchronous mode, at the pace of real time; a server that is late does not catch up."""
    loop = asyncio.get_running_loop()
    try:
        due = loop.time()
        while True:
            due = max(due + world.settings.step_seconds, loop.time())
            await asyncio.sleep(due - loop.time())
            if not world.settings.synchronous_mode:
                world.step()
                world.draw()
    finally:
        stop.set()  # a server whose clock has failed must not seem alive
