"""Supervisors with real servers, real signals and real deaths."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import carla
import psutil
import pytest

from td3_hpc.config import SimulatorConfig
from td3_hpc.errors import BadInput
from td3_hpc.supervision.supervisor_handle import SimulatorFailed, SupervisorHandle
from tests.disks import fill_up, small_disk
from tests.processes import descendants, wait_until_gone
from tests.simulator.programs import carla_installation, installation_of_version
from tests.supervision.supervised import READY_S, ready

TOWN = "Hamlet"


def config(**changes):
    return SimulatorConfig(**{"kind": "embedded", "ready_timeout_s": READY_S, "hang_timeout_s": 2, **changes})


def carla_config(root, **changes):
    return config(kind="carla", carla_root=root, **changes)


@pytest.fixture
def supervise(tmp_path, nothing_left):
    """Factory of started handles; whatever they started is gone after the test."""
    handles = []

    def start(settings, purpose="training", town=TOWN, directory=tmp_path):
        handle = SupervisorHandle(settings, purpose, town, directory / "simulators", directory / "logs")
        handles.append(handle)
        handle.start()
        return handle

    yield start
    for handle in handles:
        handle.close()


def published(tmp_path, purpose="training"):
    return json.loads((tmp_path / "simulators" / f"simulator-{purpose}.json").read_text())


def failure(handle):
    """The error with which the supervisor gives up."""
    with pytest.raises((SimulatorFailed, BadInput)) as raised:
        handle.address(timeout_s=READY_S)
    return raised.value


def test_a_ready_simulator_serves_and_is_gone_when_closed(supervise, tmp_path):
    handle = supervise(config())
    address = ready(handle)
    client = carla.Client(address.host, address.port)
    client.set_timeout(10)
    assert client.get_world().get_map().name.endswith(TOWN)
    assert [actor.type_id for actor in client.get_world().get_actors().filter("sensor.*")] == [], "the probe's camera"

    content = published(tmp_path)
    assert content["status"] == "ready"
    assert (content["host"], content["port"], content["generation"]) == (address.host, address.port, 1)
    assert (content["version"], content["town"]) == ("0.9.16", TOWN)
    events = handle.events()
    assert [event.state for event in events] == ["started", "ready"]
    assert events[1].as_fields()["pid"] == content["pid"]
    assert handle.events() == []

    processes = [psutil.Process(content["pid"]), psutil.Process(content["supervisor_pid"])]
    handle.close()
    assert wait_until_gone(processes, timeout=1) == []
    assert published(tmp_path)["status"] == "stopped"


def test_a_killed_simulator_is_replaced_and_the_event_names_the_signal(supervise, tmp_path):
    handle = supervise(config())
    first = ready(handle)
    os.kill(published(tmp_path)["pid"], signal.SIGKILL)
    second = ready(handle, after=first.generation)
    assert second.generation == 2
    died = next(event for event in handle.events() if event.state == "died")
    assert (died.generation, died.detail) == (1, "signal SIGKILL")
    assert died.seconds > 0


def test_a_stopped_simulator_is_found_out_and_replaced(supervise, tmp_path):
    handle = supervise(config(hang_timeout_s=1))
    first = ready(handle)
    process = psutil.Process(published(tmp_path)["pid"])
    process.send_signal(signal.SIGSTOP)
    ready(handle, after=first.generation)
    assert wait_until_gone([process]) == []
    hung = next(event for event in handle.events() if event.state == "hung")
    assert (hung.generation, "hang_timeout_s" in hung.detail) == (1, True)


def test_a_generation_reported_lost_is_replaced_once(supervise):
    handle = supervise(config())
    first = ready(handle)
    handle.report_lost(first.generation, "the tick took longer than 2 s")
    assert handle.address(timeout_s=0) is None, "the old address must not be used again"
    second = ready(handle)
    handle.report_lost(first.generation, "the same, told late")
    assert handle.address(timeout_s=1) == second
    lost = [event for event in handle.events() if event.state == "lost"]
    assert [(event.generation, event.detail) for event in lost] == [(1, "the tick took longer than 2 s")]


def test_a_simulator_over_its_memory_limit_is_recycled_when_the_learner_says_so(supervise):
    handle = supervise(config(memory_limit_gib=0.001, restarts_per_hour=0))
    first = ready(handle)
    deadline = time.monotonic() + READY_S
    while not handle.needs_recycling and time.monotonic() < deadline:
        assert handle.address(timeout_s=0.1) == first
    handle.recycle()
    assert not handle.needs_recycling
    ready(handle, after=first.generation)
    states = [event.state for event in handle.events()]
    assert states[:5] == ["started", "ready", "outgrown", "recycled", "started"]


LEARNER = """
import sys, time
from pathlib import Path
from td3_hpc.config import SimulatorConfig
from td3_hpc.supervision.supervisor_handle import SupervisorHandle
directory = Path(sys.argv[1])
config = SimulatorConfig.model_validate_json(sys.argv[2])
handle = SupervisorHandle(config, "training", sys.argv[3], directory / "simulators", directory / "logs")
handle.start()
assert handle.address(60) is not None
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_nothing_outlives_the_learner(tmp_path, number):
    arguments = [str(tmp_path), config().model_dump_json(), TOWN]
    learner = subprocess.Popen([sys.executable, "-c", LEARNER, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert learner.stdout.readline() == "ready\n"
        processes = descendants(learner.pid)
        assert {published(tmp_path)["pid"], published(tmp_path)["supervisor_pid"]} <= {p.pid for p in processes}
    finally:
        learner.send_signal(number)
        learner.communicate()
    assert wait_until_gone(processes, timeout=3) == []


def test_nothing_outlives_the_supervisor_and_another_takes_its_place(supervise, tmp_path):
    handle = supervise(config())
    ready(handle)
    server = psutil.Process(published(tmp_path)["pid"])
    os.kill(published(tmp_path)["supervisor_pid"], signal.SIGKILL)
    assert wait_until_gone([server], timeout=3) == []
    assert ready(handle, after=1).generation == 2
    assert "supervisor_lost" in [event.state for event in handle.events()]


def test_signals_for_the_whole_job_leave_supervisor_and_simulator_to_the_learner(supervise, tmp_path):
    handle = supervise(config())
    address = ready(handle)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(published(tmp_path)["supervisor_pid"], number)
    assert handle.address(timeout_s=1) == address
    assert [event.state for event in handle.events()] == ["started", "ready"]


def test_a_port_in_use_is_bad_input_that_names_who_uses_it(supervise):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        handle = supervise(config(port=port))
        error = failure(handle)
    assert isinstance(error, BadInput)
    assert f"port {port} is in use by pid {os.getpid()}" in str(error)
    assert "set simulator.port to 0" in str(error)
    assert [event.state for event in handle.events()] == ["failed"]


def test_another_version_is_refused_at_once(supervise, tmp_path):
    handle = supervise(carla_config(installation_of_version(tmp_path / "carla", "0.9.15")))
    error = failure(handle)
    assert isinstance(error, BadInput)
    assert "has version 0.9.15, where simulator.version asks for 0.9.16" in str(error)
    assert published(tmp_path)["status"] == "failed"


def test_a_simulator_that_ends_at_once_is_given_up_with_its_last_lines(supervise, tmp_path):
    root = carla_installation(
        tmp_path / "carla", "sleep 600 & echo home is $HOME; echo out of video memory >&2; exit 1"
    )
    handle = supervise(carla_config(root, restarts_per_hour=2))
    error = failure(handle)
    assert isinstance(error, SimulatorFailed)
    assert "exit code 1" in str(error)
    assert "out of video memory" in str(error)
    assert f"home is {tmp_path}" in str(error), "each server needs a home directory of its own"
    assert "after 2 restarts" in str(error)
    events = handle.events()
    assert [event.state for event in events] == ["started", "died"] * 3 + ["failed"]
    assert events[1].lines[-1] == "out of video memory"
    left = [p for p in psutil.process_iter(["cmdline", "environ"]) if str(tmp_path) in str(p.info["environ"])]
    assert [p for p in left if p.info["cmdline"] == ["sleep", "600"]] == [], "what the server started must end with it"


def test_a_simulator_that_never_answers_is_given_up(supervise, tmp_path):
    root = carla_installation(tmp_path / "carla", "echo loading; exec sleep 600")
    handle = supervise(carla_config(root, ready_timeout_s=1, restarts_per_hour=0))
    error = failure(handle)
    assert isinstance(error, SimulatorFailed)
    assert "not ready within ready_timeout_s (1 s): it does not answer" in str(error)
    assert "loading" in str(error)


def test_a_simulator_that_never_was_ready_is_given_up_after_four_starts(supervise, tmp_path):
    handle = supervise(carla_config(carla_installation(tmp_path / "carla", "exit 1"), restarts_per_hour=100))
    error = failure(handle)
    assert isinstance(error, SimulatorFailed)
    assert "after 3 restarts within an hour, never ready" in str(error)
    assert [event.state for event in handle.events()] == ["started", "died"] * 4 + ["failed"]


def test_a_disk_without_space_is_told_and_is_no_traceback(supervise, tmp_path):
    with small_disk(tmp_path / "disk", "16k") as disk:
        fill_up(disk / "filler")
        error = failure(supervise(config(), directory=disk))
    assert isinstance(error, SimulatorFailed)
    assert error.code == "disk_full"
    assert "the training simulator cannot be started" in str(error)


def test_a_file_that_the_supervisor_cannot_write_is_told(supervise, tmp_path):
    (tmp_path / "simulators").mkdir()
    (tmp_path / "simulators" / "home-training").touch()
    error = failure(supervise(carla_config(carla_installation(tmp_path / "carla", "exit 1"))))
    assert isinstance(error, SimulatorFailed)
    assert "home-training: File exists" in str(error)


def test_a_missing_binary_is_bad_input(supervise, tmp_path):
    error = failure(supervise(carla_config(tmp_path / "nowhere")))
    assert isinstance(error, BadInput)
    assert str(tmp_path / "nowhere") in str(error)


def test_an_unknown_town_is_bad_input_in_one_line(supervise):
    error = failure(supervise(config(), town="Atlantis"))
    assert isinstance(error, BadInput)
    assert "Atlantis" in str(error)
    assert len(str(error).splitlines()) == 1


def test_two_simulators_at_once_get_ports_of_their_own(supervise):
    handles = [supervise(config(), purpose) for purpose in ("training", "evaluation")]
    first, second = (ready(handle).port for handle in handles)
    assert abs(first - second) >= 3


def test_an_external_simulator_is_waited_for_and_never_stopped(supervise, tmp_path):
    theirs = supervise(config(), directory=tmp_path / "theirs")
    port = ready(theirs).port
    handle = supervise(config(kind="external", port=port, evaluation_port=port + 3, hang_timeout_s=1))
    first = ready(handle)
    assert first.port == port

    theirs.close()
    deadline = time.monotonic() + READY_S
    while handle.address(timeout_s=0) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    theirs = supervise(config(port=port), directory=tmp_path / "theirs")
    assert ready(handle, after=first.generation).port == port
    assert "hung" in [event.state for event in handle.events()]
    handle.close()
    assert theirs.address(timeout_s=0.5) is not None
    assert "died" not in [event.state for event in theirs.events()]
