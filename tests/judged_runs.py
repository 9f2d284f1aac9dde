"""Real runs to judge: a healthy one, and ones that a bad setting, an interruption or altered code has spoilt."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.paths import ROOT
from tests.small_stage import SMALL, changed

JUDGED: dict[str, Any] = {
    "environment.traffic.vehicles": 0,
    "checkpoint.every_steps": 20,
    "logging.tensorboard": False,
    "monitors.mechanisms_every_updates": 4,
}
"""What the runs to judge change in the small stage: quicker, and checked more often."""

RECORDS = Path(__file__).parent / "records"
"""Kept runs of the embedded simulator: config.yaml and record.jsonl, with the host's name and paths replaced. `1k`: the
1K validation run, with its evaluations/. `diverging`, `broken`: as the fixtures of these names make them anew."""

UNCLIPPED = dict.fromkeys(("actor", "critic", "actor_cnn", "critic_cnn"))
PAPER = {"agent.encoder": "nature", "agent.saturation_penalty": 0, "agent.exploration_noise": 0.1}
"""The paper's TD3, which nothing keeps from the ends of its actions."""


@dataclass(frozen=True)
class Trained:
    """A `td3-hpc train` that has ended."""

    run_dir: Path
    code: int
    output: str


TrainRun = Callable[..., Trained]


@pytest.fixture(scope="session")
def train_run(tmp_path_factory: pytest.TempPathFactory) -> TrainRun:
    """`train_run(changes)` runs the small stage with changes to its end.

    `package`: a folder that holds another td3_hpc, which then runs. `file_limit_kb`: no file may grow larger.
    """

    def run(changes: dict[str, Any], package: Path = ROOT, file_limit_kb: int | None = None) -> Trained:
        folder = tmp_path_factory.mktemp("run")
        (folder / "stage.yaml").write_text(yaml.safe_dump(changed(SMALL, {**JUDGED, **changes})))
        command = [sys.executable, "-m", "td3_hpc", "train", "stage.yaml", "--run-dir", "run"]
        if file_limit_kb is not None:
            command = ["bash", "-c", f'ulimit -f {file_limit_kb}; exec "$@"', "bash", *command]
        environment = {**os.environ, "PYTHONPATH": str(package), "COLUMNS": "200"}
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=240)
        return Trained(folder / "run", done.returncode, done.stdout + done.stderr)

    return run


@pytest.fixture(scope="session")
def broken_run(train_run: TrainRun) -> Trained:
    """NaN in its first updates, and no checkpoint before, since the disk is full: it never gets to its last step."""
    return train_run(
        {"agent.learning_rates.critic": 1e30, "agent.clip_norms": UNCLIPPED, "checkpoint.every_steps": 10},
        file_limit_kb=20_000,
    )


@pytest.fixture(scope="session")
def diverging_run(train_run: TrainRun) -> Trained:
    """Critics far too fast, a blind camera, one reward switched off and another one far too large."""
    return train_run(
        {
            "training.learning_starts": 10,
            "checkpoint.every_steps": 100,
            "logging.gradient_interval_updates": 2,
            "environment.reward": {"comfort": 0.0, "progress": 50.0},
            "environment.camera": {"pitch_deg": 90.0, "fov_deg": 2.0},
            "agent.tau": 1.0,
            "agent.clip_norms": UNCLIPPED,
            "agent.hidden": [256] * 5,
            "agent.learning_rates": {"actor_cnn": 1e-7, "critic_cnn": 1e-3, "critic": 0.2, "actor": 1e-7},
        }
    )


@pytest.fixture(scope="session")
def exploding_run(train_run: TrainRun) -> Trained:
    """The actor CNN's gradient explodes, within fewer updates than in the drill `gradient-explosion`."""
    return train_run(
        {
            **PAPER,
            "training.total_steps": 80,
            "evaluation.every_steps": 80,
            "checkpoint.every_steps": 100,
            "logging.gradient_interval_updates": 4,
            "environment.reward.scale": 1e8,
            "agent.hidden": [256] * 5,
            "agent.learning_rates": {"actor_cnn": 1e-4, "critic": 3e-3},
            "agent.clip_norms": UNCLIPPED,
        }
    )


@pytest.fixture(scope="session")
def altered_run(train_run: TrainRun, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The code is not what it should be: maximum for minimum, no delay, noise unbounded, actions stored the wrong way
    round, vectors of another type."""
    folder = tmp_path_factory.mktemp("altered")
    shutil.copytree(ROOT / "td3_hpc", folder / "td3_hpc", ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in (
        ("td3/agent.py", "torch.minimum(q1_next, q2_next)", "torch.maximum(q1_next, q2_next)"),
        ("td3/agent.py", "if self.updates % config.policy_freq == 0:", "if True:"),
        ("td3/agent.py", "noise.clamp(-config.noise_clip, config.noise_clip)", "noise * 4"),
        ("training/loop.py", "            action, result.reward,", "            action[::-1].copy(), result.reward,"),
        (
            "driving/shared_observation.py",
            ".reshape(entry.shape)",
            ".reshape(entry.shape).astype(np.float64 if entry.name == 'vector' else entry.dtype)",
        ),
    ):
        path = folder / "td3_hpc" / name
        text = path.read_text()
        assert old in text, f"{name} does not hold {old!r} any more: alter what stands there now"
        path.write_text(text.replace(old, new))
    fast = {"agent.learning_rates.actor": 0.5, "agent.clip_norms.actor": None}
    read = {"agent.batch_size": 64, "logging.gradient_interval_updates": 5}
    return train_run({**PAPER, **fast, **read}, package=folder)


@pytest.fixture
def kept_run(tmp_path: Path) -> Callable[[str], Path]:
    """`kept_run("1k")` is a copy of a kept run's directory, which a test may change."""
    return lambda name: Path(shutil.copytree(RECORDS / name, tmp_path / name))


@pytest.fixture
def healthy_run(kept_run: Callable[[str], Path]) -> Path:
    """A copy of the kept 1K validation run."""
    return kept_run("1k")
