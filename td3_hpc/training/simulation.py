"""An environment with everything that keeps it going: supervisor, simulator, worker. Each is replaced when lost."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from td3_hpc.config import StageConfig
from td3_hpc.config.environment import TrafficConfig
from td3_hpc.driving.worker_handle import EnvironmentWorker, EpisodeLog, StepResult, WorkerLost
from td3_hpc.errors import UserError
from td3_hpc.record import EpisodeNotReproduced, RunRecord, SimulatorChanged, WorkerReplaced
from td3_hpc.spaces import Observation
from td3_hpc.supervision.remote_supervisor_handle import RemoteSupervisorHandle
from td3_hpc.supervision.supervisor_handle import Address, Purpose, SupervisorHandle, simulator_name
from td3_hpc.training.signals import StopFlag, StopRequested

#: How long a stop signal lets the step in flight finish before the checkpoint is written without it.
STEP_GRACE_S = 0.5
#: A worker that is lost this often at one and the same step will be lost there again.
ATTEMPTS_PER_STEP = 4


class EpisodeLost(Exception):
    """The episode in progress could not be rebuilt: it ends, truncated, at its last completed step."""


class Simulation:
    """The learner's only view of one environment. All waiting ends early, by StopRequested, when the flag is set."""

    def __init__(
        self,
        config: StageConfig,
        purpose: Purpose,
        run_dir: Path,
        record: RunRecord,
        stop: StopFlag,
        index: int = 0,
        remote: bool = False,
    ) -> None:
        """`index`: which simulator of its purpose, from 0. `remote`: its supervisor is on another node."""
        several = config.simulators > 1 if purpose == "training" else index > 0
        number = index if several else None
        self._config = config
        self._purpose: Purpose = purpose
        self._who: dict[str, Any] = {"purpose": purpose, "simulator": index} if several else {"purpose": purpose}
        self._name = simulator_name(purpose, number)
        self._tm_port = _traffic_manager_port(config.environment.traffic, purpose, index)
        self._record = record
        self._stop = stop
        self._log_dir = run_dir / "logs"
        where = (config.simulator, purpose, config.environment.town, run_dir / "simulators", self._log_dir)
        self._supervisor = RemoteSupervisorHandle(*where, index) if remote else SupervisorHandle(*where, number)
        self._worker: EnvironmentWorker | None = None
        self._next_worker: EnvironmentWorker | None = None
        """A process that loads what it needs while the simulator starts."""
        self._started = False
        self._address: Address | None = None
        self._in_flight: np.ndarray | None = None
        self._stop_seen: float | None = None
        self.episode: EpisodeLog | None = None
        """The episode in progress: seed, completed actions, checksums of its observations."""

    def start(self) -> None:
        """Start the supervisor, its simulator and the worker, without waiting for them; nothing where they are."""
        if not self._started:
            self._started = True
            self._supervisor.start()
            self._next_worker = self._new_worker()
            self._next_worker.prepare()

    def close(self) -> None:
        """End the worker, the simulator and the supervisor. `start()` starts them again."""
        self._end_worker()
        if self._next_worker is not None:
            self._next_worker.close()
            self._next_worker = None
        self._supervisor.close()
        self._note_events()
        self._started = False

    # ---- the environment ------------------------------------------------------------------------------------------
    def roads_sha256(self) -> str:
        """Digest of the town's OpenDRIVE text as the simulator gives it; waits until that is ready."""
        for attempt in range(ATTEMPTS_PER_STEP):
            try:
                return self._ready_worker().roads_sha256
            except WorkerLost as lost:
                self._replace_worker(lost, attempt)
        raise self._given_up("its start")

    def reset(
        self, seed: int, route: int | None = None, film: Path | None = None, autopilot: str | None = None
    ) -> Observation:
        """Start an episode: a function of its arguments alone (see `DrivingEnv.reset`). Returns its first observation.

        An episode that has to be rebuilt goes on without film.
        """
        if self._worker is not None:
            self._note_events()  # nobody else listens to the supervisor while all is well
        if self._supervisor.needs_recycling:
            self._end_worker()
            self._supervisor.recycle()
        for attempt in range(ATTEMPTS_PER_STEP):
            try:
                observation = self._ready_worker().reset(seed, route, film, autopilot)
                self.episode = self._ready_worker().episode
                return observation
            except WorkerLost as lost:
                self._replace_worker(lost, attempt)
        raise self._given_up("reset")

    def send(self, action: np.ndarray) -> None:
        """Send a decision, of shape (2,), without waiting for what comes of it."""
        self._in_flight = action
        if self._worker is not None:
            self._worker.send(action)

    def receive(self) -> StepResult:
        """What came of the action sent. A lost worker or simulator is replaced and the episode rebuilt.

        Raises EpisodeLost where the new one does not reproduce the episode.
        """
        action = self._in_flight
        assert action is not None, "receive() follows send()"
        for attempt in range(ATTEMPTS_PER_STEP):
            try:
                result = self._ready_worker().receive()
                self._in_flight = None
                return result
            except WorkerLost as lost:
                self._replace_worker(lost, attempt)
                self.restore(self._episode())
                self._ready_worker().send(action)
        raise self._given_up(f"decision {len(self._episode())}")

    def restore(self, episode: EpisodeLog) -> Observation:
        """Rebuild an episode by its seed and actions. Raises EpisodeLost where an observation differs."""
        for attempt in range(ATTEMPTS_PER_STEP):
            try:
                resumed = self._ready_worker().resume(episode)
            except WorkerLost as lost:
                self._replace_worker(lost, attempt)
                continue
            self.episode = self._ready_worker().episode
            if resumed.exact:
                return resumed.observation
            self._record.append(
                EpisodeNotReproduced(**self._who, seed=episode.seed, exact_decisions=resumed.steps_exact)
            )
            raise EpisodeLost
        raise self._given_up("rebuilding the episode")

    # ---- keeping it going -----------------------------------------------------------------------------------------
    def _episode(self) -> EpisodeLog:
        assert self.episode is not None, "no episode is in progress"
        return self.episode

    def _check_stop(self) -> None:
        """End the wait by StopRequested after a stop signal and a moment more for the step in flight."""
        if self._stop and self._stop_seen is None:
            self._stop_seen = time.monotonic()
        if self._stop_seen is not None and time.monotonic() > self._stop_seen + STEP_GRACE_S:
            raise StopRequested

    def _ready_worker(self) -> EnvironmentWorker:
        """The worker, started on a ready simulator where there is none."""
        if self._worker is None:
            self.start()
            self._address = self._wait_for_address()
            self._worker, self._next_worker = self._next_worker or self._new_worker(), None
            self._worker.start(self._address.host, self._address.port)
        return self._worker

    def _new_worker(self) -> EnvironmentWorker:
        return EnvironmentWorker(
            self._config.environment,
            self._log_dir / f"worker-{self._name}.log",
            tm_port=self._tm_port,
            purpose=self._purpose,
            timeout_s=self._config.simulator.hang_timeout_s,
            while_waiting=self._check_stop,
        )

    def _wait_for_address(self) -> Address:
        while True:
            address = self._supervisor.address(timeout_s=0.2)
            self._note_events()
            if address is not None:
                return address
            self._check_stop()

    def _replace_worker(self, lost: WorkerLost, attempt: int) -> None:
        """End the lost worker; the next use starts another, on a restarted simulator where that was lost too."""
        episode = len(self.episode) if self.episode else 0
        self._record.append(
            WorkerReplaced(**self._who, state="lost", reason=str(lost), decision=episode, attempt=attempt + 1)
        )
        self._end_worker()
        if lost.simulator_suspect and self._address is not None:
            self._supervisor.report_lost(self._address.generation, str(lost))
        self._note_events()

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _note_events(self) -> None:
        for event in self._supervisor.events():
            self._record.append(SimulatorChanged(**self._who, **event.as_fields()))

    def _given_up(self, where: str) -> UserError:
        return UserError(
            f"the {self._name} environment was lost {ATTEMPTS_PER_STEP} times at {where} "
            f"(seed {self.episode.seed if self.episode else '-'}); see {self._log_dir}/worker-{self._name}.log",
            code="environment_lost",
        )


def _traffic_manager_port(traffic: TrafficConfig, purpose: Purpose, index: int) -> int:
    """Port of the environment's Traffic Manager; 0 where a free one is to be found."""
    first = traffic.evaluation_port if purpose == "evaluation" else traffic.port
    return first + index if first else 0
