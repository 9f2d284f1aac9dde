"""The embedded simulator, with every message that it sends written down, and every call that it answers.

`python -m benchmarks.recording_server --port P --town T --to FILE` serves until SIGTERM, and then writes the file.
"""

import argparse
import asyncio
import contextlib
import signal
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import msgpack

from td3_hpc.simulator.connection import RpcConnection
from td3_hpc.simulator.rpc import CallTable
from td3_hpc.simulator.rpc.service import Service
from td3_hpc.simulator.settings import SYNCHRONOUS
from td3_hpc.simulator.streams import Streams, StreamSession
from td3_hpc.simulator.towns import load_town
from td3_hpc.simulator.world import World


@dataclass
class Record:
    """Messages in the order in which they were sent."""

    names: dict[tuple[int, int], str] = field(default_factory=dict)
    """Which function each call asked for, by connection and call number."""
    sent: list[tuple[str, int, bytes]] = field(default_factory=list)
    """("answer", connection, message), ("stream", stream id, message), or ("kept", stream id, message) for one that a
    subscriber gets when it comes."""
    asked: list[tuple[str, list[Any]]] = field(default_factory=list)
    """Function and arguments of each call in the order in which they were answered; ("", [stream id]) where a client
    subscribed."""

    def write(self, path: Path) -> None:
        """As msgpack."""
        names = [[*key, name] for key, name in self.names.items()]
        path.write_bytes(msgpack.packb([names, self.sent, self.asked]))

    @staticmethod
    def read(path: Path) -> "Record":
        """What `write` wrote."""
        names, sent, asked = msgpack.unpackb(path.read_bytes(), strict_map_key=False)
        return Record(
            {(a, b): name for a, b, name in names},
            [(kind, key, data) for kind, key, data in sent],
            [(name, arguments) for name, arguments in asked],
        )


class _Tap(asyncio.WriteTransport):
    """A transport that also writes down what goes through it."""

    def __init__(self, transport: asyncio.WriteTransport, record: Record, kind: str, key: int) -> None:
        super().__init__()
        self._transport, self._record, self.kind, self.key = transport, record, kind, key

    def write(self, data: Any) -> None:
        self._record.sent.append((self.kind, self.key, bytes(data)))
        self._transport.write(data)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def abort(self) -> None:
        self._transport.abort()


class _Rpc(RpcConnection):
    count = 0

    def __init__(self, record: Record, table: CallTable, world: World) -> None:
        super().__init__(self._answered, world)
        self._table = table
        self._record, self._number = record, _Rpc.count
        self._requests = msgpack.Unpacker(raw=False, strict_map_key=False)
        _Rpc.count += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        super().connection_made(_Tap(transport, self._record, "answer", self._number))

    def data_received(self, data: bytes) -> None:
        self._requests.feed(data)
        for message in self._requests:
            if len(message) == 4:
                self._record.names[self._number, message[1]] = message[2]
        super().data_received(data)

    def _answered(self, name: str, arguments: list[Any]) -> Any:
        self._record.asked.append((name, arguments))
        return self._table.answer(name, arguments)


class _Stream(StreamSession):
    def __init__(self, record: Record, streams: Streams) -> None:
        super().__init__(streams)
        self._record = record
        self._tap: _Tap | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._tap = _Tap(transport, self._record, "kept", 0)
        super().connection_made(self._tap)

    def data_received(self, data: bytes) -> None:
        assert self._tap is not None
        if len(data) == 4 and self._tap.key == 0:
            (self._tap.key,) = struct.unpack("<I", data)
            self._record.asked.append(("", [self._tap.key]))
        super().data_received(data)
        self._tap.kind = "stream"


async def _serve(port: int, town: str, record: Record) -> None:
    world = World(load_town(town, None), Streams(), SYNCHRONOUS)
    table = CallTable(Service(world, port, None))
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await loop.create_server(lambda: _Rpc(record, table, world), "127.0.0.1", port)
    await loop.create_server(lambda: _Stream(record, world.streams), "127.0.0.1", port + 1)
    print("ready", flush=True)
    await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--town", required=True)
    parser.add_argument("--to", type=Path, required=True)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    everything = Record()
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(arguments.port, arguments.town, everything))
    everything.write(arguments.to)
