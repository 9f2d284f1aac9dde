"""The doctor without Slurm: the same script and the same job, on this machine."""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from td3_hpc.config import dump_yaml
from td3_hpc.errors import BadInput
from td3_hpc.launch.doctor import examination
from td3_hpc.launch.doctor.examination import examine_nodes
from td3_hpc.launch.doctor.notes import NOTES_FILE, Notes
from td3_hpc.launch.doctor.result import read_result, result_path, write_result
from td3_hpc.launch.preflight import MEASURED as MEASURED_CHECKS
from td3_hpc.launch.preflight import judge
from tests.launch.preflight.plans import MEASURED, profile, stage
from tests.paths import ROOT
from tests.slurm.test_doctor import SMALL


@pytest.mark.long
def test_the_command_measures_this_machine(tmp_path: Path) -> None:
    here = tmp_path / "here.yaml"
    here.write_text(f"scheduler: local\ncpus: 1\nruns: {tmp_path}/runs\nscratch: {tmp_path}\n")
    command = [sys.executable, "-m", "td3_hpc", "doctor", "--cluster", str(here)]
    command += [word for override in SMALL for word in ("-o", override)]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=ROOT)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = [line.split("\t") for line in ended.stdout.splitlines()[1:-1]]
    assert {fields[0]: fields[1:] for fields in lines if fields[1] != "ok"} == {}
    assert {fields[0] for fields in lines} == MEASURED_CHECKS.keys()
    result = read_result(profile(runs=tmp_path / "runs"), "here")
    assert result
    assert result.restart
    assert result.restart.restarted
    assert result.usr1
    assert result.usr1.arrived
    assert "SIGUSR1 sent" in ended.stderr


@pytest.mark.long
def test_a_simulator_that_cannot_start_is_told_and_the_rest_measured(tmp_path: Path) -> None:
    here = profile(runs=tmp_path / "runs", scratch=tmp_path)
    nowhere = stage(*SMALL, "environment.town=Nowhere")

    result = examine_nodes(nowhere, here, "here", lambda line: None)

    assert result.simulation is None
    assert "town Nowhere: there is none of this name" in result.errors["simulation"]
    assert result.saving is not None
    findings = {finding.check: finding for finding in judge(nowhere, here, "here", result)}
    assert findings["camera frame"].status == "not checked"
    assert "town Nowhere" in findings["camera frame"].found


def test_an_attempt_that_was_killed_is_noted_by_the_next_one(tmp_path: Path) -> None:
    """A job killed twice in one measurement, and by a signal, goes on with the rest."""
    (tmp_path / "stage.yaml").write_text(dump_yaml(stage()))
    notes = Notes(tmp_path)
    for name in ("gpus", "torch", "step_cpus", "files", "scratch", "simulation", "learning", "saving"):
        notes.put(name, MEASURED[name])
    for name in ("vulkan", "vulkan", "usr1", "term"):
        notes.begin(name)

    command = [sys.executable, "-m", "td3_hpc.launch.doctor.probe", str(tmp_path / "stage.yaml"), "--run-dir"]
    ended = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=60, cwd=ROOT)

    written = json.loads((tmp_path / NOTES_FILE).read_text())
    assert ended.returncode == 0, ended.stderr
    assert "twice" in written["errors"]["vulkan"]
    assert written["usr1"]["killed"]
    assert written["term"]["killed"]
    assert written["restart"]["restarted"]


def test_a_result_is_kept_beside_the_runs_by_the_profiles_name(tmp_path: Path) -> None:
    here = profile(runs=tmp_path / "runs")

    kept = write_result(here, "configs/clusters/big.yaml", {**MEASURED, "errors": {}})

    assert result_path(here, "big") == tmp_path / "runs" / "doctor-big.json"
    assert read_result(here, "big") == kept
    earlier = datetime.now(timezone.utc) - timedelta(minutes=90)
    assert kept.model_copy(update={"written": earlier.isoformat()}).age == "90 min ago"
    result_path(here, "big").write_text("{}")
    assert read_result(here, "big") is None


def test_without_slurm_nothing_is_queued_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BadInput, match="no sbatch on this machine"):
        examine_nodes(stage(), profile(scheduler="slurm", runs=tmp_path / "runs"), "here", lambda line: None)
    assert os.listdir(tmp_path) == []


def test_a_path_that_sbatch_would_take_apart_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"my runs.*must not hold spaces.*set runs in the profile to another folder"):
        examine_nodes(stage(), profile(runs=tmp_path / "my runs"), "here", lambda line: None)
    assert os.listdir(tmp_path) == []


def test_the_profiles_cluster_is_asked_before_an_earlier_doctor_is_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_CONF", raising=False)
    asked: list[str | None] = []
    monkeypatch.setattr(examination, "_clear", lambda run_dir: asked.append(os.environ.get("SLURM_CONF")) or 1 / 0)
    (tmp_path / "slurm.conf").touch()

    here = profile(scheduler="slurm", runs=tmp_path, slurm_conf=str(tmp_path / "slurm.conf"))
    with pytest.raises(ZeroDivisionError):
        examine_nodes(stage(), here, "here", lambda line: None)

    assert asked == [str(tmp_path / "slurm.conf")]
