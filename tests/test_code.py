"""Other processes of this package, started beside files of the user's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from td3_hpc.code import PACKAGE, run_module
from tests.paths import ROOT


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 cannot leave out the current folder")
def test_a_script_in_the_current_folder_takes_no_modules_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("carla", "random", "queue"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the script ran')")
    monkeypatch.chdir(tmp_path)

    command = [*run_module("td3_hpc.supervision.readiness"), "--help"]  # it needs all three
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "--town" in done.stdout


def test_a_package_in_the_current_folder_is_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert PACKAGE.parent == ROOT
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    done = subprocess.run([*run_module("td3_hpc"), "--version"], capture_output=True, text=True, env=environment)

    assert done.returncode == 0, done.stderr
    assert "-P" not in run_module("td3_hpc")
