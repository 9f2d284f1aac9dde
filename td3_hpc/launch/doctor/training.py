"""The simulator, the learner and a checkpoint, each with the stage's own settings."""

import shutil
import time
from collections.abc import Callable

import numpy as np

from td3_hpc.launch.doctor.context import Context
from td3_hpc.launch.doctor.node import used_gpu_mib
from td3_hpc.launch.doctor.result import Learning, Saving, SimulationSpeed
from td3_hpc.spaces import ACTION, IMAGE, random_observation

DRIVE_S = 4.0
LEARN_S = 4.0
LEAST_UPDATES = 3
SEED = 1


def measure_simulation(context: Context) -> SimulationSpeed:
    """Start the simulator, look at one frame, and drive at random."""
    import td3_hpc

    gpu_before = used_gpu_mib()
    worker = context.worker()
    frame = IMAGE.newest(worker.reset(SEED)[IMAGE.name])
    draw = np.random.default_rng(SEED)
    steps, started = 0, time.monotonic()
    while time.monotonic() < started + DRIVE_S:
        worker.send(ACTION.random(draw))
        result = worker.receive()
        steps += 1
        if result.terminated or result.truncated:
            worker.reset(SEED + steps)
    return SimulationSpeed(
        version=td3_hpc.CARLA_VERSION,  # any other is refused by the client
        ready_s=context.ready_s,
        frame=list(frame.shape),
        frame_values=len(np.unique(frame)),
        steps_per_s=steps / (time.monotonic() - started),
        gpu_mib=_more(gpu_before, used_gpu_mib()),
    )


def measure_learning(context: Context) -> Learning:
    """Fill a small buffer by driving, update, then step and update at once, as the training loop does."""
    from td3_hpc.replay import ReplayBuffer
    from td3_hpc.td3 import TD3Agent
    from td3_hpc.training.device import choose_device
    from td3_hpc.training.seeding import generator

    worker, stage = context.worker(), context.stage
    gpu_before = used_gpu_mib()
    device = choose_device(stage)
    agent = TD3Agent(stage.agent, device, SEED)
    replay = ReplayBuffer(1000, generator(SEED, "replay"))

    def step(update: bool) -> None:
        if not replay.in_episode():
            replay.begin(worker.reset(SEED + replay.next_row))
        action, _ = agent.random_action()
        worker.send(action)
        if update:
            agent.update(replay.sample(stage.agent.batch_size))
        result = worker.receive()
        replay.add(action, result.reward, result.observation, result.terminated, result.truncated)

    for _ in range(20):
        step(update=False)
    for _ in range(stage.agent.policy_freq):  # the first ones allocate memory and choose algorithms
        agent.update(replay.sample(stage.agent.batch_size))
    updates = _rate(lambda: agent.update(replay.sample(stage.agent.batch_size)))
    return Learning(
        device=str(device),
        batch_size=stage.agent.batch_size,
        updates_per_s=updates,
        steps_per_s=_rate(lambda: step(update=True)),
        gpu_mib=_more(gpu_before, used_gpu_mib()),
    )


def _more(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(0, after - before)


def _rate(work: Callable[[], object]) -> float:
    """Calls a second, over LEARN_S seconds and at least LEAST_UPDATES."""
    count, started = 0, time.monotonic()
    while count < LEAST_UPDATES or time.monotonic() < started + LEARN_S:
        work()
        count += 1
    return count / (time.monotonic() - started)


def measure_saving(context: Context) -> Saving:
    """One checkpoint of an agent of the stage's size, with a full segment of rows, into the run directory."""
    from td3_hpc.checkpoint import CheckpointStore
    from td3_hpc.checkpoint.segments import SEGMENT_ROWS
    from td3_hpc.replay import ReplayBuffer
    from td3_hpc.td3 import TD3Agent
    from td3_hpc.training.seeding import generator

    stage, folder = context.stage, context.run_dir / "checkpoint"
    replay = ReplayBuffer(SEGMENT_ROWS, generator(SEED, "replay"))
    observation = random_observation(np.random.default_rng(SEED))
    replay.begin(observation)
    for _ in range(SEGMENT_ROWS - 1):
        replay.add(np.zeros(ACTION.shape, ACTION.dtype), 0.0, observation, False, False)
    agent = TD3Agent(stage.agent, "cpu", SEED)
    store = CheckpointStore(folder, stage.checkpoint)
    store.open_for_writing()
    try:
        info = store.save(1, {"agent": agent.state(), "replay": replay.state()}, replay)
        return Saving(seconds=info.seconds, bytes=info.bytes)
    finally:
        store.close()
        shutil.rmtree(folder)
