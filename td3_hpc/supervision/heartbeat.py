"""CARLA's `version` call, spoken without its client library and without ever waiting: the supervisor's heartbeat.

CARLA answers it on a network thread, so it tells a stopped process from a living one; a game thread that hangs is seen
by the learner, whose tick then misses its deadline.
"""

import socket
from typing import Any

import msgpack

_REQUEST = msgpack.packb([0, 1, "version", [[False]]])
_PERIOD_S = 2.0
#: One look at the socket counts for no more than this, so that a suspended and continued job is not taken for a hang.
_LONGEST_LOOK_S = 1.0


class VersionCall:
    """Asks a server for its version, again and again; `advance` is to be called often."""

    def __init__(self, host: str, port: int) -> None:
        self.version: str | None = None
        """The last answer."""
        self.silent_s = 0.0
        """How long the present question has waited for its answer; 0 between questions."""
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._unpacker = msgpack.Unpacker()
        self._asked = False
        self._pause_s = 0.0

    def advance(self, elapsed_s: float) -> None:
        """Send a question that is due, or take in its answer."""
        self._pause_s -= elapsed_s
        if self._pause_s > 0:
            return
        try:
            if self._socket is None:
                self._connect()
            if not self._asked:
                self._asked = self._socket_open().send(_REQUEST) > 0
            received = self._socket_open().recv(4096)
            if not received:
                raise ConnectionResetError
            self._unpacker.feed(received)
            for answer in self._unpacker:
                self._take(answer)
        except BlockingIOError:
            self.silent_s += min(elapsed_s, _LONGEST_LOOK_S)
        except (OSError, ValueError, msgpack.UnpackException):  # nobody listens, or it is no server of CARLA's kind
            self.silent_s += min(elapsed_s, _LONGEST_LOOK_S)
            self.close()

    def close(self) -> None:
        """Drop the connection; the next `advance` opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._asked = None, False

    def _connect(self) -> None:
        self._unpacker = msgpack.Unpacker()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.connect(self._address)  # BlockingIOError: under way

    def _socket_open(self) -> socket.socket:
        assert self._socket is not None
        return self._socket

    def _take(self, answer: Any) -> None:
        """Read `[1, id, None, [[1, version]]]`."""
        try:
            _, _, error, ((_, version),) = answer
        except (TypeError, ValueError):
            raise ValueError("not CARLA's answer") from None
        if error is None and isinstance(version, str):
            self.version, self.silent_s = version, 0.0
            self._asked, self._pause_s = False, _PERIOD_S
