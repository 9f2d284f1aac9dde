"""The check of TD3's mechanisms: silent on the agent, loud on agents that are wrong in one way each."""

import pytest
import torch

from td3_hpc.config import AgentConfig
from td3_hpc.td3 import MechanismProbe, TD3Agent
from td3_hpc.td3.networks import TwinCriticNetwork
from tests.td3.batches import leaves, random_batch


class MaximumOfTwins(TD3Agent):
    """Backs up the larger twin: both twins of the target answer with it."""

    def update(self, batch):
        critic = self.critic_target
        forward = TwinCriticNetwork.forward

        def larger(observation, action):
            q = torch.maximum(*forward(critic, observation, action))
            return q, q

        critic.forward = larger
        try:
            return super().update(batch)
        finally:
            del critic.forward


def updating_with(**changes: float) -> type[TD3Agent]:
    """An agent whose updates use other settings than it says."""

    class Changed(TD3Agent):
        def update(self, batch):
            config = self.config
            self.config = config.model_copy(update=changes)
            try:
                return super().update(batch)
            finally:
                self.config = config

    return Changed


class ValueAfterTheEnd(TD3Agent):
    """Values the state after a terminal transition."""

    def update(self, batch):
        return super().update(type(batch)(**{**vars(batch), "terminated": batch.terminated & False}))


class TargetsThatStay(TD3Agent):
    """Forgets to move the targets."""

    def _move(self, target, online):
        pass


class LostPolicyUpdates(TD3Agent):
    """Steps the policy with a learning rate of zero."""

    def update(self, batch):
        for group in self.actor_optimizer.groups:
            group.rate = 0.0
        return super().update(batch)


def checked(kind: type[TD3Agent], precision: str = "float32", updates: int = 4, **config: object) -> list[list[str]]:
    """The faults of some updates of an agent of that kind."""
    agent = kind(AgentConfig.model_validate({"precision": precision, **config}), "cpu", 1)
    faults = []
    for update in range(1, updates + 1):
        batch = random_batch(40, update)
        probe = MechanismProbe(agent, batch)
        faults.append(probe.check(agent.update(batch)).faults())
    return faults


@pytest.mark.parametrize(("precision", "policy_freq"), [("float32", 2), ("float32", 3), ("bfloat16", 2)])
def test_nothing_is_wrong_with_the_agent(precision, policy_freq):
    assert checked(TD3Agent, precision, policy_freq=policy_freq) == [[]] * 4


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (MaximumOfTwins, "min(Q1', Q2')"),
        (ValueAfterTheEnd, "min(Q1', Q2')"),
        (updating_with(discount=0.9), "min(Q1', Q2')"),
        (updating_with(policy_noise=0.0), "smoothing noise"),
        (updating_with(noise_clip=10.0), "beyond noise_clip"),
        (updating_with(policy_freq=1), "out of turn"),
        (updating_with(tau=0.01), "did not move by tau"),
        (TargetsThatStay, "the targets did not move"),
        (LostPolicyUpdates, "an actor update is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_an_agent_that_is_wrong_is_found_out(kind, said):
    faults = [fault for faults in checked(kind) for fault in faults]
    assert any(said in fault for fault in faults), faults


def test_the_wider_tolerance_of_bfloat16_still_tells_the_minimum_from_the_maximum():
    assert all(checked(MaximumOfTwins, "bfloat16", updates=2))


def test_the_check_leaves_no_trace():
    watched, unwatched = (TD3Agent(AgentConfig(), "cpu", 1) for _ in range(2))
    for update in range(1, 4):
        batch = random_batch(8, update)
        probe = MechanismProbe(watched, batch)
        probe.check(watched.update(batch))
        unwatched.update(batch)
    assert leaves(watched.state()) == leaves(unwatched.state())


def test_a_batch_smaller_than_the_sample_is_checked_whole():
    agent = TD3Agent(AgentConfig(), "cpu", 1)
    batch = random_batch(3, 1)
    probe = MechanismProbe(agent, batch)
    check = probe.check(agent.update(batch))
    assert check.faults() == []
    assert check.target_max_error < 1e-5
