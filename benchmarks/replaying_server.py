"""A stand-in for the simulator: it computes nothing, and answers a client that asks the same with recorded messages.

`python -m benchmarks.replaying_server --port P --town T --record FILE --recorded-port R`: what the client and its
Traffic Manager take of a tick by themselves.
"""

import argparse
import asyncio
import struct
from collections import defaultdict, deque
from pathlib import Path

import msgpack

from benchmarks.recording_server import Record
from td3_hpc.simulator import wire

_PICTURES = {int(kind) for kind in (wire.SensorType.RGB, wire.SensorType.DEPTH, wire.SensorType.SEMANTIC)}
_Messages = list[tuple[int, bytes]]


class _Replay:
    """The n-th call of a function gets its n-th answer; streams go with the answer that they came with."""

    def __init__(self, record: Record, recorded_port: int, port: int) -> None:
        self.answers: dict[str, deque[tuple[_Messages, bytes, _Messages]]] = defaultdict(deque)
        self.kept: dict[int, deque[bytes]] = defaultdict(deque)
        self.early: dict[int, list[bytes]] = defaultdict(list)
        self.sessions: dict[int, asyncio.WriteTransport] = {}
        before: _Messages = []
        after: _Messages = []
        for kind, key, data in record.sent:
            data = data.replace(wire.token(0, recorded_port + 1)[4:], wire.token(0, port + 1)[4:])
            if kind == "answer":
                _, number, failure, result = msgpack.unpackb(data)
                after = []
                rest = msgpack.packb(failure) + msgpack.packb(result)
                self.answers[record.names[key, number]].append((before, rest, after))
                before = []
            elif kind == "kept":
                self.kept[key].append(data)
            else:
                (sensor,) = struct.unpack_from("<Q", data, 4)
                (after if sensor in _PICTURES else before).append((key, data))

    def answer(self, name: str, number: int, transport: asyncio.WriteTransport) -> None:
        waiting = self.answers[name]
        before, rest, after = waiting.popleft()
        if not waiting:
            waiting.append(([], rest, []))  # one more than was recorded: the same again, without a step
        self._send(before)
        transport.write(b"\x94\x01" + msgpack.packb(number) + rest)
        self._send(after)

    def _send(self, messages: _Messages) -> None:
        for key, data in messages:
            if key in self.sessions:
                self.sessions[key].write(data)
            else:  # the simulator waits for a client that is about to subscribe
                self.early[key].append(data)


class _Rpc(asyncio.Protocol):
    def __init__(self, replay: _Replay) -> None:
        self._replay, self._requests = replay, msgpack.Unpacker(raw=False, strict_map_key=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._requests.feed(data)
        for message in self._requests:
            if len(message) == 4:
                self._replay.answer(message[2], message[1], self._transport)


class _Stream(asyncio.Protocol):
    def __init__(self, replay: _Replay) -> None:
        self._replay = replay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        (key,) = struct.unpack("<I", data)
        self._replay.sessions[key] = self._transport
        if self._replay.kept[key]:
            self._transport.write(self._replay.kept[key].popleft())
        for message in self._replay.early.pop(key, []):
            self._transport.write(message)


async def _serve(port: int, replay: _Replay) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: _Rpc(replay), "127.0.0.1", port)
    await loop.create_server(lambda: _Stream(replay), "127.0.0.1", port + 1)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--town")
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--recorded-port", type=int, required=True)
    arguments = parser.parse_args()
    recorded = Record.read(arguments.record)
    asyncio.run(_serve(arguments.port, _Replay(recorded, arguments.recorded_port, arguments.port)))
