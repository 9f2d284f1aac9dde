"""The learner's side of a supervisor on another node, which the job's script started; they share the run directory."""

import os
import time
from pathlib import Path
from typing import Any

from td3_hpc.config.simulator import SimulatorConfig
from td3_hpc.supervision.learner_link import append_line, commands_path, events_path, read_lines
from td3_hpc.supervision.supervisor_handle import Purpose, SimulatorFailed, SupervisorHandle, event_from

#: Numbers, separated by blanks, of the training simulators that are not the learner's to start.
REMOTE_VARIABLE = "TD3_HPC_REMOTE_SIMULATORS"
#: A supervisor of which nothing is heard for this long, while there is no simulator, will not come back.
_SILENCE_S = 600.0
_PERIOD_S = 0.2


def remote_simulators() -> frozenset[int]:
    """Training simulators whose supervisors are on other nodes, as the job's script says."""
    return frozenset(int(number) for number in os.environ.get(REMOTE_VARIABLE, "").split())


class RemoteSupervisorHandle(SupervisorHandle):
    """A simulator on another node. Its supervisor ends with the job's script, not with this."""

    def __init__(
        self, config: SimulatorConfig, purpose: Purpose, town: str, directory: Path, log_dir: Path, index: int
    ) -> None:
        super().__init__(config, purpose, town, directory, log_dir, index)
        self._silence_s = max(_SILENCE_S, 2 * config.ready_timeout_s)
        self._offset = 0
        self._heard = time.monotonic()

    def start(self) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to end."""

    @property
    def _running(self) -> bool:
        return True

    def _wait(self, limit_s: float) -> None:
        time.sleep(min(limit_s, _PERIOD_S))

    def _command(self, command: dict[str, Any]) -> None:
        path = commands_path(self._directory, self._name)
        try:
            append_line(path, command)
        except OSError as error:
            raise SimulatorFailed(
                f"{path}: cannot be written ({error.strerror}), so nobody restarts the simulator; make space"
            ) from error
        self._heard = time.monotonic()

    def _read(self) -> None:
        events, self._offset = read_lines(events_path(self._directory, self._name), self._offset)
        for event in events:
            self._take(event_from(event))
        if events or self._address is not None:
            self._heard = time.monotonic()
        elif time.monotonic() - self._heard > self._silence_s:
            self._failure = SimulatorFailed(
                f"nothing was heard of the {self._name} simulator on another node for {self._silence_s:.0f} s; see the "
                f"job's log in {self._log_dir} for what became of its step"
            )
