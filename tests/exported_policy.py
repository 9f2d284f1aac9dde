"""A real run's policy, exported once for all tests."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.judged_runs import Trained, TrainRun


@pytest.fixture(scope="session")
def small_run(train_run: TrainRun) -> Trained:
    """The small stage, to its end."""
    return train_run({})


@pytest.fixture(scope="session")
def exported(small_run: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `td3-hpc export` wrote of it."""
    folder = tmp_path_factory.mktemp("export") / "policy"
    command = [sys.executable, "-m", "td3_hpc", "export", str(small_run.run_dir), "-O", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == "", "the exporter's own remarks are nobody's business"
    return folder
