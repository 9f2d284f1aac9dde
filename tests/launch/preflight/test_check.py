"""Preflight as a whole: every mistake at once, by `td3-hpc preflight` and by `td3-hpc submit`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from td3_hpc.errors import BadInput
from td3_hpc.launch.preflight import check, mistakes, require_ready
from tests.launch.preflight.plans import profile, stage
from tests.paths import ROOT
from tests.told_here import Here

STAGES = ROOT / "configs" / "stages"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A profile without Slurm, whose runs live in the test's folder."""
    return write(tmp_path / "here.yaml", f"scheduler: local\nruns: {tmp_path}/runs\n")


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "td3_hpc", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.mark.parametrize("name", ["1k", "5k", "1m"])
def test_the_stages_in_the_repository_are_ready_on_this_machine(local: Path, name: str) -> None:
    if name == "1m" and min(psutil.virtual_memory().total, shutil.disk_usage(local.parent).free) < 12 * 2**30:
        pytest.skip("this machine has not the memory and disk of a 1M run")
    findings = check(STAGES / f"{name}.yaml", str(local), stated_steps_per_s=5, overrides=["simulator.port=0",
                     "environment.traffic.port=0", "environment.traffic.evaluation_port=0"])  # fmt: skip

    assert mistakes(findings) == []
    assert {finding.check for finding in findings} >= {"memory", "disk space", "walltime", "versions", "town"}


def test_every_mistake_of_every_kind_comes_at_once(tmp_path: Path) -> None:
    bad_stage = write(tmp_path / "stage.yaml", "name: bad\nagnet: {}\nseed: -1\n"
                      "training: {total_steps: 100, learning_starts: 500}\n")  # fmt: skip
    bad_profile = write(
        tmp_path / "bad.yaml",
        f"scheduler: local\nruns: {tmp_path}/runs\nwalltime_minutes: 1\nsignal_lead_s: 50\n"
        "container: {image: /nowhere/i.sif, binds: [/nowhere/data]}\n",
    )

    found = [(finding.check, finding.found) for finding in mistakes(check(bad_stage, str(bad_profile)))]

    texts = "\n".join(f"{name}: {text}" for name, text in found)
    assert "configuration: " in texts
    assert "agnet: unknown key; did you mean agent?" in texts
    assert "seed: " in texts
    assert "image: /nowhere/i.sif: no such file or directory" in texts
    assert "binds: /nowhere/data: no such file or folder" in texts
    assert len(found) >= 4


def test_mistakes_of_stage_and_profile_files_come_together(tmp_path: Path) -> None:
    bad_stage = write(tmp_path / "stage.yaml", "name: bad\ntraining: {total_steps: 100, learning_starts: 500}\n")
    bad_profile = write(tmp_path / "bad.yaml", "partitoin: low\nmemory_gib: 0\n")

    found = mistakes(check(bad_stage, str(bad_profile)))

    assert [finding.check for finding in found] == ["configuration", "profile", "profile"]
    assert "learning would never start" in found[0].found


def test_require_ready_lists_every_mistake_in_one_error(tmp_path: Path) -> None:
    too_large = stage("replay.capacity=1e10", "training.total_steps=1e10", "simulator.version=0.9.15")

    with pytest.raises(BadInput) as caught:
        require_ready(too_large, profile(runs=tmp_path), tmp_path / "run", "here")

    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["memory", "disk space", "versions"]
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_a_line_a_check_and_exits_2_on_a_mistake(
    local: Path, tmp_path: Path, told_here: Here
) -> None:
    ports = ["-o", "environment.traffic.port=0", "-o", "environment.traffic.evaluation_port=0"]
    good = command("preflight", STAGES / "1k.yaml", "--cluster", local, "--steps-per-second", "10", *ports)
    bad = told_here("preflight", STAGES / "1k.yaml", "--cluster", local, "-o", "environment.town=Nowhere", *ports)

    assert good.returncode == 0, good.stdout + good.stderr
    assert "memory\tok\t" in good.stdout
    assert "walltime\tok\t1000 steps at 10.0/s (stated)" in good.stdout
    assert bad.returncode == 2
    assert "town\tmistake\ttown Nowhere: there is none of this name" in bad.stdout
    assert "1 mistake, " in bad.stdout
    assert not (tmp_path / "runs").exists()


def test_submit_refuses_what_preflight_finds_and_writes_nothing(local: Path, tmp_path: Path, told_here: Here) -> None:
    result = told_here("submit", STAGES / "1k.yaml", "--cluster", local, "-o", "environment.town=Nowhere",
                       "-o", "simulator.version=0.9.15")  # fmt: skip

    assert result.returncode == 2
    assert "versions: simulator.version 0.9.15, but the carla client" in result.stderr
    assert "town: town Nowhere" in result.stderr
    assert not (tmp_path / "runs").exists()


def test_without_slurm_a_profile_for_slurm_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = write(tmp_path / "there.yaml", f"runs: {tmp_path}/runs\nmemory_gib: 16\n")
    monkeypatch.setenv("PATH", str(tmp_path))

    found = mistakes(check(STAGES / "1k.yaml", str(there)))

    assert [finding.check for finding in found] == ["Slurm"]
    assert found[0].found.startswith("no sbatch on this machine: submit from a login node")
