"""One client's RPC connection: msgpack-rpc, raw objects back to back (https://github.com/rpclib/rpclib)."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgpack

from td3_hpc.simulator.traffic_manager import TICKS, EpisodeChange, LostWakeUp, TrafficManagerCycle
from td3_hpc.simulator.world import World

REQUEST, RESPONSE, NOTIFY = 0, 1, 2
MAX_MESSAGE_BYTES = 64 << 20
"""Largest message taken; the OpenDRIVE text of a large town has a few megabytes."""
MAX_ITEMS = 1 << 20
"""Of a list or map in a message: msgpack makes room for as many as the message claims."""
MAX_WAITING_BYTES = 256 << 20
"""A client that lets more answers than this wait does not read; it is dropped."""
MALFORMED = (ValueError, TypeError, MemoryError, RecursionError, msgpack.UnpackException)

Dispatch = Callable[[str, list[Any]], Any]


class Failed(Exception):
    """An error of the call itself (rpclib's kind); the client shows only the function's name."""


class _Call(NamedTuple):
    number: int | None
    """None for a notification."""
    name: str
    arguments: list[Any]


class RpcConnection(asyncio.Protocol):
    """Takes requests, calls `dispatch(name, arguments)` and answers; a malformed message ends this connection only."""

    def __init__(self, dispatch: Dispatch, world: World) -> None:
        self._dispatch = dispatch
        self._world = world
        self._unpacker = msgpack.Unpacker(
            raw=False, strict_map_key=False, max_buffer_size=MAX_MESSAGE_BYTES, max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
        )  # fmt: skip
        self._transport: asyncio.WriteTransport | None = None
        self._traffic_manager = TrafficManagerCycle()
        self._lost_wake_up = LostWakeUp(self._take_postponed)
        self._episode_change = EpisodeChange[_Call](self._finish)
        self._postponed: list[_Call] = []
        self._held: _Call | None = None
        self._release_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        with contextlib.suppress(OSError):  # the client may have gone
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._held = None
        self._lost_wake_up.forget()
        self._episode_change.forget()
        if self._release_timer is not None:
            self._release_timer.cancel()

    def data_received(self, data: bytes) -> None:
        for call in self._calls(data):
            self._take(call)

    def _calls(self, data: bytes) -> Iterator[_Call]:
        assert self._transport is not None
        try:
            self._unpacker.feed(data)
            for message in self._unpacker:
                yield _call(message)
        except MALFORMED as error:
            print(f"closing a connection: malformed message ({error})", file=sys.stderr, flush=True)
            self._transport.abort()

    def _take(self, call: _Call) -> None:
        if self._lost_wake_up.is_waking:
            self._postponed.append(call)
            return
        if self._episode_change.takes(call, call.name, self._lost_wake_up.managers):
            return
        if self._held is None and self._must_wait(call.name):
            self._held = call
            self._world.streams.when_complete.append(self._proceed)
            self._release_in(_LONGEST_HOLD_S)
            return
        self._finish(call)

    def _finish(self, call: _Call) -> None:
        self._answer(call)
        self._traffic_manager.saw(call.name)
        self._lost_wake_up.saw(call.name)
        self._proceed()

    def _take_postponed(self) -> None:
        postponed, self._postponed = self._postponed, []
        for call in postponed:
            self._take(call)

    def _must_wait(self, name: str) -> bool:
        if name not in _HELD_BACK:
            return False
        return self._traffic_manager.is_running or (name == "tick_cue" and self._world.streams.awaits_subscriber)

    def _proceed(self) -> None:
        """Answer the call that is held back, if nothing is in its way any more."""
        if self._held is not None and not self._must_wait(self._held.name):
            self._release_in(_HELD_BACK[self._held.name])

    def _release_in(self, seconds: float) -> None:
        if self._release_timer is not None:
            self._release_timer.cancel()
        self._release_timer = asyncio.get_running_loop().call_later(seconds, self._release)

    def _release(self) -> None:
        call, self._held = self._held, None
        self._traffic_manager.is_running = False
        self._world.streams.stop_awaiting()
        if call is not None:
            self._answer(call)

    def _answer(self, call: _Call) -> None:
        self._respond(call)
        self._world.draw()  # before anything else is asked, but after the answer: who waits for it need not wait longer

    def _expect_cycle(self, call: _Call) -> None:
        """After a call that was obeyed: whether the thread of the client's Traffic Manager is to begin a cycle."""
        if call.name in TICKS and self._transport is not None:
            self._lost_wake_up.ticked(self._transport.get_extra_info("peername")[0])
        elif call.name == "add_traffic_manager_running":
            self._lost_wake_up.started(int(call.arguments[0][1]))
        elif call.name == "destroy_traffic_manager":
            self._lost_wake_up.ended(call.arguments[0])

    def _respond(self, call: _Call) -> None:
        failure, result = None, None
        try:
            result = self._dispatch(call.name, call.arguments)
            self._expect_cycle(call)
        except Failed as error:
            failure = str(error)
        transport = self._transport
        if call.number is None or transport is None or transport.is_closing():
            return
        transport.write(msgpack.packb([RESPONSE, call.number, failure, result]))
        if transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            transport.abort()


def _call(message: Any) -> _Call:
    """Raises ValueError where a message is neither a request nor a notification."""
    if isinstance(message, list) and len(message) == 4 and message[0] == REQUEST:
        _, number, name, arguments = message
        if not isinstance(number, int):
            raise ValueError("a request's id is not a number")
    elif isinstance(message, list) and len(message) == 3 and message[0] == NOTIFY:
        number, (_, name, arguments) = None, message
    else:
        raise ValueError("neither a request nor a notification")
    if not isinstance(name, str) or not isinstance(arguments, list):
        raise ValueError("a request needs a name and a list of arguments")
    return _Call(number, name, arguments[1:])  # the first tells whether the client waits


_LONGEST_HOLD_S = 0.5
_HELD_BACK = {"tick_cue": 0.0, "destroy_traffic_manager": 0.003}
"""Calls that wait for the client's Traffic Manager, and for how many seconds more; a step also waits for a client that
is about to subscribe to a stream."""
