"""One client's RPC connection: msgpack-rpc, raw objects back to back (https://github.com/rpclib/rpclib)."""

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any

import msgpack

REQUEST, RESPONSE, NOTIFY = 0, 1, 2
#: Largest message taken; an OpenDRIVE file of a large town has a few megabytes.
MAX_MESSAGE_BYTES = 64 << 20

Dispatch = Callable[[str, list[Any]], Any]


class UnknownFunction(Exception):
    """The client called something that this server does not have."""


class RpcConnection(asyncio.Protocol):
    """Decodes requests, calls `dispatch(name, arguments)` and answers. A malformed message ends this connection only."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=MAX_MESSAGE_BYTES)
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            self._unpacker.feed(data)
            for message in self._unpacker:
                self._handle(message)
        except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
            print(f"closing a connection: malformed message ({error})", file=sys.stderr, flush=True)
            self._transport.abort()

    def _handle(self, message: Any) -> None:
        if not isinstance(message, list) or not message:
            raise ValueError("not a msgpack-rpc message")
        if message[0] == REQUEST and len(message) == 4:
            _, number, name, arguments = message
        elif message[0] == NOTIFY and len(message) == 3:
            number, (_, name, arguments) = None, message
        else:
            raise ValueError("neither a request nor a notification")
        if not isinstance(name, str) or not isinstance(arguments, list):
            raise ValueError("a request needs a name and a list of arguments")
        failure, result = None, None
        try:
            result = self._dispatch(name, arguments[1:])  # the first tells whether the client waits
        except UnknownFunction:
            failure = f"rpclib: server could not find function '{name}' with argument count {len(arguments)}."
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            print(f"{name}: {error!r}", file=sys.stderr, flush=True)
            failure = f"rpclib: function '{name}' was called with wrong arguments: {error!r}"
        if number is not None and self._transport is not None:
            self._transport.write(msgpack.packb([RESPONSE, number, failure, result]))
