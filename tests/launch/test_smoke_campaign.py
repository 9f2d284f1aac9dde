"""The smoke campaign by the commands that users give: the real trainer, the embedded simulator, no Slurm."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from td3_hpc.config import read_yaml
from tests.paths import ROOT

pytestmark = pytest.mark.long


def td3_hpc(*arguments: str) -> tuple[int, str]:
    """Exit status and output of a command."""
    command = [sys.executable, "-m", "td3_hpc", *arguments]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    return done.returncode, done.stdout + done.stderr


def events(run: Path, kind: str) -> list[dict]:
    lines = (run / "record.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def test_a_failed_gate_stops_the_chain_and_after_the_correction_it_completes(tmp_path: Path) -> None:
    smoke = read_yaml(ROOT / "configs" / "campaigns" / "smoke.yaml")
    file = tmp_path / "smoke.yaml"
    options = (str(file), "--cluster", "local", "-c", f"runs={tmp_path}", "-c", f"scratch={tmp_path}")
    smoke["stages"][1]["overrides"]["agent.clip_norms.critic"] = None
    smoke["stages"][1]["gates"] = {"q_magnitude": {"limit": 0.0}}
    file.write_text(yaml.safe_dump(smoke))

    code, output = td3_hpc("campaign", "submit", *options)

    assert code == 3, output
    explore, learn, extend = (tmp_path / "smoke" / stage / "seed-1" for stage in ("explore", "learn", "extend"))
    report = (learn / "report.md").read_text()
    assert "learn: NO-GO" in report
    assert "the critic diverges" in report, "the report does not name the cause"
    assert "+     critic: 10.0" in report, "the report names no change to make"
    assert not (extend / "record.jsonl").exists(), "the next stage has begun"
    assert "stage learn, seed 1 is NO-GO" in output

    del smoke["stages"][1]["gates"]
    file.write_text(yaml.safe_dump(smoke))
    code, output = td3_hpc("campaign", "resume", *options)

    assert code == 0, output
    assert len(events(explore, "attempt")) == len(events(learn, "attempt")) == 1, "a stage was trained again"
    assert events(extend, "attempt")[-1]["resumed_from"] == 40, "the last stage did not continue the one before"
    covered = [
        step for event in events(extend, "interval") for step in range(event["first_step"], event["last_step"] + 1)
    ]
    assert covered == list(range(1, 61)), "the record of the run that continues is not whole"
    code, output = td3_hpc("status", str(tmp_path / "smoke"), "--json")
    assert [run["state"] for run in json.loads(output)["runs"]] == ["GO", "GO", "GO"]
    assert td3_hpc("checkpoint", "verify", str(extend))[0] == 0
    assert "smoke: GO" in (tmp_path / "smoke" / "report.md").read_text()
    assert td3_hpc("campaign", "submit", *options)[0] == 0


def test_fix_puts_the_remedy_into_the_file_and_leads_to_go(tmp_path: Path) -> None:
    text = (ROOT / "configs" / "campaigns" / "smoke.yaml").read_text()
    text = text[: text.index("  - name: learn")]  # its first stage alone
    healthy, spoilt = "      agent: {batch_size: 8}\n", "        reward: {comfort: 0}   # to see what it is worth\n"
    text = text.replace(healthy, spoilt + healthy)
    assert spoilt in text
    file = tmp_path / "smoke.yaml"
    file.write_text(text)
    options = (str(file), "--cluster", "local", "-c", f"runs={tmp_path}", "-c", f"scratch={tmp_path}")
    assert td3_hpc("campaign", "submit", *options)[0] == 3

    code, output = td3_hpc("campaign", "fix", *options)  # not at a terminal, and without --yes

    assert code == 2, output
    assert "Reward components working" in output
    assert "+      environment.reward.comfort: 0.1" in output
    assert "give --yes to apply this and resume" in output
    assert file.read_text() == text
    code, output = td3_hpc("campaign", "fix", *options, "--yes")

    assert code == 0, output
    last = "      logging: {interval_steps: 10, gradient_interval_updates: 10}\n"
    assert file.read_text() == text.replace(last, f"{last}    overrides:\n      environment.reward.comfort: 0.1\n")
    assert (tmp_path / "smoke" / "explore" / "set-aside" / "1" / "seed-1" / "record.jsonl").exists()
    assert "stage explore is GO" in output
    assert td3_hpc("campaign", "fix", *options, "--yes")[0] == 2, "there is nothing left to fix"
