import numpy as np
import pytest

from td3_hpc.config import AgentConfig
from td3_hpc.replay import ReplayBuffer
from td3_hpc.spaces import IMAGE, VECTOR
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.policy_motion import OBSERVATIONS, PolicyMotion


def make_agent():
    return TD3Agent(AgentConfig(batch_size=4, hidden=[8]), "cpu", seed=1)


def fill(buffer, rows, seed=0):
    """One long episode of noise."""
    rng = np.random.default_rng(seed)

    def observation(stack):
        return {IMAGE.name: stack, VECTOR.name: rng.uniform(-1, 1, VECTOR.shape).astype(np.float32)}

    stack = np.repeat(rng.integers(0, 255, (1, *IMAGE.shape[1:]), np.uint8), IMAGE.shape[0], 0)
    buffer.begin(observation(stack))
    for number in range(rows):
        stack = np.concatenate([stack[1:], rng.integers(0, 255, (1, *IMAGE.shape[1:]), np.uint8)])
        buffer.add(np.zeros(2, np.float32), 0.0, observation(stack), False, number == rows - 1)


@pytest.fixture
def buffer():
    buffer = ReplayBuffer(400, np.random.Generator(np.random.PCG64(0)))
    fill(buffer, 300)
    return buffer


def test_a_policy_that_stands_still_has_no_motion_and_one_that_learns_has(buffer):
    agent, motion = make_agent(), PolicyMotion()
    assert motion.measure(agent, buffer, 100) is None, "there is nothing to compare the first one with"
    assert motion.measure(agent, buffer, 100) == 0
    before = [agent.act(observation) for observation in _each(buffer, motion)]
    for _ in range(4):
        agent.update(buffer.sample(4))
    after = [agent.act(observation) for observation in _each(buffer, motion)]
    moved = motion.measure(agent, buffer, 100)
    assert moved == pytest.approx(np.abs(np.array(after) - np.array(before)).mean(), rel=1e-3)
    assert 0 < moved < 2


def _each(buffer, motion):
    observations = buffer.observations(motion.state()["rows"])
    assert len(observations[VECTOR.name]) == OBSERVATIONS
    return [{name: array[index] for name, array in observations.items()} for index in range(OBSERVATIONS)]


def test_rows_that_are_overwritten_make_no_number_and_then_others_are_taken(buffer):
    agent, motion = make_agent(), PolicyMotion()
    motion.measure(agent, buffer, 0)
    fill(buffer, 150, seed=1)
    assert motion.measure(agent, buffer, 0) is None
    assert motion.measure(agent, buffer, 0) == 0


def test_the_rows_looked_at_outlive_the_steps_until_the_next_cycle():
    buffer = ReplayBuffer(1000, np.random.Generator(np.random.PCG64(0)))
    fill(buffer, 900)
    agent, motion = make_agent(), PolicyMotion()
    assert motion.measure(agent, buffer, 400) is None
    for cycle in range(4):  # the ring comes round more than once
        fill(buffer, 400, seed=cycle)
        assert motion.measure(agent, buffer, 400) == 0, f"cycle {cycle} has nothing to compare with"


def test_a_buffer_that_is_too_small_for_that_makes_no_number():
    buffer = ReplayBuffer(600, np.random.Generator(np.random.PCG64(0)))
    agent, motion = make_agent(), PolicyMotion()
    for cycle in range(3):
        fill(buffer, 590, seed=cycle)
        assert motion.measure(agent, buffer, 590) is None


def test_few_rows_are_compared_with_themselves_and_more_are_taken_later():
    buffer = ReplayBuffer(400, np.random.Generator(np.random.PCG64(0)))
    fill(buffer, 20)
    agent, motion = make_agent(), PolicyMotion()
    assert motion.measure(agent, buffer, 100) is None
    fill(buffer, 300, seed=1)
    assert motion.measure(agent, buffer, 100) == 0
    assert len(motion.state()["rows"]) == OBSERVATIONS


def test_a_restored_one_goes_on_alike(buffer):
    agent, motion, restored = make_agent(), PolicyMotion(), PolicyMotion()
    motion.measure(agent, buffer, 100)
    restored.load_state(motion.state())
    agent.update(buffer.sample(4))
    agent.update(buffer.sample(4))
    assert restored.measure(agent, buffer, 100) == motion.measure(agent, buffer, 100) > 0
