"""The same random transitions for our replay buffer and for Stable-Baselines3's."""

from collections.abc import Iterator

import numpy as np
from stable_baselines3.common.buffers import DictReplayBuffer

from td3_hpc.replay import ReplayBuffer
from td3_hpc.spaces import ACTION, Observation, gymnasium_spaces, random_observation

EPISODE = 200
OBSERVATION_SPACE, ACTION_SPACE = gymnasium_spaces()


def transitions(count: int) -> Iterator[tuple[Observation, np.ndarray, float, Observation, bool]]:
    """`count` steps of episodes of 200: observation, action, reward, next observation, truncated."""
    random = np.random.default_rng(0)
    for step in range(count):
        if step % EPISODE == 0:
            observation = random_observation(random)
        following = random_observation(random, observation)
        yield observation, ACTION.random(random), float(random.normal()), following, step % EPISODE == EPISODE - 1
        observation = following


def fill_ours(count: int) -> ReplayBuffer:
    """Our buffer, just large enough."""
    replay = ReplayBuffer(count + count // EPISODE + 1, np.random.default_rng(1))
    for observation, action, reward, following, truncated in transitions(count):
        if not replay.in_episode():
            replay.begin(observation)
        replay.add(action, reward, following, False, truncated)
    return replay


def fill_theirs(buffer: DictReplayBuffer, count: int) -> None:
    """Stable-Baselines3's."""
    for observation, action, reward, following, truncated in transitions(count):
        now, then = ({name: array[None] for name, array in o.items()} for o in (observation, following))
        infos = [{"TimeLimit.truncated": truncated}]
        # its annotations are the parent class's, which stores arrays
        buffer.add(now, then, action[None], np.array([reward]), np.array([truncated]), infos)  # type: ignore[arg-type]
