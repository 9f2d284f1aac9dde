"""The Traffic Manager in a client: its cycle, seen from its calls; its thread woken where the library loses that, and
kept still where it would end the process.

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
from typing import Generic, TypeVar

import msgpack

SILENT_FOR_S = 1.0
"""From a tick's answer on, and once more after the client has shown that it runs. The first call of a cycle comes
within milliseconds; a cycle too many would change what the cars do, so a client that is merely slow must have time."""
_LOOKS = 10
"""The time is counted in so many pieces: a pause of this process alone is no silence of the client."""
_CALL_TIMEOUT_S = 5.0
_AWAKE = 3
"""A Traffic Manager that asks for the settings so often without a tick is asynchronous."""
_COMES_BY_S = 3.0
"""It then asks at least once in so long, even where its process is starved."""
_CHANGES_S = 2.0
"""A client that does not ask where to subscribe within that does not load: its call was refused."""
_LAST_PORT = 65535
TICKS = frozenset({"tick_cue", "set_episode_settings"})
"""Calls after which the client lets its Traffic Managers run a cycle each."""
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

    @property
    def managers(self) -> int:
        """How many Traffic Managers the client has."""
        return len(self._ports)

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


_Call = TypeVar("_Call")


class EpisodeChange(Generic[_Call]):
    """Keeps the threads of a client's Traffic Managers still while the client changes its episode.

    The client library drops its episode when `load_new_episode` is answered, and has another one when it asks where to
    subscribe (LibCarla/source/carla/client/detail/Simulator.cpp). A thread that looks for it in between ends the
    process, and that of an asynchronous Traffic Manager never rests; but it asks for the settings in every cycle.
    So the load is answered when it has asked, and it is answered when there is an episode again.
    """

    def __init__(self, answer: Callable[[_Call], None]) -> None:
        self._answer = answer
        self._asked = 0  # since the last tick
        self._load: _Call | None = None
        self._still: list[_Call] = []
        self._timer: asyncio.TimerHandle | None = None
        """Runs from the load's arrival until all is answered."""

    def takes(self, call: _Call, name: str, managers: int) -> bool:
        """Whether a call, of a client with so many Traffic Managers, is kept to be answered later."""
        if name in TICKS:
            self._asked = 0
        elif name == "get_episode_settings":
            self._asked += 1
        if name == "load_new_episode" and managers and self._asked >= _AWAKE and self._timer is None:
            self._load = call
            self._wait(_COMES_BY_S, self._begin)
            return True
        if name == "get_episode_settings" and self._timer is not None:
            self._still.append(call)
            if self._load is not None and len(self._still) >= managers:
                self._begin()
            return True
        if name == "get_sensor_token" and self._timer is not None:
            self._wait(0.0, self._end)
        return False

    def forget(self) -> None:
        """The client has gone."""
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self) -> None:
        load, self._load = self._load, None
        self._wait(_CHANGES_S, self._end)
        if load is not None:
            self._answer(load)

    def _end(self) -> None:
        self._timer = None
        still, self._still = self._still, []
        for call in still:
            self._answer(call)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self.forget()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)


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
