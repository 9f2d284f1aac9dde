"""The same random transitions for our replay buffer and for Stable-Baselines3's."""

from collections.abc import Iterator

import gymnasium
import numpy as np
from stable_baselines3.common.buffers import DictReplayBuffer

from td3_hpc.replay import ReplayBuffer

EPISODE = 200
OBSERVATION_SPACE = gymnasium.spaces.Dict(
    image=gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8),
    vector=gymnasium.spaces.Box(-1, 1, (53,), np.float32),
)
ACTION_SPACE = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

Observation = dict[str, np.ndarray]


def transitions(count: int) -> Iterator[tuple[Observation, np.ndarray, float, Observation, bool]]:
    """`count` steps of episodes of 200: observation, action, reward, next observation, truncated."""
    random = np.random.default_rng(0)

    def observe(frames: np.ndarray) -> Observation:
        return {"image": frames, "vector": random.uniform(-1, 1, 53).astype(np.float32)}

    for step in range(count):
        if step % EPISODE == 0:
            observation = observe(np.repeat(random.integers(0, 256, (1, 84, 84), dtype=np.uint8), 4, 0))
        frame = random.integers(0, 256, (1, 84, 84), dtype=np.uint8)
        following = observe(np.concatenate([observation["image"][1:], frame]))
        action = random.uniform(-1, 1, 2).astype(np.float32)
        yield observation, action, float(random.normal()), following, step % EPISODE == EPISODE - 1
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
        batch_of_one = [{name: array[None] for name, array in o.items()} for o in (observation, following)]
        infos = [{"TimeLimit.truncated": truncated}]
        buffer.add(*batch_of_one, action[None], np.array([reward]), np.array([truncated]), infos)
