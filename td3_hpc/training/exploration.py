"""How a training environment's next action is found: at random, or by the policy with noise."""

from collections.abc import Sequence

from td3_hpc.config import TrainingConfig
from td3_hpc.spaces import Observation
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.env_slot import EnvSlot


def choose_actions(agent: TD3Agent, slots: Sequence[EnvSlot], step: int, config: TrainingConfig) -> None:
    """Decide for the steps after `step`, a slot each: at random before learning starts and where the ego stands, else
    by the policy, in one pass."""
    decided = []
    for number, slot in enumerate(slots, step + 1):
        if number > config.learning_starts and not _has_to_explore(slot, config.explore_after_standing):
            decided.append(slot)
            continue
        if slot.held is None or slot.held_for == 0:
            slot.held, slot.held_for = agent.random_action()
        slot.held_for -= 1
        slot.action = slot.held
    if decided:
        for slot, action in zip(decided, agent.explore([_newest(slot) for slot in decided]), strict=True):
            slot.action = action


def _has_to_explore(slot: EnvSlot, after_standing: int | None) -> bool:
    """Whether the ego has stood for so many decisions that a random action takes the policy's place, or holds one."""
    return after_standing is not None and (slot.held_for > 0 or slot.standing >= after_standing)


def _newest(slot: EnvSlot) -> Observation:
    assert slot.observation is not None, "an episode is in progress"
    return slot.observation
