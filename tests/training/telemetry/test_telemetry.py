"""Telemetry on a real record and real TensorBoard files, fed with numbers made up here."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from td3_hpc.config import StageConfig
from td3_hpc.driving.reward import COMPONENTS
from td3_hpc.record import RunRecord
from td3_hpc.replay import ReplayBuffer
from td3_hpc.spaces import OBSERVATION
from td3_hpc.td3 import TD3Agent, UpdateStats
from td3_hpc.training.monitors.finite import NonFinite
from td3_hpc.training.telemetry.console import RunConsole
from td3_hpc.training.telemetry.telemetry import Telemetry
from td3_hpc.training.telemetry.tensorboard import TensorBoard
from tests.td3.batches import random_batch

GROUPS = ("critic_cnn", "critic", "actor_cnn", "actor")
MOTIONLESS = dict.fromkeys(COMPONENTS, 0.0)


def observation(**vector: float) -> dict[str, np.ndarray]:
    zeros = {entry.name: np.zeros(entry.shape, entry.dtype) for entry in OBSERVATION}
    for name, value in vector.items():
        zeros["vector"][int(name.removeprefix("v"))] = value
    return zeros


def stats(update: int, **changes: object) -> UpdateStats:
    """An update with nothing remarkable about it."""
    plain = {field.name: 0.1 for field in dataclasses.fields(UpdateStats)}
    norms = dict.fromkeys(GROUPS, 1.0)
    return UpdateStats(**{**plain, "update": update, "grad_norms_before": norms, "grad_norms_after": norms, **changes})


class Watched:
    """A telemetry with everything that it writes to."""

    def __init__(self, directory, **changes):
        directory.mkdir(exist_ok=True)
        self.config = StageConfig.model_validate(
            {
                "name": "watched",
                "training": {"total_steps": 1000, "learning_starts": 10},
                "logging": {"interval_steps": 10, "gradient_interval_updates": 100},
                "agent": {"batch_size": 8},
                "monitors": changes,
            }
        )
        self.record = RunRecord(directory)
        self.record.open()
        self.tensorboard = TensorBoard(directory / "tensorboard", enabled=True)
        self.tensorboard.open()
        self.directory = directory
        self.telemetry = Telemetry(self.config, self.record, self.tensorboard, RunConsole("watched", 1000, 0))

    def close(self):
        self.telemetry.close()
        self.tensorboard.close()
        self.record.close()

    def events(self, kind):
        events = [json.loads(line) for line in self.record.path.read_text().splitlines()]
        return [event for event in events if event["event"] == kind]

    def scalars(self, name):
        self.tensorboard.sizes()
        events = EventAccumulator(str(self.directory / "tensorboard"))
        events.Reload()
        return [(event.step, event.value) for event in events.Scalars(name)]

    def steps(self, first, last):
        for step in range(first, last + 1):
            self.telemetry.step(step, np.zeros(2), 0.1, {**MOTIONLESS, "progress": 0.3, "comfort": -0.1}, random=True)


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads would wait for each other where tests run side by side."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def watched(tmp_path):
    made = []

    def make(name="run", **changes):
        made.append(Watched(tmp_path / name, **changes))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_an_interval_tells_shares_norms_and_the_buffers_contents(watched):
    run = watched()
    agent, replay = TD3Agent(run.config.agent, "cpu", 1), ReplayBuffer(100, np.random.default_rng(1))
    run.telemetry.watch(agent, replay)
    for episode in range(4):
        replay.begin(observation())
        for decision in range(5):
            replay.add(np.zeros(2, np.float32), 0.0, observation(), decision == 4 and episode == 0, decision == 4)
    run.steps(1, 10)
    (interval,) = run.events("interval")
    assert interval["reward_share/progress"] == pytest.approx(0.75)
    assert interval["reward_share/safety"] == 0
    assert (
        interval["parameters/actor"]
        == pytest.approx(interval["parameters/actor_target"])
        == pytest.approx(
            math.sqrt(sum(float((parameter.detach() ** 2).sum()) for parameter in agent.actor.parameters())), rel=1e-4
        )
    )
    assert {name: interval[f"replay/{name}"] for name in ("transitions", "episodes", "terminated", "truncated")} == {
        "transitions": 20,
        "episodes": 4,
        "terminated": 0.25,
        "truncated": 0.75,
    }
    assert interval["replay/fill"] == 0.24


def test_the_buffers_contents_are_those_of_its_ring(watched):
    run = watched()
    replay = ReplayBuffer(25, np.random.default_rng(1))
    run.telemetry.watch(TD3Agent(run.config.agent, "cpu", 1), replay)
    for _ in range(9):  # 54 rows
        replay.begin(observation())
        for decision in range(5):
            replay.add(np.zeros(2, np.float32), 0.0, observation(), decision == 4, False)
    run.steps(1, 10)
    (interval,) = run.events("interval")
    assert (interval["replay/fill"], interval["replay/episodes"], interval["replay/terminated"]) == (1.0, 5, 1.0)
    assert interval["replay/transitions"] == 20


def test_growth_is_called_before_the_limit_is_crossed(watched):
    run = watched()
    for update in range(1, 301):
        norms = dict.fromkeys(GROUPS, 1.0)
        if update % 2:
            del norms["actor_cnn"], norms["actor"]
        else:
            norms["actor_cnn"] = 5191 * (update / 100) ** 4.65
        run.telemetry.update(stats(update, grad_norms_before=norms, grad_norms_after=norms), update, 10 + update)
    alerts = run.events("alert")
    assert [(event["name"], event["level"], event["active"]) for event in alerts] == [
        ("actor_cnn_growth", "warning", True),
        ("actor_cnn_gradient", "critical", True),
    ]
    assert 0 < alerts[0]["updates_to_limit"] <= 200
    assert alerts[0]["norm"] < 10_000 < alerts[1]["value"]
    gradients = run.events("gradients")
    assert [event["update"] for event in gradients] == [100, 200, 300]
    assert gradients[0]["growth"]["actor_cnn"] > 10
    assert gradients[0]["growth"]["critic"] == pytest.approx(1.0)
    assert set(gradients[0]["updates_to_limit"]) == {"actor_cnn"}


def test_an_alert_is_a_curve_of_noughts_and_ones(watched):
    run = watched()
    run.steps(1, 10)
    run.telemetry.update(stats(1, q_max=1e6), 1, 11)
    for update, first in enumerate(range(11, 51, 10), 2):
        run.steps(first, first + 8)
        run.telemetry.update(stats(update), update, first + 9)
        run.steps(first + 9, first + 9)
    points = run.scalars("alerts/q_magnitude")
    assert points == [(10, 0), (11, 1), (20, 1), (30, 1), (40, 1), (50, 0), (50, 0)]
    assert [event["active"] for event in run.events("alert") if event["name"] == "q_magnitude"] == [True, False]


def test_an_alert_is_told(watched, tmp_path):
    run = watched(alerts={"command": f"cat >> {tmp_path}/told"})
    run.telemetry.update(stats(1, q_max=1e6), 1, 11)
    run.telemetry.close()
    assert "q_magnitude" in (tmp_path / "told").read_text()


def test_a_notification_that_fails_is_in_the_record(watched):
    run = watched(alerts={"command": "exit 3"})
    run.telemetry.update(stats(1, q_max=1e6), 1, 11)
    run.telemetry.close()
    assert [event["reason"] for event in run.events("notification_failed")] == ["q_magnitude: command: exit code 3"]


BROKEN = {
    "observation": (lambda run: run.telemetry.observation(observation(v7=math.nan)), r"vector\[7\]"),
    "reward": (
        lambda run: run.telemetry.step(1, np.zeros(2), math.inf, {**MOTIONLESS, "progress": math.inf}, False),
        "progress",
    ),
    "loss": (lambda run: run.telemetry.update(stats(1, critic_loss=math.nan), 1, 11), "critic_loss"),
    "gradient": (
        lambda run: run.telemetry.update(stats(1, grad_norms_before={"actor_cnn": math.inf}), 1, 11),
        "gradient norm of actor_cnn",
    ),
    "network": (
        lambda run: run.telemetry.check_agent({"actor": {"bias": np.array([1.0, math.nan])}}, "the networks"),
        r"actor\.bias \(1 of 2 numbers\)",
    ),
}


@pytest.mark.parametrize("where", BROKEN)
def test_nan_and_infinity_end_the_run_wherever_they_are(watched, where):
    run = watched()
    act, named = BROKEN[where]
    with pytest.raises(NonFinite, match=named):
        act(run)
    assert [(event["name"], event["level"]) for event in run.events("alert")] == [("non_finite", "critical")]


def test_the_agents_own_tree_is_searched_whole():
    from td3_hpc.training.monitors.finite import non_finite_entries

    agent = TD3Agent(StageConfig.model_fields["agent"].get_default(), "cpu", 1)
    tree = agent.state()
    assert list(non_finite_entries(tree)) == []
    tree["critic_optimizer"]["q1.last.weight"]["exp_avg_sq"][0, 3] = math.inf
    assert list(non_finite_entries(tree)) == ["critic_optimizer.q1.last.weight.exp_avg_sq (1 of 256 numbers)"]
    tree["critic_optimizer"]["q1.last.weight"]["exp_avg_sq"][:] = 3e38
    assert list(non_finite_entries(tree)) == [], "a sum that overflows is no infinity in it"


def test_mechanisms_are_checked_with_and_without_the_policy(watched):
    run = watched(mechanisms_every_updates=4)
    agent = TD3Agent(run.config.agent, "cpu", 1)
    for update in range(1, 13):
        batch = random_batch(8, update)
        run.telemetry.before_update(agent, batch)
        run.telemetry.update(agent.update(batch), update, 10 + update)
    events = run.events("mechanisms")
    assert [(event["update"], event["actor_updated"]) for event in events] == [
        (4, True),
        (9, False),
        (12, True),
    ]
    assert [event["faults"] for event in events] == [[], [], []]


def test_the_worse_component_s_saturation_is_told_and_watched(watched):
    run = watched(action_saturation=0.9)
    for update, pedal in enumerate((1.0, 0.9, None), 1):
        run.telemetry.update(stats(update, saturation_steering=pedal and 0.0, saturation_pedal=pedal), update, update)
    run.steps(1, 10)
    (interval,) = run.events("interval")
    shares = {name: interval[f"policy_saturation_{name}"] for name in ("steering", "pedal", "worst")}
    assert shares == pytest.approx({"steering": 0, "pedal": 0.95, "worst": 0.95})
    assert run.scalars("train/policy_saturation_worst") == [(10, pytest.approx(0.95))]
    assert [(event["name"], event["value"]) for event in run.events("alert")] == [("action_saturation", 0.95)]


def test_the_range_of_q_is_told(watched):
    run = watched()
    run.telemetry.update(stats(1, q_min=-3.0, q_max=2.0), 1, 1)
    run.telemetry.update(stats(2, q_min=-1.0, q_max=4.0), 2, 2)
    run.steps(1, 10)
    (interval,) = run.events("interval")
    assert (interval["q_min"], interval["q_max"]) == (-3, 4)


def test_the_features_are_read_where_gradients_are(watched):
    run = watched()
    agent = TD3Agent(run.config.agent, "cpu", 1)
    for update in range(99, 102):
        agent.updates = update - 1
        batch = random_batch(8, update)
        run.telemetry.before_update(agent, batch)
        run.telemetry.update(agent.update(batch), update, update)
    (event,) = run.events("features")
    assert event["update"] == 100
    assert event["feature_spread"].keys() == event["feature_drift"].keys() == {"actor", "critic"}
    names = ("actor_spread", "critic_spread", "picture_spread", "vector_spread", "actor_drift", "critic_drift")
    assert all(run.scalars(f"features/{name}")[0][0] == 100 for name in names)


def test_a_restored_one_goes_on_as_if_it_had_never_stopped(watched):
    def feed(telemetry, updates):
        random = np.random.default_rng(0)
        for update in range(1, 200):
            norms = {group: 100 * 1.02**update * math.exp(random.normal()) for group in GROUPS}
            if update in updates:
                telemetry.update(stats(update, grad_norms_before=norms, q_max=norms["actor"]), update, update)
                telemetry.step(update, np.zeros(2), 0.1, MOTIONLESS, random=False)

    whole, first, second = watched("whole"), watched("first"), watched("second")
    feed(whole.telemetry, range(1, 200))
    feed(first.telemetry, range(1, 133))
    second.telemetry.load_state(first.telemetry.state())
    feed(second.telemetry, range(133, 200))
    assert repr(second.telemetry.state()) == repr(whole.telemetry.state())
    told = [(event["name"], event["active"], event["value"]) for event in whole.events("alert")]
    assert told
    assert told == [
        (event["name"], event["active"], event["value"]) for run in (first, second) for event in run.events("alert")
    ]
