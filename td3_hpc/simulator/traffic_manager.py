"""The Traffic Manager in a client: its cycle, seen from its calls, and its thread woken where the library loses that.

The client library runs one cycle of a synchronous Traffic Manager inside `world.tick()`, on a thread of its own. Its
`SynchronousTick` sets a flag and notifies that thread's condition variable without holding the mutex
(LibCarla/source/carla/trafficmanager/TrafficManagerLocal.cpp). Where the thread has just found the flag unset and does
not sleep yet, the notification is lost: the thread sleeps, `world.tick()` waits for its cycle, and no time-out applies.
The thread's last call before it sleeps is `get_episode_settings`, so a tick is held back until that one is answered;
this makes the loss rare. Where it happens all the same, a call on the Traffic Manager's own port notifies once more.
"""

import asyncio
import sys
from collections.abc import Callable

import msgpack

SILENT_FOR_S = 1.0
"""From a tick's answer on, and once more after the client has shown that it runs. The first call of a cycle comes
within milliseconds; a cycle too many would change what the cars do, so a client that is merely slow must have time."""
_LOOKS = 10
"""The time is counted in so many pieces: a pause of this process alone is no silence of the client."""
_CALL_TIMEOUT_S = 5.0
_LAST_PORT = 65535
_CYCLE_BEGINS = frozenset({"get_vehicle_light_states", "get_episode_settings"})
"""Calls of the Traffic Manager's thread only: the first while it drives, the second also while it has no vehicles."""


class TrafficManagerCycle:
    """Whether the Traffic Manager is between its commands and the end of its cycle."""

    def __init__(self) -> None:
        self.is_running = False
        self._read_lights = False

    def saw(self, name: str) -> None:
        """Take note of a call."""
        if name == "get_vehicle_light_states":
            self._read_lights = True
        elif name == "apply_batch" and self._read_lights:
            self._read_lights, self.is_running = False, True
        elif name == "get_episode_settings":
            self.is_running = False


class LostWakeUp:
    """Notices that the thread of a client's one Traffic Manager sleeps through a tick, and wakes it.

    A synchronous Traffic Manager begins a cycle after every tick of its own client; an asynchronous one is never
    silent. `done` is called after the thread was woken; until then `is_waking` holds, and calls must not be answered.
    """

    def __init__(self, done: Callable[[], None]) -> None:
        self.is_waking = False
        self._done = done
        self._ports: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def started(self, port: int) -> None:
        """The client has a Traffic Manager that listens there."""
        self.forget()
        if 0 < port <= _LAST_PORT:
            self._ports.add(port)

    def ended(self, port: int) -> None:
        """It has one less."""
        self._ports.discard(port)
        self.forget()

    def saw(self, name: str) -> None:
        """Take note of a call that has been made: the thread is awake."""
        if name in _CYCLE_BEGINS:
            self.forget()

    def ticked(self, host: str) -> None:
        """A tick of this client at `host` was answered: its Traffic Manager is to begin a cycle."""
        self.forget()
        if len(self._ports) == 1:  # of several one cannot tell which sleeps
            self._look_again(host, _LOOKS)

    def forget(self) -> None:
        """Expect nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None and not self.is_waking:
            self._task.cancel()
            self._task = None

    def _look_again(self, host: str, times: int) -> None:
        loop = asyncio.get_running_loop()
        if times:
            self._timer = loop.call_later(SILENT_FOR_S / _LOOKS, self._look_again, host, times - 1)
        else:
            self._timer = None
            self._task = loop.create_task(self._wake(host, *self._ports))

    async def _wake(self, host: str, port: int) -> None:
        """Leaving synchronous mode notifies the thread, and entering it again does nothing else: the thread reads its
        mode at the end of the cycle only, which ends when its calls are answered.

        A client that stands still as a whole, stopped or starved, answers no call: then no wake-up was lost.
        """
        lost = f"the client library lost a tick's wake-up of the Traffic Manager on {host}:{port}"
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), _CALL_TIMEOUT_S)
            try:
                await _call(reader, writer, "health_check_remote_TM")
                for _ in range(_LOOKS):
                    await asyncio.sleep(SILENT_FOR_S / _LOOKS)
                self.is_waking = True
                calls = _call(reader, writer, "set_synchronous_mode", [False], [True])
                await asyncio.wait_for(calls, _CALL_TIMEOUT_S)
            finally:
                writer.close()
            print(f"{lost}; woken", file=sys.stderr, flush=True)
        except (OSError, asyncio.TimeoutError, ValueError, msgpack.UnpackException) as error:
            print(f"{lost}; not woken: {error!r}", file=sys.stderr, flush=True)
        self.is_waking = False
        self._done()


async def _call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, *arguments: list[bool]) -> None:
    """Call a function once with each list of arguments, in one message, and wait for the answers."""
    lists = arguments or ([],)
    writer.write(b"".join(msgpack.packb([0, number, name, each]) for number, each in enumerate(lists)))
    answers, unpacker = 0, msgpack.Unpacker(max_buffer_size=1 << 16)
    while answers < len(lists):
        received = await reader.read(4096)
        if not received:
            raise ConnectionError("closed by the Traffic Manager")
        unpacker.feed(received)
        answers += sum(1 for _ in unpacker)
