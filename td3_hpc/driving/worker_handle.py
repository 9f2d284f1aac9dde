"""A learner's side of one environment worker: start, reset, step, watch, kill, and resume an episode exactly.

The worker is a process of its own, since the client library aborts its process when a simulator dies under a Traffic
Manager, and in rare cases hangs. Whatever happens to it, the calls here end, by a deadline, with an answer or with
WorkerLost, and no worker is left behind.
"""

import contextlib
import json
import mmap
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from td3_hpc.code import run_module
from td3_hpc.config.environment import EnvironmentConfig
from td3_hpc.driving.episode_log import EpisodeLog, checksum
from td3_hpc.driving.shared_observation import OBSERVATION_BYTES, read_observation
from td3_hpc.errors import BadInput, UserError
from td3_hpc.spaces import Observation

__all__ = ["EnvironmentWorker", "EpisodeLog", "Resumed", "StepResult", "WorkerLost"]

_MESSAGE_BYTES = 1 << 16
_START_S = 60.0  # interpreter, imports and the map, on a busy machine
_RESET_CALLS = 4  # a reset may wait for the simulator several times in a row, each up to the time-out
_CLOSE_S = 5.0
_POLL_S = 0.1


class WorkerLost(UserError):
    """The worker died, hung or lost its simulator; it has been killed. `start()` makes a new one.

    `simulator_suspect` tells that the simulator itself may be at fault: the worker reported it lost, or the client
    library aborted, as it does when a simulator breaks off.
    """

    def __init__(self, reason: str, simulator_suspect: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.simulator_suspect = simulator_suspect


@dataclass(frozen=True)
class StepResult:
    """What one decision led to; `info` as `DrivingEnv.step` returns it."""

    observation: Observation
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


@dataclass(frozen=True)
class Resumed:
    """How far a replayed episode was the recorded one."""

    exact: bool
    """The first observation and every step were the same bytes: the episode can go on."""
    steps_exact: int
    """Decisions, from the first, whose observation and reward were the same bytes."""
    observation: Observation
    """The last one replayed."""


class EnvironmentWorker:
    """One `DrivingEnv` in a process of its own.

    `log` receives what the worker and the client library print; `timeout_s` bounds every call to the simulator, and
    with it every call here (a decision twice, a reset five times as long at most). `while_waiting` is called ten times
    a second during every wait; what it raises ends the wait, and the worker is then of no more use but to `close`.
    """

    def __init__(
        self,
        config: EnvironmentConfig,
        log: Path,
        host: str = "127.0.0.1",
        port: int = 2000,
        tm_port: int = 8000,
        purpose: Literal["training", "evaluation"] = "training",
        timeout_s: float = 10.0,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self._config, self._log = config, log
        self._while_waiting = while_waiting
        self._host, self._port = host, port
        self._tm_port, self._purpose, self._timeout_s = tm_port, purpose, timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._memory: mmap.mmap | None = None
        self._action: npt.NDArray[np.float32] | None = None
        self._prepared = False
        self.evaluation_routes = 0
        """Held-out routes of the town; known after `start`."""
        self.roads_sha256 = ""
        """Digest of the town's OpenDRIVE text, as the simulator gives it; known after `start`."""
        self.episode: EpisodeLog | None = None
        """The episode in progress, up to the last decision received; it survives the worker."""

    @property
    def pid(self) -> int | None:
        """Process id of the worker; None when there is none."""
        return self._process.pid if self._process is not None else None

    def prepare(self) -> None:
        """Start the process alone, which loads what it needs meanwhile; `start` connects it."""
        self._kill()
        self._spawn()
        self._prepared = True

    def start(self, host: str | None = None, port: int | None = None) -> None:
        """Start the process and connect it to the simulator, at a new address where one is given.

        Raises WorkerLost; BadInput or UserError for what a new worker would not cure (see `DrivingEnv`).
        """
        if not self._prepared:
            self.prepare()
        self._prepared = False
        self._host, self._port = host or self._host, port or self._port
        self._request(
            "open",
            config=self._config.model_dump(mode="json"),
            host=self._host,
            port=self._port,
            tm_port=self._tm_port,
            purpose=self._purpose,
            timeout_s=self._timeout_s,
        )
        answer = self._answer(_START_S + _RESET_CALLS * self._timeout_s)
        self.evaluation_routes, self.roads_sha256 = int(answer["evaluation_routes"]), str(answer["roads_sha256"])

    def reset(
        self, seed: int, route: int | None = None, film: Path | None = None, autopilot: str | None = None
    ) -> Observation:
        """Start an episode (see `DrivingEnv.reset`); its log is `episode`. Raises WorkerLost."""
        self._request("reset", seed=seed, route=route, film=str(film.absolute()) if film else None, autopilot=autopilot)
        self._answer((_RESET_CALLS + 1) * self._timeout_s)
        observation = self._read()
        self.episode = EpisodeLog(seed, route)
        self.episode.begin(observation)
        return observation

    def send(self, action: npt.NDArray[np.float32]) -> None:
        """Begin a decision; `receive` ends it. A lost worker is reported there."""
        self._action = np.asarray(action, np.float32)
        self._request("step", action=[float(value) for value in self._action])

    def receive(self) -> StepResult:
        """The decision's outcome, by a deadline. Raises WorkerLost; the decision is then not in `episode`."""
        assert self._action is not None, "receive() comes after send()"
        assert self.episode is not None, "send() comes after reset()"
        answer = self._answer(2 * self._timeout_s)
        observation = self._read()
        action, self._action = self._action, None
        self.episode.append(action, observation, answer["reward"])
        return StepResult(observation, answer["reward"], answer["terminated"], answer["truncated"], answer["info"])

    def resume(self, episode: EpisodeLog) -> Resumed:
        """Replay an episode in a started worker, comparing every checksum; stops at the first that differs.

        When `exact`, the episode goes on with `send`; otherwise it is over, and `reset` begins another. Raises
        WorkerLost; `self.episode` is then still the whole episode given.
        """
        expected, steps = episode.checksums, 0
        try:
            observation = self.reset(episode.seed, episode.route)
            exact = checksum(observation, 0.0) == expected[0]
            for action in episode.actions:
                if not exact:
                    break
                self.send(action)
                result = self.receive()
                observation = result.observation
                exact = checksum(observation, result.reward) == expected[steps + 1]
                steps += exact
        finally:
            self.episode = episode
        return Resumed(bool(exact), int(steps), observation)

    def close(self) -> None:
        """End the worker: it destroys what it spawned; one that does not end within seconds is killed, and one that
        was only prepared, which has spawned nothing, at once.
        """
        if self._process is not None and self._connection is not None and not self._prepared:
            self._connection.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_CLOSE_S)
        self._kill()

    # --- process and messages

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memory = os.memfd_create("observation")  # has no name: nothing is left whoever is killed
        try:
            os.ftruncate(memory, OBSERVATION_BYTES)
            self._memory = mmap.mmap(memory, OBSERVATION_BYTES)
            command = run_module("td3_hpc.driving.worker")
            command += ["--socket", str(theirs.fileno()), "--memory", str(memory)]
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(theirs.fileno(), memory),
                    start_new_session=True,  # an interrupt from the terminal is the learner's matter
                )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(memory)
        self._connection = ours

    def _request(self, name: str, **arguments: Any) -> None:
        if self._connection is None:
            raise WorkerLost("the environment worker is not running", simulator_suspect=False)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the answer will say that it is dead
            self._connection.send(json.dumps({"do": name, **arguments}).encode())

    def _answer(self, limit_s: float) -> dict[str, Any]:
        """The next answer, within a time limit; kills the worker when there is none."""
        if self._connection is None:
            raise WorkerLost("the environment worker is not running", simulator_suspect=False)
        deadline = time.monotonic() + limit_s
        while not select.select([self._connection], [], [], _POLL_S)[0]:
            self._while_waiting()
            if time.monotonic() > deadline:
                self._kill()
                raise WorkerLost(f"the environment worker was silent for {limit_s:g} s", simulator_suspect=False)
        try:
            message = self._connection.recv(_MESSAGE_BYTES)
        except ConnectionResetError:
            message = b""
        if not message:
            raise self._dead()
        answer: dict[str, Any] = json.loads(message)
        if "error" in answer:
            self._kill()
            raise self._failure(**answer["error"])
        result: dict[str, Any] = answer["ok"]
        return result

    def _failure(self, kind: str, message: str) -> Exception:
        if kind == "simulator_lost":
            return WorkerLost(message, simulator_suspect=True)
        if kind == "bad_input":
            return BadInput(message)
        if kind == "user_error":
            return UserError(message)
        return RuntimeError(f"the environment worker failed: {message} (traceback in {self._log})")

    def _dead(self) -> WorkerLost:
        """Why a worker that closed its socket is gone."""
        assert self._process is not None
        deadline = time.monotonic() + _CLOSE_S
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        code = self._process.poll()
        self._kill()
        if code == -signal.SIGABRT:
            return WorkerLost("the client library aborted the environment worker", simulator_suspect=True)
        how = f"ended with exit code {code}" if code is None or code >= 0 else f"was ended by signal {-code}"
        return WorkerLost(f"the environment worker {how} (its output is in {self._log})", simulator_suspect=False)

    def _kill(self) -> None:
        self._prepared = False
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _read(self) -> Observation:
        assert self._memory is not None
        return read_observation(self._memory)
