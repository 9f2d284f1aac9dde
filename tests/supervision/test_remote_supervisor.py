"""A supervisor on another node: here another process, which shares only the run directory with its learner."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from td3_hpc.config import SimulatorConfig, load_stage
from td3_hpc.errors import BadInput
from td3_hpc.supervision import remote_supervisor_handle
from td3_hpc.supervision.remote_supervisor_handle import RemoteSupervisorHandle
from td3_hpc.supervision.supervisor_handle import SimulatorFailed
from tests.processes import descendants, wait_until_gone
from tests.supervision.supervised import READY_S, ready

#: Loopback's second address: who listens there is not reached at the first.
OTHER_NODE = "127.0.0.2"


class OtherNode:
    """Runs the supervisor of training simulator 1 as a step of a job does."""

    def __init__(self, directory: Path, **simulator: object) -> None:
        self.directory = directory
        self._config = directory / "stage.yaml"
        stage = {
            "name": "remote",
            "training": {"total_steps": 20, "learning_starts": 10},
            "evaluation": {"every_steps": 10},
            "simulators": 2,
            "simulator": {"ready_timeout_s": READY_S, "hang_timeout_s": 2, **simulator},
            "environment": {"town": "Hamlet"},
        }
        self._config.write_text(yaml.safe_dump(stage))
        self.steps: list[subprocess.Popen[bytes]] = []

    @property
    def simulator(self) -> SimulatorConfig:
        return load_stage(self._config).simulator

    def start_step(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "td3_hpc.supervision.remote_supervisor", str(self._config)]
        command += ["--run-dir", str(self.directory), "--number", "1", "--host", OTHER_NODE]
        self.steps.append(subprocess.Popen(command, stdin=subprocess.PIPE))
        return self.steps[-1]

    def handle(self) -> RemoteSupervisorHandle:
        """The learner's side."""
        folders = (self.directory / "simulators", self.directory / "logs")
        return RemoteSupervisorHandle(self.simulator, "training", "Hamlet", *folders, 1)


@pytest.fixture
def other_node(tmp_path, nothing_left):
    """Factory of other nodes; whatever runs there is gone after the test."""
    nodes = []

    def make(**simulator):
        nodes.append(OtherNode(tmp_path, **simulator))
        return nodes[-1]

    yield make
    for step in (step for node in nodes for step in node.steps):
        step.stdin.close()
        step.wait(READY_S)


def test_a_learner_waits_for_a_simulator_elsewhere_and_has_it_replaced(other_node):
    node = other_node()
    handle = node.handle()
    handle.start()
    assert handle.address(timeout_s=0.1) is None, "nothing runs yet"
    step = node.start_step()
    first = ready(handle)
    assert (first.host, first.generation) == (OTHER_NODE, 1)
    listeners = {
        c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == first.port
    }
    assert listeners == {OTHER_NODE}, "it listens where the learner is, and nowhere else"

    handle.report_lost(first.generation, "a tick took too long")
    second = ready(handle, after=first.generation)
    assert [event.state for event in handle.events()] == ["started", "ready", "lost", "started", "ready"]

    step.stdin.close()  # as when the job's script ends
    assert step.wait(READY_S) == 0
    assert second.generation == 2


def test_a_step_that_dies_is_followed_by_another_and_the_simulators_generations_go_on(other_node):
    node = other_node()
    handle = node.handle()
    step = node.start_step()
    first = ready(handle)
    step.send_signal(signal.SIGTERM)  # Slurm's warnings are the learner's matter
    servers = descendants(step.pid)
    step.kill()
    assert wait_until_gone(servers) == [], "the kernel ends the server with its supervisor"

    handle.report_lost(first.generation, "no answer")
    assert handle.address(timeout_s=0.5) is None
    node.start_step()
    assert ready(handle, after=first.generation).generation == 2
    assert handle.needs_recycling is False


def test_bad_input_on_the_other_node_is_the_learners_to_report(other_node):
    node = other_node(kind="carla", carla_root=str(Path(__file__).parent))
    handle = node.handle()
    assert node.start_step().wait(READY_S) == 2
    with pytest.raises(BadInput, match="not an executable file"):
        handle.address(timeout_s=READY_S)


def test_a_node_of_which_nothing_is_heard_fails_the_run(other_node, monkeypatch):
    monkeypatch.setattr(remote_supervisor_handle, "_SILENCE_S", 0.5)
    handle = other_node(ready_timeout_s=0.1).handle()
    with pytest.raises(SimulatorFailed, match="nothing was heard of the training-1 simulator"):
        handle.address(timeout_s=READY_S)


def test_the_jobs_script_names_the_simulators_elsewhere(monkeypatch):
    monkeypatch.delenv(remote_supervisor_handle.REMOTE_VARIABLE, raising=False)
    assert remote_supervisor_handle.remote_simulators() == frozenset()
    monkeypatch.setenv(remote_supervisor_handle.REMOTE_VARIABLE, "1 3 ")
    assert remote_supervisor_handle.remote_simulators() == {1, 3}
