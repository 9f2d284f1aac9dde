"""What was expected against what was earned, over episodes by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from td3_hpc.training.evaluation.values import EVERY, REST, States, Value, discounted_returns


@given(st.lists(st.floats(-2, 2), max_size=60), st.floats(0, 0.999))
def test_a_return_is_the_sum_of_what_follows(rewards, discount):
    returns = discounted_returns(rewards, discount)
    by_hand = [sum(discount**k * reward for k, reward in enumerate(rewards[i:])) for i in range(len(rewards))]
    assert returns.tolist() == pytest.approx(by_hand, abs=1e-9)


def driven(length, terminated, discount=0.9, reward=1.0):
    """An episode whose observation counts its decisions; the driver's value of a state is that number."""
    states = States(Value(lambda observations, actions: observations["number"] + actions[:, 0], discount))
    for number in range(length):
        states.decide({"number": np.float64(number)}, np.array([0.5, 0.0], np.float32))
        states.earn(reward)
    states.end(terminated)
    return states


def test_every_tenth_state_of_a_terminated_episode_counts_with_what_was_earned_from_there():
    states = driven(25, terminated=True)
    assert EVERY == 10
    assert states.expected == [0.5, 10.5, 20.5], "the value of the state and of the action taken there"
    assert states.earned == pytest.approx([(1 - 0.9**n) / 0.1 for n in (25, 15, 5)])


@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99])
def test_the_end_of_a_truncated_episode_is_left_out(discount):
    """What would have followed weighs at most REST of its value in every return that counts."""
    states = driven(700, terminated=False, discount=discount)
    last = EVERY * (len(states.earned) - 1)
    assert discount ** (700 - last) <= REST < discount ** (700 - last - EVERY)
    assert driven(5, terminated=False, discount=discount).as_fields() == {}


def test_a_discount_of_zero_counts_all_but_the_last_decision():
    assert len(driven(20, terminated=False, discount=0.0).earned) == 2


def test_the_record_is_told_the_means_over_all_episodes():
    fields = States.together([driven(10, True), driven(20, True)]).as_fields()
    assert fields["value_states"] == 3
    assert fields["q_estimate"] == pytest.approx((0.5 + 0.5 + 10.5) / 3)


def test_a_driver_without_an_opinion_keeps_nothing():
    states = States()
    states.decide({"number": np.zeros(1)}, np.zeros(2, np.float32))
    states.earn(1.0)
    states.end(terminated=True)
    assert states.as_fields() == {}
