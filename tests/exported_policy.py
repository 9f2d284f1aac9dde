"""A real run to its end, and its policy exported: once for all tests, which leave both as they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.judged_runs import Trained
from tests.made_once import made_once
from tests.paths import ROOT
from tests.small_stage import SMALL, changed

TOLD = {"logging.interval_steps": 1}
"""What the run changes in the small stage: its record tells of every step."""


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The small stage, to its end."""

    def make(folder: Path) -> None:
        (folder / "small.yaml").write_text(yaml.safe_dump(changed(SMALL, TOLD)))
        command = [sys.executable, "-m", "td3_hpc", "train", "small.yaml", "--run-dir", "run"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=240)
        (folder / "told.json").write_text(json.dumps([done.returncode, done.stdout + done.stderr]))

    folder = made_once(tmp_path_factory, "small", make)
    return Trained(folder / "run", *json.loads((folder / "told.json").read_text()))


@pytest.fixture(scope="session")
def exported(small_run: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `td3-hpc export` wrote of it."""

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "td3_hpc", "export", str(small_run.run_dir), "-O", str(folder / "policy")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == "", "the exporter's own remarks are nobody's business"

    return made_once(tmp_path_factory, "export", make) / "policy"
