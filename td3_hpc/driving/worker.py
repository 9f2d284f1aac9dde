"""The worker process: one `DrivingEnv`, commanded over a socket, observations in shared memory.

Started by `EnvironmentWorker` as `python -m td3_hpc.driving.worker --socket FD --memory FD`. The socket keeps message
boundaries (SOCK_SEQPACKET); each message is one JSON object. Requests: `open` (first), `reset`, `step`. Answers hold
`ok` or `error` (`kind` and `message`). The memory file holds the newest observation (`shared_observation`).

The worker ends when its parent does: the socket reports the end of the other side, and a thread makes sure of it
even where the client library hangs. Signals to the job (an interrupt, a time limit's warning) are the parent's matter.
"""

import argparse
import contextlib
import json
import mmap
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from td3_hpc.config.environment import EnvironmentConfig
from td3_hpc.driving.client_session import SimulatorLost
from td3_hpc.driving.environment import DrivingEnv
from td3_hpc.driving.shared_observation import OBSERVATION_BYTES, write_observation
from td3_hpc.errors import BadInput, UserError

_ORPHAN_GRACE_S = 5.0
_MESSAGE_BYTES = 1 << 16


class Worker:
    """Serves requests until the parent closes its end of the socket."""

    def __init__(self, connection: socket.socket, memory: mmap.mmap) -> None:
        self._connection, self._memory = connection, memory
        self._env: DrivingEnv | None = None
        self._requests: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "open": self._open,
            "reset": self._reset,
            "step": self._step,
        }

    def serve(self) -> None:
        """Answer requests in order; returns at the end of the other side, or after an error, which is final."""
        while message := self._connection.recv(_MESSAGE_BYTES):
            request = json.loads(message)
            try:
                answer = self._requests[request.pop("do")](request)
            except Exception as error:
                traceback.print_exc()
                self._close()  # before the answer: the parent kills a worker that failed
                self._send({"error": {"kind": _kind(error), "message": str(error) or repr(error)}})
                return
            self._send({"ok": answer})
        self._close()

    def _close(self) -> None:
        if self._env is not None:
            self._env.close()

    def _send(self, answer: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the parent has gone: recv() says so next
            self._connection.send(json.dumps(answer).encode())

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        config = EnvironmentConfig.model_validate(request.pop("config"))
        self._env = DrivingEnv(config, **request)
        return {"evaluation_routes": len(self._env.planner.evaluation_routes), "roads_sha256": self._env.roads_sha256}

    def _reset(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._env is not None
        film = request["film"]
        options = {"route": request["route"], "film": Path(film) if film else None, "autopilot": request["autopilot"]}
        observation, info = self._env.reset(seed=request["seed"], options=options)
        write_observation(self._memory, observation)
        return info

    def _step(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._env is not None
        action = np.array(request["action"], np.float32)
        observation, reward, terminated, truncated, info = self._env.step(action)
        write_observation(self._memory, observation)
        return {"reward": reward, "terminated": terminated, "truncated": truncated, "info": info}


def _kind(error: Exception) -> str:
    """How the parent should take an error."""
    if isinstance(error, SimulatorLost):
        return "simulator_lost"
    if isinstance(error, BadInput):
        return "bad_input"
    return "user_error" if isinstance(error, UserError) else "failed"


def _end_with_parent(connection: socket.socket) -> None:
    """Kill this process some seconds after the other side of the connection is gone, if it has not ended by itself."""
    poll = select.poll()
    poll.register(connection, 0)  # no event asked for: only a hang-up wakes it
    poll.poll()
    time.sleep(_ORPHAN_GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Serve on the inherited socket and memory file."""
    parser = argparse.ArgumentParser(description="Environment worker; started by the learner.")
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--memory", type=int, required=True)
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    connection = socket.socket(fileno=arguments.socket)
    memory = mmap.mmap(arguments.memory, OBSERVATION_BYTES)
    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    Worker(connection, memory).serve()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # the library's own clean-up at exit may abort or wait


if __name__ == "__main__":
    main()
