"""`python -m td3_hpc.supervision.remote_supervisor CONFIG --run-dir RUN --number I --host ADDRESS`

A training simulator's supervisor on another node than the learner's, started there by Slurm as a step of the job.
It ends when its standard input does. The learner's side of it is `remote_supervisor_handle.py`.
"""

import argparse
from pathlib import Path

from td3_hpc.config import load_stage
from td3_hpc.supervision.learner_link import FileLink
from td3_hpc.supervision.supervisor import supervise
from td3_hpc.supervision.supervisor_handle import simulator_name, simulator_port


def main() -> None:
    """Supervise a training simulator of a stage."""
    parser = argparse.ArgumentParser(description="Supervises a training simulator on another node.")
    parser.add_argument("config", type=Path, help="the stage's configuration")
    parser.add_argument("--run-dir", type=Path, required=True, help="the run directory, which the learner sees, too")
    parser.add_argument("--number", type=int, required=True, help="which training simulator, from 0")
    parser.add_argument("--host", required=True, help="this node's address, where the learner reaches the simulator")
    arguments = parser.parse_args()
    stage = load_stage(arguments.config)
    directory, log_dir = arguments.run_dir / "simulators", arguments.run_dir / "logs"
    for folder in (directory, log_dir):
        folder.mkdir(parents=True, exist_ok=True)
    name = simulator_name("training", arguments.number)
    learner = FileLink(directory, name)
    specification = {
        "config": {**stage.simulator.model_dump(mode="json"), "host": arguments.host},
        "name": name,
        "port": simulator_port(stage.simulator, "training", arguments.number),
        "town": stage.environment.town,
        "directory": str(directory),
        "log_dir": str(log_dir),
        "generation": learner.generation,
    }
    supervise(specification, learner)


if __name__ == "__main__":
    main()
