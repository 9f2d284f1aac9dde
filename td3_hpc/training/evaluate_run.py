"""`td3-hpc evaluate`: a checkpoint's deterministic policy on the held-out routes."""

import tempfile
from pathlib import Path

from td3_hpc.checkpoint import open_checkpoint
from td3_hpc.config import StageConfig, load_stage
from td3_hpc.errors import BadInput
from td3_hpc.td3 import TD3Agent
from td3_hpc.training.device import choose_device
from td3_hpc.training.evaluation import EvaluationResult, evaluate
from td3_hpc.training.record import CONFIG_FILE, RunRecord
from td3_hpc.training.seeding import derived_seed
from td3_hpc.training.signals import StopFlag
from td3_hpc.training.simulation import Simulation


def evaluate_run(path: Path, episodes: int | None) -> tuple[StageConfig, int, EvaluationResult]:
    """Drive a run's newest checkpoint, or the one at a manifest, on as many held-out routes as asked for (all of them).

    Nothing is written into the run directory. Returns the configuration, the checkpoint's step and the result. Raises
    BadInput where there is no checkpoint, StopRequested on a stop signal.
    """
    checkpoint = open_checkpoint(path)
    config_path = checkpoint.run_dir / CONFIG_FILE
    if not config_path.exists():
        raise BadInput(f"{checkpoint.run_dir}: no {CONFIG_FILE} beside the checkpoint; copy the run directory whole")
    config = load_stage(config_path)
    agent = TD3Agent(config.agent, choose_device(config), derived_seed(config.seed, "agent"))
    agent.load_state(checkpoint.state()["agent"])
    routes = config.environment.route.evaluation_routes
    with tempfile.TemporaryDirectory(prefix="td3-hpc-evaluate-") as directory, StopFlag() as stop:
        record = RunRecord(Path(directory))
        record.open()
        simulation = Simulation(config, "evaluation", Path(directory), record, stop)
        try:
            simulation.start()
            result = evaluate(
                agent.act,
                simulation,
                cycle=1,
                episodes=episodes or routes,
                routes=routes,
                seed=config.seed,
                stop=stop,
            )
        finally:
            simulation.close()
            record.close()
    return config, checkpoint.manifest.step, result
