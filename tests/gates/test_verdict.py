"""The verdict as a file: what it holds, what it is bound to, and when it is written anew."""

import hashlib
import json
import subprocess
import sys

import pytest
import yaml

from td3_hpc.code import code_digest
from td3_hpc.errors import BadInput, ExitCode, UserError
from td3_hpc.gates.history import read_history
from td3_hpc.gates.verdict import final_verdict, judge, read_verdict, write_verdict
from td3_hpc.record import AttemptStarted
from td3_hpc.report.run_report import write_report
from tests.checkpoint.rows import GrowingRows, open_store, tree


def test_what_is_written_is_read_back(healthy_run):
    written = write_verdict(healthy_run)
    assert read_verdict(healthy_run) == written
    assert (written.verdict, written.stage, written.step, written.exit_code) == ("GO", "1k", 1000, ExitCode.DONE)
    assert [path.name for path in healthy_run.iterdir() if "tmp" in path.name] == []


def test_the_file_has_the_keys_that_others_read(healthy_run):
    write_verdict(healthy_run)
    data = json.loads((healthy_run / "verdict.json").read_text())
    assert data["verdict"] == "GO"
    keys = {
        "name",
        "title",
        "status",
        "severity",
        "target",
        "achieved",
        "confidence",
        "why",
        "evidence",
        "cause",
        "change",
    }
    assert all(keys <= set(gate) for gate in data["gates"])
    assert set(data["bound_to"]) == {"simulator", "town", "config_sha256", "code_sha256", "image_sha256"}


def test_judging_changes_nothing(healthy_run):
    before = {path: path.stat().st_mtime_ns for path in healthy_run.rglob("*")}
    first, second = judge(healthy_run), judge(healthy_run)
    assert first.gates == second.gates
    assert {path: path.stat().st_mtime_ns for path in healthy_run.rglob("*")} == before


def test_it_is_bound_to_what_was_submitted(healthy_run):
    (healthy_run / "submission").mkdir()
    notes = {"code_sha256": "c" * 64, "image": {"path": "/x.sif", "sha256": "d" * 64}}
    (healthy_run / "submission" / "submission.json").write_text(json.dumps(notes))
    bound = judge(healthy_run).bound_to
    assert (bound.code_sha256, bound.image_sha256) == ("c" * 64, "d" * 64)
    assert (bound.simulator.kind, bound.simulator.version, bound.town) == ("embedded", "0.9.16", "Brookfield")
    assert bound.config_sha256 == hashlib.sha256((healthy_run / "config.yaml").read_bytes()).hexdigest()


def test_without_submission_it_is_bound_to_the_code_that_ran(healthy_run):
    attempt = read_history(healthy_run).of(AttemptStarted)[-1]
    assert judge(healthy_run).bound_to.code_sha256 == attempt.environment.code_sha256
    record = (healthy_run / "record.jsonl").read_text()
    (healthy_run / "record.jsonl").write_text(record.replace("code_sha256", "another"))
    assert judge(healthy_run).bound_to.code_sha256 == code_digest()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"verdict": "MAYBE"}', b"\x00"])
def test_a_damaged_verdict_is_refused_by_name_and_written_again(healthy_run, content):
    (healthy_run / "verdict.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"verdict\.json: damaged"):
        read_verdict(healthy_run)
    assert final_verdict(healthy_run).verdict == "GO"
    assert read_verdict(healthy_run) is not None


def test_a_verdict_in_place_stands(healthy_run):
    write_verdict(healthy_run)
    text = (healthy_run / "verdict.json").read_text().replace('"verdict": "GO"', '"verdict": "NO-GO"')
    (healthy_run / "verdict.json").write_text(text)
    assert final_verdict(healthy_run).verdict == "NO-GO"


def test_a_verdict_from_before_the_run_grew_is_replaced(healthy_run):
    write_verdict(healthy_run)
    config = (healthy_run / "config.yaml").read_text()
    (healthy_run / "config.yaml").write_text(config.replace("total_steps: 1000", "total_steps: 1001"))
    assert final_verdict(healthy_run).verdict == "NO-GO"


def test_a_verdict_from_before_its_gates_were_changed_is_replaced(healthy_run):
    write_verdict(healthy_run)
    (healthy_run / "gates.yaml").write_text("route_completion: {limit: 99.9, severity: blocking}")
    assert final_verdict(healthy_run).verdict == "NO-GO"


def test_no_verdict_is_none(tmp_path):
    assert read_verdict(tmp_path) is None


def test_wrong_gate_settings_are_named(healthy_run):
    (healthy_run / "gates.yaml").write_text(
        yaml.safe_dump({"q_magnitud": {"limit": 1}, "finite": {"severity": "high"}})
    )
    with pytest.raises(BadInput) as caught:
        judge(healthy_run)
    assert "did you mean q_magnitude" in str(caught.value)
    assert "finite" in str(caught.value)


def test_wrong_gate_settings_end_a_stage_before_it_begins(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "gates.yaml").write_text("q_magnitud: off\n")
    (tmp_path / "stage.yaml").write_text(
        "name: x\ntraining: {total_steps: 9, learning_starts: 3}\nevaluation: {every_steps: 9}\n"
    )
    command = [sys.executable, "-m", "td3_hpc", "train", "stage.yaml", "--run-dir", "run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "did you mean q_magnitude" in done.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["gates.yaml"]


def test_the_reason_names_cause_and_other_failures(kept_run):
    verdict = judge(kept_run("diverging"))
    assert verdict.verdict == "NO-GO"
    assert verdict.reason.startswith("Observations normalised: the camera shows nothing")
    assert "Also failed: Reward components working" in verdict.reason


def test_a_finished_run_exits_as_its_verdict_says(kept_run):
    """`td3-hpc train` on a run that is done does nothing, and exits the same."""
    run = kept_run("diverging")
    store = open_store(run)
    store.save(40, tree(40), GrowingRows())
    store.close()
    command = [sys.executable, "-m", "td3_hpc", "train", str(run / "config.yaml"), "--run-dir", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "NO-GO: " in done.stdout
    assert len(read_history(run).of(AttemptStarted)) == 1


@pytest.mark.parametrize("write", [write_verdict, write_report])
def test_a_place_that_cannot_be_written_is_one_line(healthy_run, write):
    """A directory where the file should be stands for what no file can replace."""
    for name in ("verdict.json", "report.md"):
        (healthy_run / name).mkdir()
    with pytest.raises(UserError, match=r"cannot be written") as caught:
        write(healthy_run)
    assert "\n" not in str(caught.value)


def test_a_campaigns_run_without_its_gates_is_not_judged_by_others(healthy_run):
    (healthy_run / "submission").mkdir()
    (healthy_run / "submission" / "submission.json").write_text(json.dumps({"campaign": "mine"}))
    with pytest.raises(BadInput, match=r"gates.yaml: missing.*campaign resume"):
        judge(healthy_run)
    (healthy_run / "gates.yaml").write_text("{}")
    assert judge(healthy_run).verdict == "GO"
