"""The worker process under real faults: what was lost is replaced, and the episode goes on with the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from td3_hpc.driving.worker_handle import EnvironmentWorker, EpisodeLog, WorkerLost
from td3_hpc.errors import BadInput
from td3_hpc.spaces import OBSERVATION
from tests.driving.conftest import small_config, wait_until

TIMEOUT_S = 2.0


@pytest.fixture
def make_worker(tmp_path):
    """Factory of workers, closed at the end; none may be left, and nothing in /dev/shm."""
    made = []
    before = set(os.listdir("/dev/shm"))

    def make(simulator, config=None, **arguments) -> EnvironmentWorker:
        arguments = {"tm_port": 0, "timeout_s": TIMEOUT_S, **arguments}
        made.append(
            EnvironmentWorker(config or small_config(), tmp_path / "worker.log", port=simulator.port, **arguments)
        )
        made[-1].start()
        return made[-1]

    yield make
    for worker in made:
        worker.close()
        assert worker.pid is None
    assert set(os.listdir("/dev/shm")) <= before


@pytest.fixture
def own_simulator(make_simulator):
    """A simulator that the test may kill."""
    simulator = make_simulator()
    yield simulator
    simulator.kill()


def actions(seed, count):
    generator = np.random.default_rng(seed)
    return generator.uniform((-0.1, 0.1), (0.1, 0.7), (count, 2)).astype(np.float32)


def drive(worker, sequence):
    """Send the actions; returns the results."""
    results = []
    for action in sequence:
        worker.send(action)
        results.append(worker.receive())
        assert not results[-1].terminated
    return results


def reference(worker, seed, count):
    """The checksums of an undisturbed episode."""
    worker.reset(seed)
    drive(worker, actions(seed, count))
    return worker.episode.checksums.tolist()


# --- in health


def test_an_episode_through_the_worker(make_worker, hamlet):
    worker = make_worker(hamlet)
    assert worker.evaluation_routes == 40
    observation = worker.reset(seed=4, route=2)
    assert all(entry.fits(observation[entry.name]) for entry in OBSERVATION)
    first_image = observation["image"].copy()
    results = drive(worker, actions(4, 8))
    assert np.array_equal(observation["image"], first_image)  # what was handed out is not overwritten later
    assert results[-1].observation["vector"][0] > 0
    assert results[-1].reward == pytest.approx(sum(results[-1].info["reward_components"].values()))
    assert len(worker.episode) == 8
    assert (worker.episode.seed, worker.episode.route) == (4, 2)
    assert np.array_equal(worker.episode.actions, actions(4, 8))
    assert worker.episode.checksums.shape == (9,)
    assert worker.episode.checksums.dtype == np.uint64
    assert len(set(worker.episode.checksums.tolist())) == 9


def test_same_bytes_first_in_a_fresh_process_and_after_others_in_an_old_one(make_worker, hamlet):
    fresh = make_worker(hamlet, small_config(vehicles=8))
    expected = reference(fresh, 21, 60)
    fresh.close()
    old = make_worker(hamlet, small_config(vehicles=8))
    for seed in (22, 23):
        reference(old, seed, 30)
    assert reference(old, 21, 60) == expected


def test_an_episode_that_is_not_reproduced_is_told(make_worker, hamlet):
    worker = make_worker(hamlet, small_config(vehicles=2))
    reference(worker, 5, 12)
    log = worker.episode
    changed = log.actions
    changed[7, 1] += np.float32(0.01)
    resumed = worker.resume(EpisodeLog(log.seed, log.route, changed, log.checksums))
    assert (resumed.exact, resumed.steps_exact) == (False, 7)
    assert worker.resume(log).exact
    other = worker.resume(EpisodeLog(6, None, log.actions, log.checksums))
    assert (other.exact, other.steps_exact) == (False, 0)


def test_a_log_survives_its_arrays(make_worker, hamlet):
    worker = make_worker(hamlet, small_config(vehicles=2))
    reference(worker, 5, 10)
    log = worker.episode
    resumed = worker.resume(EpisodeLog(log.seed, log.route, log.actions, log.checksums))
    assert (resumed.exact, resumed.steps_exact) == (True, 10)
    assert len(worker.episode) == 10


def test_the_job_s_signals_leave_it_alone(make_worker, hamlet):
    worker = make_worker(hamlet, small_config(vehicles=2))
    worker.reset(1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        os.kill(worker.pid, number)
    drive(worker, actions(1, 5))


def test_it_loads_neither_torch_here_nor_the_client_library_in_the_learner(make_worker, hamlet):
    worker = make_worker(hamlet, small_config(vehicles=0))
    with open(f"/proc/{worker.pid}/maps") as maps:
        libraries = maps.read()
    assert "libcarla" in libraries
    assert "libtorch" not in libraries
    code = "import sys, td3_hpc.driving.worker_handle; sys.exit('carla' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_bad_input_comes_through_as_such(make_worker, hamlet):
    with pytest.raises(BadInput, match=r"environment\.town Nowhere"):
        make_worker(hamlet, small_config(town="Nowhere"))
    worker = make_worker(hamlet, small_config(vehicles=0))
    with pytest.raises(BadInput, match="there are 40 evaluation routes"):
        worker.reset(1, route=99)


def test_waiting_can_be_ended_by_the_caller(make_worker, hamlet):
    class Stop(Exception):
        pass

    def stop():
        raise Stop

    worker = make_worker(hamlet, small_config(vehicles=0))
    worker.reset(1)
    worker._while_waiting = stop
    os.kill(worker.pid, signal.SIGSTOP)
    worker.send(actions(1, 1)[0])
    with pytest.raises(Stop):
        worker.receive()
    os.kill(worker.pid, signal.SIGCONT)


# --- under faults


@pytest.mark.parametrize(
    "fault", [signal.SIGKILL, signal.SIGSTOP, signal.SIGABRT, pytest.param(signal.SIGSEGV, marks=pytest.mark.long)]
)
def test_a_lost_worker_is_replaced_and_its_episode_goes_on(make_worker, hamlet, fault):
    worker = make_worker(hamlet)
    sequence = actions(31, 40)
    expected = reference(worker, 31, 40)
    worker.reset(31)
    drive(worker, sequence[:20])
    lost_pid = worker.pid
    os.kill(lost_pid, fault)
    with pytest.raises(WorkerLost) as lost:
        drive(worker, sequence[20:])
    assert lost.value.simulator_suspect is (fault == signal.SIGABRT)
    assert not psutil.pid_exists(lost_pid)
    worker.start()
    resumed = worker.resume(worker.episode)
    assert (resumed.exact, resumed.steps_exact) == (True, len(worker.episode))
    drive(worker, sequence[len(worker.episode) :])
    assert worker.episode.checksums.tolist() == expected


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_a_lost_simulator_is_told_and_the_episode_goes_on_with_a_restarted_one(make_worker, own_simulator, fault):
    worker = make_worker(own_simulator)
    sequence = actions(32, 30)
    expected = reference(worker, 32, 30)
    worker.reset(32)
    drive(worker, sequence[:15])
    getattr(own_simulator, fault)()
    started = time.monotonic()
    with pytest.raises(WorkerLost) as lost:
        drive(worker, sequence[15:])
    assert lost.value.simulator_suspect
    assert time.monotonic() - started < 3 * TIMEOUT_S + 2
    with pytest.raises(WorkerLost) as lost:
        worker.start()
    assert lost.value.simulator_suspect
    own_simulator.kill()
    own_simulator.start()
    worker.start()
    assert worker.resume(worker.episode).exact
    drive(worker, sequence[len(worker.episode) :])
    assert worker.episode.checksums.tolist() == expected


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_closing_does_not_wait_for_a_dead_simulator(make_worker, own_simulator, fault):
    worker = make_worker(own_simulator)
    worker.reset(1)
    getattr(own_simulator, fault)()
    started = time.monotonic()
    worker.close()
    assert time.monotonic() - started < 8


LEARNER = """
import sys, time
import numpy as np
from pathlib import Path
from td3_hpc.driving.worker_handle import EnvironmentWorker
from tests.driving.conftest import small_config
worker = EnvironmentWorker(small_config(), Path(sys.argv[1]), port=int(sys.argv[2]), tm_port=0, timeout_s=60)
worker.start()
worker.reset(1)
print(worker.pid, flush=True)
sys.stdin.readline()
worker.send(np.zeros(2, np.float32))
print("sent", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("waiting", [False, True])
def test_a_worker_ends_with_its_learner(own_simulator, tmp_path, waiting):
    """Also one that is in the middle of a decision, waiting for a frozen simulator up to a minute."""
    command = [sys.executable, "-c", LEARNER, str(tmp_path / "log"), str(own_simulator.port)]
    learner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with learner:
        pid = int(learner.stdout.readline())
        if waiting:
            own_simulator.freeze()
            learner.stdin.write("\n")
            learner.stdin.flush()
            assert learner.stdout.readline() == "sent\n"
        learner.kill()
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")


# --- for long


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_ticks_with_traffic_under_load(make_worker, hamlet):
    """Two environments and two busy processes at once: without the parked wait this hangs within minutes."""
    worker = make_worker(hamlet, small_config(vehicles=15, max_decisions=1000, stuck_decisions=1000), timeout_s=20)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        decisions, seed = 0, 0
        generator = np.random.default_rng(0)
        while decisions < 50_000:
            worker.reset(seed)
            seed += 1
            ended = False
            while not ended:
                worker.send(generator.uniform((-0.05, -0.2), (0.05, 0.6)).astype(np.float32))
                result = worker.receive()
                decisions += 1
                ended = result.terminated or result.truncated
    finally:
        for process in busy:
            process.kill()
            process.wait()
    print(json.dumps({"decisions": decisions, "episodes": seed}))


def test_a_process_that_was_prepared_becomes_the_worker(make_worker, own_simulator):
    worker = make_worker(own_simulator)
    worker.prepare()
    prepared = worker.pid
    worker.start()
    assert worker.pid == prepared
    worker.start()
    assert worker.pid != prepared


def test_a_prepared_process_that_dies_is_told_at_the_start(make_worker, own_simulator):
    worker = make_worker(own_simulator)
    worker.prepare()
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost):
        worker.start()
    worker.start()
