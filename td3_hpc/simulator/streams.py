"""Streams: what a client subscribes to (the world's state, a sensor's data), one TCP connection each."""

import asyncio
import contextlib
import socket
import struct

#: A subscriber that has more than this waiting does not read; it is dropped, for it would take all memory.
MAX_WAITING_BYTES = 256 << 20


class Streams:
    """All streams of a server and their subscribers."""

    def __init__(self) -> None:
        self._sessions: dict[int, set[StreamSession]] = {}
        self._last: dict[int, bytes] = {}
        self._next_id = 1
        self.synchronous = True
        """In asynchronous mode a subscriber that still receives the last message misses this one."""

    def create(self) -> int:
        """A new stream's id."""
        stream_id, self._next_id = self._next_id, self._next_id + 1
        self._sessions[stream_id] = set()
        return stream_id

    def destroy(self, stream_id: int) -> None:
        """Forget a stream. Its connections stay open and silent: a client whose stream is closed reconnects for ever."""
        self._sessions.pop(stream_id, None)
        self._last.pop(stream_id, None)

    def has_subscribers(self, stream_id: int) -> bool:
        return bool(self._sessions.get(stream_id))

    def send(self, stream_id: int, payload: bytes, keep: bool = False) -> None:
        """Send a message to every subscriber; with `keep` also to those that come before the next one."""
        message = struct.pack("<I", len(payload)) + payload
        if keep:
            self._last[stream_id] = message
        for session in tuple(self._sessions.get(stream_id, ())):
            session.write(message, self.synchronous)

    def subscribe(self, stream_id: int, session: "StreamSession") -> None:
        if stream_id in self._sessions:
            self._sessions[stream_id].add(session)
            if stream_id in self._last:
                session.write(self._last[stream_id], self.synchronous)

    def unsubscribe(self, session: "StreamSession") -> None:
        for sessions in self._sessions.values():
            sessions.discard(session)


class StreamSession(asyncio.Protocol):
    """One connection to the streaming port; the client sends the stream's id, and nothing else ever."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._received = b""
        self._subscribed = False
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self._subscribed:
            return
        self._received += data
        if len(self._received) >= 4:
            self._subscribed = True
            self._streams.subscribe(struct.unpack("<I", self._received[:4])[0], self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._streams.unsubscribe(self)

    def write(self, message: bytes, synchronous: bool) -> None:
        assert self._transport is not None
        waiting = self._transport.get_write_buffer_size()
        if waiting > MAX_WAITING_BYTES:
            self._streams.unsubscribe(self)
            self._transport.abort()
        elif synchronous or waiting == 0:
            self._transport.write(message)
