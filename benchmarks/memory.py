"""Memory of each process of a run, the figures that `td3-hpc preflight` estimates with.

    python -m benchmarks memory

Short real runs in the embedded simulator at two batch sizes, each process's largest PSS (pages shared with others
counted by their share) as the run goes through exploration, learning, evaluation and its checkpoints. What the learner
takes grows with the batch; the rest is the program itself.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

STEPS, LEARNING_STARTS = 40, 20
BATCHES = (64, 512)
ROLES = {
    "td3_hpc.supervision.supervisor": "supervisor",
    "td3_hpc.supervision.readiness": "readiness probe",
    "td3_hpc.driving.worker": "worker",
    "td3_hpc.simulator": "simulator",
    "td3_hpc": "learner",
}
STAGE = Path(__file__).parents[1] / "configs" / "stages" / "1k.yaml"


def role(process: psutil.Process) -> str:
    """What a process of a run is, by the module that it runs."""
    command = process.cmdline()
    return next((name for module, name in ROLES.items() if module in command), "other")


def peaks(batch_size: int) -> dict[str, int]:
    """Each role's largest PSS in bytes, over a run of a few steps."""
    changes = [f"training.total_steps={STEPS}", f"training.learning_starts={LEARNING_STARTS}"]
    changes += [f"evaluation.every_steps={STEPS}", "evaluation.episodes=1", "checkpoint.every_steps=10"]
    changes += ["environment.max_decisions=100", f"agent.batch_size={batch_size}"]
    changes += ["environment.traffic.port=0", "environment.traffic.evaluation_port=0"]
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "td3_hpc", "train", str(STAGE), "--run-dir", f"{directory}/run"]
        command += [word for change in changes for word in ("-o", change)]
        run = psutil.Popen(command, stdout=subprocess.DEVNULL)
        found: dict[str, int] = {}
        while run.poll() is None:
            for process in [run, *run.children(recursive=True)]:
                try:
                    name, bytes_ = role(process), process.memory_full_info().pss
                except psutil.Error:  # it has just ended
                    continue
                found[name] = max(found.get(name, 0), bytes_)
            time.sleep(0.1)
        if run.returncode:
            sys.exit(f"the run failed with exit status {run.returncode}")
    return found


def main() -> None:
    """Measure both batch sizes and print each role's peak, and the learner's growth with the batch."""
    small, large = (peaks(batch) for batch in BATCHES)
    for name in sorted(small):
        figures = ", ".join(
            f"{found[name] / 2**20:.0f} MiB at batch {size}" for size, found in zip(BATCHES, (small, large))
        )
        print(f"  {name:16} {figures}")
    growth = (large["learner"] - small["learner"]) / (BATCHES[1] - BATCHES[0])
    print(f"  learner: {growth / 2**20:.2f} MiB for each transition of the batch")


if __name__ == "__main__":
    main()
