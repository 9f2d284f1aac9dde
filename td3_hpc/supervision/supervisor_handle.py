"""The learner's side of a simulator's supervisor: start it, ask for the address, read what happened, close it."""

import dataclasses
import json
import os
import select
import subprocess
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from td3_hpc.code import run_module
from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput, FailureCode, UserError, failure_of
from td3_hpc.supervision.ports import BLOCK

if TYPE_CHECKING:
    from td3_hpc.config.simulator import SimulatorConfig

Purpose = Literal["training", "evaluation"]
State = Literal["started", "ready", "died", "hung", "lost", "outgrown", "recycled", "failed", "supervisor_lost"]

_CLOSE_S = 5.0
#: A supervisor that ends without saying why is started again this often.
_SUPERVISOR_RESTARTS = 3


def simulator_name(purpose: Purpose, index: int | None = None) -> str:
    """What a simulator's files are called: `training`, or `training-2` where there are several."""
    return purpose if index is None else f"{purpose}-{index}"


def simulator_port(config: "SimulatorConfig", purpose: Purpose, index: int = 0) -> int:
    """First port of the simulator's block, as configured; 0 where a free one is to be found."""
    first = config.port if purpose == "training" else config.evaluation_port
    return first + index * BLOCK if first else 0


class SimulatorFailed(UserError):
    """The supervisor gave up on its simulator; the message holds the simulator's last lines."""

    code = "simulator_failed"

    def __init__(
        self, message: str, *, cause: str = "", code: FailureCode | None = None, simulator: int | None = None
    ) -> None:
        """`simulator`: its number, where there are several training simulators."""
        super().__init__(message, cause=cause, code=code)
        self.simulator = simulator


@dataclass(frozen=True)
class Address:
    """Where a ready simulator listens. Each restart of the server is a new generation."""

    host: str
    port: int
    generation: int


@dataclass(frozen=True)
class SupervisorEvent:
    """Something that happened to the simulator."""

    state: State
    """`started`, `ready`; `died` (its process ended), `hung` (it stopped answering), `lost` (the learner said so);
    `outgrown` (over its memory limit), `recycled` (restarted on a plan); `failed` (given up); `supervisor_lost`."""
    generation: int
    """Which start of the server it concerns, from 1."""
    detail: str = ""
    """One line for people: the exit code or signal, the reason, the versions."""
    seconds: float | None = None
    """For `ready` the time since the start; for the ends of a generation the time that it lived."""
    lines: tuple[str, ...] = ()
    """The last lines of the server's log, where it ended unasked."""
    host: str | None = None
    port: int | None = None
    pid: int | None = None
    bad_input: bool = False
    """For `failed`: the configuration is at fault, so a restart cannot help."""
    code: FailureCode | None = None
    """For `failed`: the kind of failure."""

    def as_fields(self) -> dict[str, Any]:
        """The fields that are set, for the run's record."""
        unset = {field.name: field.default for field in dataclasses.fields(self)}
        fields = dataclasses.asdict(self)
        return {name: value for name, value in fields.items() if value != unset[name]}


def event_from(fields: dict[str, Any]) -> SupervisorEvent:
    """An event as the supervisor wrote it."""
    return SupervisorEvent(**{**fields, "lines": tuple(fields.get("lines", ()))})


class SupervisorHandle:
    """One supervised simulator. Not to be shared between threads."""

    def __init__(
        self,
        config: "SimulatorConfig",
        purpose: Purpose,
        town: str,
        directory: Path,
        log_dir: Path,
        index: int | None = None,
    ) -> None:
        """`directory` takes the address file `simulator-<name>.json`; `log_dir` the server's log and our own.

        The name is the purpose, with `index` after it where there are several simulators of one purpose.
        """
        self._config = config
        self._index = index
        self._name = simulator_name(purpose, index)
        self._port = simulator_port(config, purpose, index or 0)
        self._town = town
        self._directory = directory
        self._log_dir = log_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._received = b""
        self._events: deque[SupervisorEvent] = deque()
        self._address: Address | None = None
        self._generation = 0
        self._failure: UserError | None = None
        self._supervisors_lost = 0
        self.needs_recycling = False
        """The server has outgrown its memory limit: call `recycle()` where nothing depends on it."""

    def start(self) -> None:
        """Start the supervisor, which starts the simulator; does not wait for either.

        Where that cannot be done, as on a full disk, `address` says so.
        """
        try:
            self._start()
        except OSError as error:
            cause = f"the {self._name} simulator cannot be started: {error.filename or self._directory}"
            self._failure = SimulatorFailed(f"{cause}: {error.strerror}", code=failure_of(error), simulator=self._index)

    def _start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._log_dir.mkdir(parents=True, exist_ok=True)
        specification = {
            "config": self._config.model_dump(mode="json"),
            "name": self._name,
            "port": self._port,
            "town": self._town,
            "directory": str(self._directory),
            "log_dir": str(self._log_dir),
            "generation": self._generation,
        }
        path = self._directory / f"supervisor-{self._name}.json"
        replace_file(path, json.dumps(specification, indent=1).encode())
        with (self._log_dir / f"supervisor-{self._name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*run_module("td3_hpc.supervision.supervisor"), "--spec", str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the learner, which needs the simulator to finish its step
            )
        self._received = b""
        os.set_blocking(self._pipe("stdout").fileno(), False)

    def address(self, timeout_s: float) -> Address | None:
        """The address once the simulator is ready; None where it is not within `timeout_s` seconds.

        Raises SimulatorFailed where the supervisor gave up, and BadInput where the configuration is at fault.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            self._read()
            if self._failure is not None:
                raise self._failure
            remaining = deadline - time.monotonic()
            if self._address is not None or not self._running or remaining <= 0:
                return self._address
            self._wait(remaining)

    def report_lost(self, generation: int, reason: str) -> None:
        """Ask for a restart of that generation, which does not work; nothing happens where it was replaced already."""
        self._replace(generation, "lost", reason)

    def recycle(self) -> None:
        """Restart the server now, on a plan; it does not count as a failure."""
        self._replace(self._generation, "recycle", "planned")
        self.needs_recycling = False

    def events(self) -> list[SupervisorEvent]:
        """What happened since the last call, in order."""
        self._read()
        events = list(self._events)
        self._events.clear()
        return events

    def close(self) -> None:
        """End the simulator and its supervisor; returns when both are gone."""
        if self._process is None:
            return
        self._read_lines()
        process, self._process, self._address = self._process, None, None
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            process.kill()  # the kernel ends its server with it
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _replace(self, generation: int, command: str, reason: str) -> None:
        self._read()
        if not self._running or generation < self._generation:
            return
        self._address = None
        self._command({"command": command, "generation": generation, "reason": reason})

    @property
    def _running(self) -> bool:
        return self._process is not None

    def _wait(self, limit_s: float) -> None:
        """Until the supervisor says something."""
        select.select([self._pipe("stdout")], [], [], limit_s)

    def _command(self, command: dict[str, Any]) -> None:
        try:
            os.write(self._pipe("stdin").fileno(), json.dumps(command).encode() + b"\n")
        except BrokenPipeError:
            pass  # it has just ended; the next read says why

    def _read(self) -> None:
        """Take in what the supervisor wrote; start another one where it ended."""
        if self._process is not None and not self._read_lines():
            self._supervisor_ended()

    def _read_lines(self) -> bool:
        """Take in what the supervisor wrote; False when it has ended."""
        while True:
            try:
                received = os.read(self._pipe("stdout").fileno(), 1 << 16)
            except BlockingIOError:
                return True
            if not received:
                return False
            *lines, self._received = (self._received + received).split(b"\n")
            for line in lines:
                self._take(event_from(json.loads(line)))

    def _take(self, event: SupervisorEvent) -> None:
        self._events.append(event)
        self._generation = max(self._generation, event.generation)
        if event.state == "ready":
            assert event.host is not None
            assert event.port is not None
            self._address = Address(event.host, event.port, event.generation)
        elif event.state == "outgrown":
            self.needs_recycling = True
        else:
            self._address = None
            self.needs_recycling = False
        if event.state == "failed":
            self._failure = BadInput(event.detail) if event.bad_input else self._given_up(event)

    def _supervisor_ended(self) -> None:
        process = self._process
        assert process is not None
        self.close()
        if self._failure is not None:
            return
        self._supervisors_lost += 1
        log = self._log_dir / f"supervisor-{self._name}.log"
        detail = f"the supervisor ended unasked ({process.returncode}); see {log}"
        self._take(SupervisorEvent("supervisor_lost", self._generation, detail))
        if self._supervisors_lost > _SUPERVISOR_RESTARTS:
            self._failure = SimulatorFailed(f"{detail}; it had been restarted {_SUPERVISOR_RESTARTS} times")
            return
        self.start()

    def _given_up(self, event: SupervisorEvent) -> SimulatorFailed:
        log = self._log_dir / f"simulator-{self._name}.log"
        output = "".join(f"\n  {line}" for line in event.lines) or "\n  (nothing)"
        cause = f"the {self._name} simulator was given up: {event.detail}"
        return SimulatorFailed(
            f"{cause}; its last lines ({log}):{output}", cause=cause, code=event.code, simulator=self._index
        )

    def _pipe(self, name: Literal["stdin", "stdout"]) -> IO[bytes]:
        pipe = getattr(self._process, name)
        assert pipe is not None
        return pipe  # type: ignore[no-any-return]
