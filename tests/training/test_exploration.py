"""Random actions where the ego stands."""

import signal

import numpy as np
import pytest

from td3_hpc.checkpoint import open_checkpoint
from td3_hpc.config import AgentConfig, StageConfig
from td3_hpc.record import RECORD_FILE, Interval, RunRecord, read_events
from td3_hpc.spaces import OBSERVATION
from td3_hpc.td3 import TD3Agent
from td3_hpc.td3.agent import RANDOM_DECISIONS
from td3_hpc.training.env_slot import EnvSlot
from td3_hpc.training.exploration import choose_actions
from td3_hpc.training.signals import StopFlag
from td3_hpc.training.simulation import Simulation
from tests.small_stage import SMALL

AFTER = 10


@pytest.fixture
def actions_of(tmp_path):
    """The actions of a slot whose ego has stood for so many decisions at each step, and the policy's own."""
    agent = TD3Agent(AgentConfig(exploration_noise=0.0), "cpu", seed=1)
    stage = StageConfig.model_validate(SMALL)
    slot = EnvSlot(0, Simulation(stage, "training", tmp_path, RunRecord(tmp_path), StopFlag()))
    slot.observation = {entry.name: np.zeros(entry.shape, entry.dtype) for entry in OBSERVATION}

    def actions(standing, after):
        training = stage.training.model_copy(update={"explore_after_standing": after})
        chosen = []
        for step, slot.standing in enumerate(standing, training.learning_starts):
            choose_actions(agent, [slot], step, training)
            chosen.append(slot.action)
        return chosen, agent.act(slot.observation)

    return actions


def test_an_ego_that_has_stood_tries_a_random_action_and_holds_it_though_it_moves(actions_of):
    chosen, policy = actions_of([AFTER - 1, AFTER] + [0] * RANDOM_DECISIONS[1], AFTER)
    own = [np.array_equal(action, policy) for action in chosen]
    held = own.index(True, 1) - 1
    assert own[0]
    assert RANDOM_DECISIONS[0] <= held <= RANDOM_DECISIONS[1]
    assert all(np.array_equal(action, chosen[1]) for action in chosen[1 : held + 1])
    assert all(own[held + 1 :]), "the policy decides again"


def test_without_it_the_policy_decides_every_step(actions_of):
    chosen, policy = actions_of([0, 5, 500, 1000], None)
    assert all(np.array_equal(action, policy) for action in chosen)


def test_a_run_counts_for_how_long_its_ego_stands(make_run):
    """The first random action of this seed hardly moves the car, nor does a policy that has learnt nothing."""
    run = make_run(
        **{
            "training.total_steps": 100,
            "training.learning_starts": 1,
            "training.explore_after_standing": 2,
            "environment.max_decisions": 200,
            "evaluation.every_steps": 100,
            "agent.learning_rates.actor": 1e-12,
            "logging.interval_steps": 1,
        }
    )
    run.start()
    run.wait_for(lambda run: len(run.events("interval")) >= 30)
    run.process.send_signal(signal.SIGTERM)  # before anything is evaluated
    code, output = run.finish()
    assert code == 75, output
    assert not run.events("episode"), "the test is made for one episode in progress"
    random = sum(interval.random_actions for interval in read_events(run.directory / RECORD_FILE, Interval))
    (rollout,) = open_checkpoint(run.directory).state()["rollouts"].values()
    actions = rollout["episode"]["actions"]
    held = [index for index in range(2, len(actions)) if np.array_equal(actions[index], actions[index - 1])]
    assert len(held) >= RANDOM_DECISIONS[0] - 1, "the policy's noise makes no action twice"
    assert len(held) < random < len(actions), "the record counts them as random, and the policy's as its own"
