"""Streams: what a client subscribes to (the world's state, a sensor's data), one TCP connection each."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

MAX_WAITING_BYTES = 128 << 20
"""A subscriber that lets more than this wait does not read; it is dropped, for it would take all memory."""


class Streams:
    """All streams of a server and their subscribers."""

    def __init__(self) -> None:
        self._sessions: dict[int, list[StreamSession]] = {}
        self._last: dict[int, bytes] = {}
        self._last_id = 0
        self._awaited: set[int] = set()
        self.when_complete: list[Callable[[], None]] = []
        """Called once, when nobody is awaited any more."""
        self.lossless = True
        """In asynchronous mode not: a subscriber that still receives the last message misses this one."""

    def create(self) -> int:
        """A new stream's id."""
        self._last_id += 1
        self._sessions[self._last_id] = []
        return self._last_id

    def destroy(self, stream_id: int) -> None:
        """Forget a stream. Its connections stay open and silent: a client that is cut off reconnects for ever."""
        self._sessions.pop(stream_id, None)
        self._awaited.discard(stream_id)
        self._last.pop(stream_id, None)

    @property
    def awaits_subscriber(self) -> bool:
        """Whether a client has asked where to subscribe and has not come yet: a step now would pass it by."""
        return bool(self._awaited)

    def await_subscriber(self, stream_id: int) -> None:
        if stream_id in self._sessions:
            self._awaited.add(stream_id)

    def stop_awaiting(self) -> None:
        """Nobody is awaited any more."""
        self._awaited.clear()
        waiting, self.when_complete = self.when_complete, []
        for proceed in waiting:
            proceed()

    def has_subscribers(self, stream_id: int) -> bool:
        return bool(self._sessions.get(stream_id))

    def keep(self, stream_id: int, payload: bytes) -> None:
        """A message for those that subscribe before another one is kept."""
        self._last[stream_id] = _message(payload)

    def send(self, stream_id: int, payload: bytes) -> None:
        """Send a message to every subscriber."""
        message = _message(payload)
        for session in tuple(self._sessions.get(stream_id, ())):
            session.send(message, self.lossless)

    def subscribe(self, stream_id: int, session: "StreamSession") -> None:
        """A stream that does not exist, or no longer, is silent."""
        if stream_id in self._sessions:
            self._sessions[stream_id].append(session)
            if stream_id in self._last:
                session.send(self._last[stream_id], lossless=True)
        self._awaited.discard(stream_id)
        if not self._awaited:
            self.stop_awaiting()

    def unsubscribe(self, stream_id: int, session: "StreamSession") -> None:
        sessions = self._sessions.get(stream_id, [])
        if session in sessions:
            sessions.remove(session)


def _message(payload: bytes) -> bytes:
    return struct.pack("<I", len(payload)) + payload


class StreamSession(asyncio.Protocol):
    """One connection to the streaming port; the client sends the stream's id, and nothing else ever."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._received = b""
        self._stream_id: int | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        with contextlib.suppress(OSError):  # the client may have gone
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self._stream_id is not None:
            return
        self._received = (self._received + data)[:4]
        if len(self._received) == 4:
            (self._stream_id,) = struct.unpack("<I", self._received)
            self._streams.subscribe(self._stream_id, self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    def send(self, message: bytes, lossless: bool) -> None:
        """Queue a message; where a message still waits and losses are allowed, this one is lost."""
        assert self._transport is not None
        waiting = self._transport.get_write_buffer_size()
        if waiting > MAX_WAITING_BYTES:
            self._leave()
            self._transport.abort()
        elif lossless or waiting == 0:
            self._transport.write(message)

    def _leave(self) -> None:
        if self._stream_id is not None:
            self._streams.unsubscribe(self._stream_id, self)
