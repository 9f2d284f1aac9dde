"""The simulator's protocol spoken by hand, and programs that use the real client library.

The library ends its process when a server answers wrongly, so it never runs in the tests' own process.
"""

import json
import os
import socket
import struct
import subprocess
import sys
from typing import Any

import msgpack

from tests.paths import ROOT

WORLD_HEADER = struct.Struct("<QQd6fQdf3iI")
ACTOR_BYTES = 119


class RawClient:
    """One RPC connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._unpacker = msgpack.Unpacker(raw=False)
        self._number = 0

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def request(self, name: str, *arguments: Any) -> tuple[Any, Any]:
        """(error, result) as they were sent."""
        self._number += 1
        self.send(self._number, name, *arguments)
        _, number, error, result = self.receive()
        assert number == self._number
        return error, result

    def send(self, number: int, name: str, *arguments: Any) -> None:
        """A request, without waiting for its answer."""
        self.socket.sendall(msgpack.packb([0, number, name, [[False], *arguments]]))

    def call(self, name: str, *arguments: Any) -> Any:
        """The value of a call that succeeds; None of a void one."""
        error, result = self.request(name, *arguments)
        assert error is None, error
        (content,) = result
        if content == [False]:
            return None
        kind, value = content
        assert kind == 1, f"{name}: {value}"
        return value

    def refusal(self, name: str, *arguments: Any) -> str:
        """The text with which a call is refused."""
        error, result = self.request(name, *arguments)
        assert error is None, error
        kind, (text,) = result[0]
        assert kind in (0, True)
        return text

    def receive(self) -> Any:
        while True:
            for message in self._unpacker:
                return message
            received = self.socket.recv(65536)
            if not received:
                raise ConnectionError("closed by the server")
            self._unpacker.feed(received)

    def spawn(self, type_id: str, transform: Any, parent: int = 0, **attributes: str) -> list[Any]:
        """The Actor that was spawned."""
        description = [0, type_id, [[name, 4, value] for name, value in attributes.items()]]
        if parent:
            return self.call("spawn_actor_with_parent", description, transform, parent, 0, "")
        return self.call("spawn_actor", description, transform)

    def spawn_points(self) -> list[Any]:
        return self.call("get_map_info")[1]

    def fresh(self, town: str = "") -> None:
        """A new episode, synchronous, with steps of 0.05 s."""
        self.call("set_episode_settings", [True, False, [True, 0.05], True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True])
        self.call("load_new_episode", town, False, 65535)
        self.call("tick_cue")

    def world_stream(self) -> "RawStream":
        return self.subscribe(self.call("get_episode_info")[1][0])

    def subscribe(self, token: bytes) -> "RawStream":
        """As the client library does: it asks first, so that the next step waits for the subscription."""
        (stream_id,) = struct.unpack("<I", token[:4])
        self.call("get_sensor_token", stream_id)
        return RawStream(self.port + 1, stream_id)


class RawStream:
    """One subscription."""

    def __init__(self, port: int, stream_id: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.sendall(struct.pack("<I", stream_id))

    def __enter__(self) -> "RawStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def receive(self) -> bytes:
        (length,) = struct.unpack("<I", self._exactly(4))
        return self._exactly(length)

    def actors(self) -> dict[int, bytes]:
        """The next world frame's actor states by id."""
        frame = self.receive()
        states = frame[WORLD_HEADER.size :]
        assert len(states) % ACTOR_BYTES == 0
        cut = [states[at : at + ACTOR_BYTES] for at in range(0, len(states), ACTOR_BYTES)]
        return {struct.unpack("<I", state[:4])[0]: state for state in cut}

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise ConnectionError("closed by the server")
            data += part
        return data


def run_client(program: str, port: int, *arguments: str, timeout: float = 120, host: str = "127.0.0.1") -> Any:
    """Run a program on the real client, as `carla`, `client`, `world`; what it passes to `tell(value)` comes back."""
    text = PREAMBLE + program + "\nos._exit(0)  # streaming threads may outlive the interpreter\n"
    result = subprocess.run(
        [sys.executable, "-c", text, str(port), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CARLA_HOST": host},
    )
    told = [line for line in result.stdout.splitlines() if line.startswith("TOLD ")]
    said = f"exit {result.returncode}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
    assert result.returncode == 0, said
    assert told, said
    return json.loads(told[-1].removeprefix("TOLD "))


PREAMBLE = """
import json, math, os, queue, random, sys, time
import carla
client = carla.Client(os.environ["CARLA_HOST"], int(sys.argv[1]))
client.set_timeout(20.0)
world = client.get_world()
def tell(value):
    print("TOLD " + json.dumps(value), flush=True)
def collect(sensor):
    got = queue.Queue()
    sensor.listen(got.put)
    return got
"""
