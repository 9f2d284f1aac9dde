"""`python -m td3_hpc.supervision.supervisor --spec FILE`: the process beside each simulator server.

It starts the server, publishes its address when it is really ready, restarts it when it dies, hangs or is reported
lost, keeps its log and never leaves it behind. Commands arrive on stdin and events leave on stdout, one JSON object a
line; the learner's side of it is `supervisor_handle.py`.

It stays until its stdin closes, so it ends with the learner, however that ends. It ignores SIGINT, SIGTERM, SIGHUP,
SIGUSR1 and SIGUSR2: a terminal's Ctrl-C and Slurm's warnings go to all processes of a job, and a learner that has been
asked to stop still needs its simulator for the step it is in.
"""

import argparse
import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, cast

from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput, ExitCode, UserError, failure_of
from td3_hpc.supervision import ports
from td3_hpc.supervision.child_group import ChildGroup, describe_exit
from td3_hpc.supervision.heartbeat import VersionCall
from td3_hpc.supervision.launch_command import Launch, launch
from td3_hpc.supervision.learner_link import LearnerGone, LearnerLink, PipeLink
from td3_hpc.supervision.probe import Probe
from td3_hpc.supervision.restart_policy import RestartPolicy
from td3_hpc.supervision.server_log import ServerLog
from td3_hpc.supervision.supervisor_handle import State

if TYPE_CHECKING:
    from td3_hpc.config.simulator import SimulatorConfig

_STOP_GRACE_S = 1.0
_MEMORY_PERIOD_S = 5.0
#: CARLA fails about one start in ten; a server that never was ready in so many is not going to be on this machine.
_FIRST_STARTS = 4
#: A server that has left a version call unanswered for this long when the learner reports it is said to hang.
_SILENT_S = 1.0


class GenerationEnded(Exception):
    """The server of this generation is of no more use."""

    def __init__(self, state: State, detail: str) -> None:
        super().__init__(detail)
        self.state: State = state
        self.detail = detail


class Supervisor:
    """Keeps one server going. All waiting is done in `_pulse`, which notices everything that can happen meanwhile."""

    def __init__(self, specification: dict[str, Any], learner: LearnerLink) -> None:
        self._config = _configuration(specification["config"])
        self._name: str = specification["name"]
        self._wanted_port: int = specification["port"]
        self._town: str = specification["town"]
        self._directory = Path(specification["directory"])
        self._log = ServerLog(Path(specification["log_dir"]) / f"simulator-{self._name}.log")
        self._generation: int = specification["generation"]
        self._learner = learner
        self._last_pulse = time.monotonic()
        self._server: ChildGroup | None = None
        self._version_call = VersionCall(self._config.host, 0)
        self._policy = RestartPolicy(self._config.restarts_per_hour)
        self._watching = False
        self._starts = 0
        self._was_ready = False
        self._block: ports.PortBlock | None = None
        self._port = 0

    def run(self) -> ExitCode:
        """Supervise until the learner goes (0) or the simulator is given up (1 or 2)."""
        try:
            while True:
                self._choose_port()
                self._run_generation()
        except LearnerGone:
            self._stop_server()
            self._publish("stopped", "the learner has ended")
            return ExitCode.DONE
        except (UserError, OSError) as error:
            if isinstance(error, OSError):
                error = UserError(f"{error.filename or self._directory}: {error.strerror}", code=failure_of(error))
            self._give_up(error)
            return error.exit_code
        finally:
            self._stop_server()
            self._version_call.close()
            if self._block is not None:
                self._block.close()

    def _choose_port(self) -> None:
        """Reserve the ports; where any will do and somebody has taken ours since, other ones."""
        wanted = self._wanted_port
        if self._config.kind == "external":
            self._port = wanted
            return
        if self._block is not None:
            if wanted or ports.first_taken(self._block.first) is None:
                return
            self._block.close()
        self._block = ports.reserve(wanted)
        self._port = self._block.first

    # ---- one generation -------------------------------------------------------------------------------------------
    def _run_generation(self) -> None:
        """Start a server, watch it to its end, and pause as the restart policy says."""
        start = launch(self._config, self._town, self._port, self._directory / f"home-{self._name}")
        self._generation += 1
        self._starts += 1
        began = time.monotonic()
        try:
            self._start_server(start)
            self._wait_until_ready(began)
            self._watch()
        except GenerationEnded as end:
            self._end_generation(end, time.monotonic() - began)

    def _start_server(self, start: Launch | None) -> None:
        self._version_call.close()
        self._version_call = VersionCall(self._config.host, self._port)
        self._watching = True
        self._publish("starting", "waiting until it is ready")
        self._event("started", shlex.join(start.command) if start else "waiting for it, not ours to start")
        if start is None:
            return
        with self._log.begin() as log:
            try:
                self._server = ChildGroup(start, log)
            except OSError as error:
                raise BadInput(f"{start.command[0]}: cannot be started ({error})") from None

    def _wait_until_ready(self, began: float) -> None:
        """Wait for version, map, tick and camera frame, within the deadline. Raises BadInput for another version."""
        deadline = began + self._config.ready_timeout_s
        missing = "it does not answer"
        probe = self._new_probe()  # which loads the client meanwhile
        try:
            while self._version_call.version is None:
                self._pulse_until(deadline, missing)
            self._check_version()
            self._check_listener()
        except BaseException:
            probe.finish()
            raise
        pause = 0.1
        while missing := self._result(probe, deadline, missing):
            resume = time.monotonic() + pause
            while time.monotonic() < resume:
                self._pulse_until(deadline, missing)
            pause = min(pause * 2, 5.0)
            probe = self._new_probe()
        seconds = round(time.monotonic() - began, 2)
        detail = f"version {self._version_call.version} after {seconds:.1f} s"
        pid = self._server.pid if self._server is not None else None
        self._was_ready = True
        self._publish("ready", detail)
        self._event("ready", detail, seconds=seconds, host=self._config.host, port=self._port, pid=pid)

    def _new_probe(self) -> Probe:
        town = self._town if self._config.kind == "embedded" else None  # CARLA loads the environment's town later
        timeout_s = min(self._config.hang_timeout_s, self._config.ready_timeout_s)
        return Probe(self._config.host, self._port, town, timeout_s)

    def _result(self, probe: Probe, deadline: float, missing: str) -> str:
        """What the readiness probe finds missing; '' for nothing."""
        try:
            probe.begin()
            while not probe.ended():
                self._pulse_until(deadline, missing)
        finally:
            result = probe.finish()
        return result

    def _pulse_until(self, deadline: float, missing: str) -> None:
        self._pulse()
        if time.monotonic() > deadline:
            limit = self._config.ready_timeout_s
            raise GenerationEnded("hung", f"not ready within ready_timeout_s ({limit:g} s): {missing}")

    def _check_version(self) -> None:
        found, wanted = self._version_call.version, self._config.version
        if found != wanted:
            raise BadInput(
                f"the simulator on {self._config.host}:{self._port} has version {found}, where simulator.version "
                f"asks for {wanted}: correct it, or start CARLA {wanted}"
            )

    def _check_listener(self) -> None:
        """Whoever answers must be our own server: another job may have been faster in taking the port."""
        if self._server is None:
            return
        if ports.listens(self._port, [process.pid for process in self._server.members()]) is False:
            raise GenerationEnded("lost", f"port {self._port} was taken{ports.describe_listener(self._port)}")

    def _watch(self) -> NoReturn:
        """Watch a ready server until a pulse finds that it has ended."""
        measured, outgrown = -_MEMORY_PERIOD_S, False
        while True:
            self._pulse()
            if self._version_call.silent_s > self._config.hang_timeout_s:
                raise GenerationEnded("hung", f"no answer for hang_timeout_s ({self._config.hang_timeout_s:g} s)")
            if self._server is None or outgrown or time.monotonic() - measured < _MEMORY_PERIOD_S:
                continue
            measured, used = time.monotonic(), self._server.memory_gib()
            if used > self._config.memory_limit_gib:
                outgrown = True
                detail = f"uses {used:.2f} GiB, above memory_limit_gib ({self._config.memory_limit_gib:g})"
                self._event("outgrown", detail)

    def _end_generation(self, end: GenerationEnded, lived_s: float) -> None:
        """Say how it ended, stop what is left of it, and pause. Raises UserError to give up."""
        self._watching = False
        died = self._server is not None and self._server.ended()
        code = self._stop_server()
        detail = describe_exit(code) if died and code is not None else end.detail
        if end.state == "recycled":
            self._event("recycled", detail, seconds=lived_s)
            return
        lines = self._last_lines()
        self._event(end.state, detail, seconds=lived_s, lines=lines)
        if died and code == ExitCode.BAD_INPUT and self._config.kind == "embedded":
            raise BadInput(
                lines[-1].removeprefix("td3-hpc: ")
                if lines
                else f"the simulator refuses to start; see {self._log.path}"
            )
        self._publish("restarting", f"{end.state}: {detail}")
        restarts = self._policy.recent
        pause_s = self._policy.next_pause_s(lived_s)
        if pause_s is None or (not self._was_ready and self._starts == _FIRST_STARTS):
            never = "" if self._was_ready else ", never ready"
            raise UserError(
                f"{end.state}, {detail}, after {restarts} restarts within an hour{never}",
                code="simulator_failed" if self._was_ready else "simulator_never_ready",
            )
        resume = time.monotonic() + pause_s
        while time.monotonic() < resume:
            self._pulse()

    def _stop_server(self) -> int | None:
        """The exit code of the server, ended if need be; None where there is none."""
        server, self._server = self._server, None
        return server.stop(_STOP_GRACE_S) if server is not None else None

    # ---- waiting --------------------------------------------------------------------------------------------------
    def _pulse(self) -> None:
        """Wait a moment; raises LearnerGone or GenerationEnded as soon as there is reason to."""
        for command in self._learner.wait():
            self._obey(command)
        now = time.monotonic()
        elapsed, self._last_pulse = now - self._last_pulse, now
        if self._server is not None:
            self._log.trim()
            if self._server.ended():
                raise GenerationEnded("died", "")
        self._version_call.advance(elapsed)

    def _obey(self, command: dict[str, Any]) -> None:
        if command["generation"] != self._generation or not self._watching:
            return
        if command["command"] == "recycle":
            raise GenerationEnded("recycled", command["reason"])
        if self._server is not None and self._server.ended():
            raise GenerationEnded("died", "")
        hangs = self._version_call.silent_s >= _SILENT_S
        raise GenerationEnded("hung" if hangs else "lost", command["reason"])

    # ---- telling --------------------------------------------------------------------------------------------------
    def _event(self, state: State, detail: str, **fields: Any) -> None:
        """Tell the learner."""
        if "seconds" in fields:
            fields["seconds"] = round(fields["seconds"], 2)
        self._learner.report({"state": state, "generation": self._generation, "detail": detail, **fields})

    def _publish(self, status: str, message: str) -> None:
        """Write the address file, for people and for learners on other nodes."""
        content = {
            "status": status,
            "host": self._config.host,
            "port": self._port,
            "pid": self._server.pid if self._server is not None else None,
            "generation": self._generation,
            "version": self._version_call.version,
            "town": self._town,
            "message": message,
            "supervisor_pid": os.getpid(),
            "updated": round(time.time(), 3),
        }
        path = self._directory / f"simulator-{self._name}.json"
        try:
            replace_file(path, json.dumps(content, indent=1).encode() + b"\n")
        except OSError as error:  # a full disk must not end the simulator: the learner is told through the pipe
            print(f"{path}: {error}", file=sys.stderr, flush=True)

    def _give_up(self, error: UserError) -> None:
        self._publish("failed", str(error))
        bad_input = isinstance(error, BadInput)
        self._event("failed", str(error), code=error.code, lines=self._last_lines(), bad_input=bad_input)

    def _last_lines(self) -> list[str]:
        try:
            return self._log.last_lines() if self._config.kind != "external" else []
        except OSError:  # the log may be what is wrong
            return []


def _configuration(written: dict[str, Any]) -> "SimulatorConfig":
    """As the learner, who has validated it, wrote it. To load the schema would take longer than all else here."""
    paths = {name: Path(written[name]) for name in ("carla_root", "maps") if written[name] is not None}
    return cast("SimulatorConfig", SimpleNamespace(**{**written, **paths}))


def supervise(specification: dict[str, Any], learner: LearnerLink) -> NoReturn:
    """Be the supervisor until the learner goes; ends this process with the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(Supervisor(specification, learner).run())


def main() -> None:
    """Read the specification that `SupervisorHandle` wrote, and supervise."""
    parser = argparse.ArgumentParser(description="Supervises one simulator server; started by the learner.")
    parser.add_argument("--spec", type=Path, required=True, help="JSON file written by the learner")
    supervise(json.loads(parser.parse_args().spec.read_text(encoding="utf-8")), PipeLink())


if __name__ == "__main__":
    main()
