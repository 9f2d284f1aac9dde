"""Real training in a real container on a real Slurm: however Slurm interrupts it, it ends with the same bytes."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import carla
import pytest

from td3_hpc.drills.node_lost import number_of
from td3_hpc.launch.images import build
from td3_hpc.launch.jobs.submission import Route
from td3_hpc.supervision.launch_command import CARLA_BINARY
from tests.slurm.cluster import SlurmCluster, host_binds, wait_until
from tests.slurm.training_job import LEARNING_STARTS, Training, interruptible, small_stage

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def uninterrupted(slurm: SlurmCluster, image: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """`uninterrupted(total_steps)` is the run directory of a stage that nothing disturbed, in the same container."""
    runs: dict[int, Path] = {}

    def run(total_steps: int) -> Path:
        if total_steps not in runs:
            directory = tmp_path_factory.mktemp("uninterrupted")
            training = Training(slurm, image, directory / "run", interruptible(total_steps))
            assert training.submit(scheduler="local").status in (0, 3)
            runs[total_steps] = training.run
        return runs[total_steps]

    return run


def assert_same_bytes(one: Path, other: Path) -> None:
    command = [sys.executable, "-m", "td3_hpc", "checkpoint", "diff", str(one), str(other)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def answers(port: int) -> bool:
    """Whether a client on this machine reaches a simulator at the port."""
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(2.0)
    try:
        return client.get_server_version() == "0.9.16"
    except RuntimeError:
        return False


def test_a_stage_is_trained_in_the_container_where_no_strangers_client_reaches_its_simulator(
    make: Callable[..., Training],
) -> None:
    training = make("run", small_stage())
    training.submit(container={"network": "loopback"})
    training.wait_for(lambda: training.step() >= 10)
    address = training.simulator()

    assert not answers(address["port"])
    assert address["status"] == "ready"
    assert training.slurm.job(training.job)["JobState"] == "RUNNING", "the run ended before the stranger tried"

    training.finish()
    (attempt,) = training.events("attempt")
    assert attempt["resumed_from"] is None


@pytest.mark.long
def test_two_jobs_on_one_node_have_simulators_of_their_own(make: Callable[..., Training]) -> None:
    both = [make(name, interruptible(240)) for name in ("one", "two")]
    others = [both[0].slurm.node(number) for number in (2, 3)]
    for training in both:
        training.submit(exclude=others)
    for training in both:
        training.wait_for(lambda training=training: training.step() >= 10)  # type: ignore[misc]
    ports = {training.simulator()["port"] for training in both}

    assert len(ports) == 2
    assert all(answers(port) for port in ports), "on the node's own network, whoever knows the port gets an answer"
    for training in both:
        training.finish()
    assert_same_bytes(both[0].run, both[1].run)


@pytest.fixture(params=[0, 10, 30], ids="GraceTime={}".format)
def grace_time(request: pytest.FixtureRequest, slurm: SlurmCluster) -> Iterator[None]:
    """Gives the partition `grace` so many seconds."""
    update = ["scontrol", "update", "partitionname=grace"]
    slurm.run(*update, f"gracetime={request.param}")
    yield
    slurm.run(*update, f"gracetime={slurm.environment['TD3_HPC_CLUSTER_GRACE_S']}")


@pytest.mark.long
@pytest.mark.usefixtures("grace_time")
def test_preempted_in_exploration_learning_and_evaluation_it_ends_with_the_same_bytes(
    make: Callable[..., Training], uninterrupted: Callable[[int], Path]
) -> None:
    reference = uninterrupted(240)
    training = make("run", interruptible(240))
    training.submit(partition="grace")
    moments: list[Callable[[], bool]] = [
        lambda: 20 <= training.step() < 100,
        lambda: training.step() >= LEARNING_STARTS + 10,
        lambda: any(event["step"] == 240 for event in training.events("interval")),
    ]
    for number, moment in enumerate(moments, 1):
        training.wait_for(moment)
        training.preempt()
        training.wait_for(lambda number=number: len(training.events("stopped")) == number)  # type: ignore[misc]
        training.hurry()
    training.finish()

    first, second, third = (event["step"] for event in training.events("stopped"))
    assert first < LEARNING_STARTS < second < third == 240, "the preemptions came too late"
    evaluations = [event for event in training.events("evaluation") if event["step"] == 240]
    assert len(evaluations) == 1
    assert evaluations[0]["time"] > training.events("stopped")[-1]["time"], "the evaluation was over already"
    assert_same_bytes(training.run, reference)


@pytest.mark.long
def test_ended_by_its_time_limit_twice_it_ends_with_the_same_bytes(
    make: Callable[..., Training], uninterrupted: Callable[[int], Path]
) -> None:
    total_steps = 2400  # more than are made while Slurm takes its time to warn, on a fast machine, too
    training = make("run", interruptible(total_steps))
    training.submit(walltime_minutes=60, signal_lead_s=100)
    for number, first_step in ((1, LEARNING_STARTS), (2, LEARNING_STARTS + 1)):
        training.wait_for(lambda step=first_step: training.step() >= step)  # type: ignore[misc]
        training.wait_for(lambda number=number: len(training.events("attempt")) == number)  # type: ignore[misc]
        set_time_limit(training, minutes_run(training) + 2)  # Slurm warns at its next look, at most 30 s later
        training.wait_for(lambda number=number: len(training.events("stopped")) == number)  # type: ignore[misc]
        training.wait_for(lambda: training.slurm.job(training.job)["JobState"] == "PENDING")
        set_time_limit(training, 60)
        training.hurry()
    training.finish(600)

    assert [event["signal"] for event in training.events("stopped")] == ["SIGUSR1", "SIGUSR1"]
    stopped = [event["step"] for event in training.events("stopped")]
    assert all(LEARNING_STARTS <= step < total_steps for step in stopped), stopped
    assert_same_bytes(training.run, uninterrupted(total_steps))


def minutes_run(training: Training) -> int:
    hours, minutes, _ = training.slurm.job(training.job)["RunTime"].split(":")
    return int(hours) * 60 + int(minutes)


def set_time_limit(training: Training, minutes: int) -> None:
    training.slurm.run("scontrol", "update", f"jobid={training.job}", f"timelimit={minutes}")


@pytest.mark.long
def test_a_lost_nodes_run_goes_on_elsewhere_while_the_old_process_lives_and_ends_with_the_same_bytes(
    make: Callable[..., Training], uninterrupted: Callable[[int], Path]
) -> None:
    steps = 2000  # the old process must not reach the end before Slurm gives its node up and another one resumes
    reference = uninterrupted(steps)
    training = make("run", interruptible(steps))
    training.submit()
    training.wait_for(lambda: training.step() >= 20)
    lost = training.node
    number = number_of(lost)

    assert training.slurm.manage("kill-node", number).returncode == 0
    cut_off = training.step_clients()
    for client in cut_off:  # that Slurm has given the node up does not reach it, as when the network is lost
        client.suspend()

    try:
        training.wait_for(lambda: training.slurm.job(training.job)["Restarts"] == "1", 120)
        assert training.trainers() == 1, "the old process, which the lost node's Slurm can no longer end, is gone"
        training.wait_for(lambda: len(training.events("attempt")) == 2, 120)
        assert training.node != lost
        assert 0 < training.events("attempt")[1]["resumed_from"] < steps
        training.finish(600)
    finally:
        for client in cut_off:
            client.resume()
        assert training.slurm.manage("start-node", number).returncode == 0
        wait_until(lambda: training.slurm.node_state(lost) == "IDLE", 60)
    training.wait_for(lambda: "has taken this run over" in training.log())
    training.wait_for(lambda: f"on {lost}: stopped by Slurm" in training.log())
    assert training.outcome() in ("0", "3"), "the old attempt had the last word"
    assert_same_bytes(training.run, reference)


@pytest.mark.long
def test_where_the_simulator_never_comes_up_the_run_names_the_node_and_goes_on_on_another(
    make: Callable[..., Training], tmp_path: Path
) -> None:
    root = tmp_path / "carla"
    binary = root / CARLA_BINARY
    binary.parent.mkdir(parents=True)
    binary.write_text(
        "#!/bin/bash\n"
        'if [ "${SLURM_RESTART_COUNT:-0}" = 0 ]; then echo "no Vulkan device" >&2; exit 1; fi\n'
        "last=${!#}  # -carla-rpc-port=N\n"
        f"exec {sys.executable} -m td3_hpc.simulator --town Hamlet --port ${{last#*=}}\n"
    )
    binary.chmod(0o755)
    stage = small_stage()
    stage["simulator"].update(kind="carla", carla_root=str(root))
    training = make("run", stage)
    training.submit(container={"binds": [*host_binds(), f"{root}:{root}:ro"]})
    training.wait_for(lambda: bool(training.events("failed")))
    bad = training.node

    training.hurry()
    training.finish()

    assert training.node != bad
    assert "no Vulkan device" in training.log()
    assert f"the simulator never came up on {bad}" in training.log()


@pytest.fixture(scope="module")
def built_image(installable: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image that users build, with its packages inside."""
    return build("embedded", tmp_path_factory.mktemp("image") / "embedded.sif").path


@pytest.mark.long
@pytest.mark.parametrize("route", ["sbatch", "submitit"])
def test_the_image_that_users_build_trains_by_either_route(
    make: Callable[..., Training], built_image: Path, route: Route
) -> None:
    training = make("run", small_stage(), built_image)
    container = {"binds": [], "python": "/opt/td3-hpc/bin/python", "code": "image", "network": "loopback"}
    training.submit(route, container=container)

    training.finish()
