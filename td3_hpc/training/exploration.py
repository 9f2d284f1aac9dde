"""How training explores beside the noise on each action: what an episode's noise is, and what ends standing still."""

from td3_hpc.config import StageConfig
from td3_hpc.training.env_slot import EnvSlot
from td3_hpc.training.seeding import derived_seed


def noise_of_episode(config: StageConfig, index: int) -> float:
    """Standard deviation of the exploration noise in a run's episode of this number: between the least and the
    largest, uniform, a function of the run's seed and the number."""
    least, largest = config.agent.least_exploration_noise, config.agent.exploration_noise
    if least is None:
        return largest
    return least + derived_seed(config.seed, "exploration noise", index) / 2**63 * (largest - least)


def has_to_explore(slot: EnvSlot, after_standing: int | None) -> bool:
    """Whether the ego has stood for so many decisions that a random action takes the policy's place, or holds one."""
    return after_standing is not None and (slot.held_for > 0 or slot.standing >= after_standing)
