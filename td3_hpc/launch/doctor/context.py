"""What measurements share: the stage, the run directory, and the one simulator that is started for them."""

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path

from td3_hpc.config import StageConfig
from td3_hpc.driving.worker_handle import EnvironmentWorker
from td3_hpc.supervision.supervisor_handle import Address, SupervisorHandle

#: The simulator is given up here earlier than in training, where it is restarted with patience.
STARTS = 2


class NotMeasured(Exception):
    """Why something could not be measured, in one line."""


@dataclass
class Context:
    """One attempt of the doctor's job."""

    stage: StageConfig
    run_dir: Path
    ready_s: float = 0.0
    """From the simulator's start to its first frame; known once `worker` was asked for."""
    _worker: EnvironmentWorker | None = None
    _failure: str = ""
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def worker(self) -> EnvironmentWorker:
        """The environment, on a simulator that is started at the first call. Raises NotMeasured."""
        if self._failure:
            raise NotMeasured(self._failure)
        if self._worker is None:
            try:
                self._worker = self._start()
            except Exception as error:
                self._failure = f"no simulator: {' '.join(str(error).split())}"
                self.close()
                raise NotMeasured(self._failure) from error
        return self._worker

    def close(self) -> None:
        """End the worker and the simulator."""
        self._worker = None
        self._stack.close()

    def _start(self) -> EnvironmentWorker:
        simulator, environment = self.stage.simulator, self.stage.environment
        logs = self.run_dir / "logs"
        started = time.monotonic()
        supervisor = SupervisorHandle(simulator, "training", environment.town, self.run_dir / "simulators", logs)
        self._stack.callback(supervisor.close)
        supervisor.start()
        address = self._wait(supervisor)
        self.ready_s = time.monotonic() - started
        worker = EnvironmentWorker(
            environment,
            logs / "worker-training.log",
            host=address.host,
            port=address.port,
            tm_port=0,
            timeout_s=simulator.hang_timeout_s,
        )
        self._stack.callback(worker.close)
        worker.start()
        return worker

    def _wait(self, supervisor: SupervisorHandle) -> Address:
        address = supervisor.address(STARTS * self.stage.simulator.ready_timeout_s)
        if address is None:
            failures = [event for event in supervisor.events() if event.state in ("died", "hung")]
            last = f"; {failures[-1].detail}: {' | '.join(failures[-1].lines[-3:])}" if failures else ""
            raise NotMeasured(f"not ready within {STARTS} times {self.stage.simulator.ready_timeout_s:g} s{last}")
        return address
