"""Answers of Slurm's commands that are not the test cluster's: banners, other clusters, jobs that are not known."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput, UserError
from td3_hpc.launch.jobs import slurm
from td3_hpc.launch.jobs.submission import load_cluster, submit
from td3_hpc.launch.runs.cancel import cancel
from td3_hpc.launch.runs.status import read_status
from td3_hpc.submission_folder import SubmissionFolder
from tests.launch.site import Site
from tests.paths import ROOT

STAGE = ROOT / "configs" / "stages" / "1k.yaml"
STAND_IN = ROOT / "tests" / "slurm" / "stand_in" / "td3_hpc"
BANNER = """-----------------------------------------------------------------
           Welcome to the Supercomputer, 24 nodes
-----------------------------------------------------------------
--> Verifying valid submit host (login1)...OK
"""


def queue(run: Path, **changes: Any) -> list[str]:
    return submit(STAGE, ClusterConfig.model_validate(changes), run, package=STAND_IN).jobs


def test_the_jobs_number_is_the_last_line_that_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Site(tmp_path, monkeypatch, banner=BANNER)

    assert queue(tmp_path / "run") == ["1000"]
    with pytest.raises(BadInput, match=r"has job 1000 already \(PENDING\)"):
        queue(tmp_path / "run")


def test_an_answer_without_a_number_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Site(tmp_path, monkeypatch, sbatch=BANNER)

    with pytest.raises(UserError, match=r"\(login1\)\.\.\.OK', in which no line is a job's number; look for the job"):
        queue(tmp_path / "run")


def test_every_command_is_told_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, monkeypatch, cluster=";cm4", squeue="CLUSTER: cm4")
    run = tmp_path / "run"

    assert queue(run, clusters="cm4") == ["1000"]
    read_status([run])
    cancel(run, 0, print)

    assert {"sbatch", "squeue", "sacct", "scancel"} <= {call[0] for call in site.calls()}
    for call in site.calls():
        where = -2 if call[0] == "scontrol" else 1
        assert call[where:][:2] == ["-M", "cm4"], call


def test_a_job_that_its_cluster_does_not_know_has_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A federation answers with the cluster, which the profile does not name."""
    site, run = Site(tmp_path, monkeypatch, cluster=";cm4"), tmp_path / "run"
    queue(run)
    site.forget()

    with pytest.raises(BadInput, match=rf"has job 1000 already \(not known to cluster cm4\); `td3-hpc cancel {run}`"):
        queue(run)
    assert len(site.calls("sbatch")) == 1

    site.answer(sacct="1000|RUNNING")
    with pytest.raises(BadInput, match="not known to cluster cm4"):
        queue(run)
    site.answer(sacct="1000|CANCELLED by 1000")
    assert queue(run) == ["1000"]


@pytest.mark.parametrize("how", ["outcome", "cancel"])
def test_the_runs_own_word_tells_that_its_job_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    site, run = Site(tmp_path, monkeypatch, cluster=";cm4"), tmp_path / "run"
    queue(run)
    site.forget()

    if how == "outcome":
        (run / "submission" / "outcome").write_text("3\n1000\n")
    else:
        cancel(run, 0, print)
        assert ["scancel", "-M", "cm4", "1000"] in site.calls()

    assert queue(run) == ["1000"]


def test_a_job_that_this_machines_own_controller_has_forgotten_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, monkeypatch)
    queue(tmp_path / "run")
    site.forget()

    assert queue(tmp_path / "run") == ["1000"]
    assert SubmissionFolder(tmp_path / "run").notes()["cluster"] is None


def test_a_cluster_that_the_sites_modules_name_is_frozen_with_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.yaml").write_text("partition: x\n")
    monkeypatch.setenv("SLURM_CLUSTERS", "doduo")

    assert load_cluster(str(tmp_path / "p.yaml")).clusters == "doduo"
    assert load_cluster(str(tmp_path / "p.yaml"), ["clusters=other"]).clusters == "other"


def test_what_preflight_found_and_was_passed_over_is_kept_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Site(tmp_path, monkeypatch)
    profile = ClusterConfig.model_validate({"partition": "x"})
    submit(STAGE, profile, tmp_path / "run", package=STAND_IN, passed_over=["account: not one of mine"])

    assert SubmissionFolder(tmp_path / "run").notes()["past_preflight"] == ["account: not one of mine"]


def test_the_profile_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, monkeypatch)
    left = (
        "SBATCH_TIMELIMIT",
        "SBATCH_NO_REQUEUE",
        "SBATCH_JOB_NAME",
        "SQUEUE_PARTITION",
        "SLURM_MEM_PER_CPU",
        "SLURM_CLUSTERS",
    )
    for name in (*left, "SLURM_CONF", "SBATCH_EXPORT"):
        monkeypatch.setenv(name, "1")

    slurm.sbatch(tmp_path / "script")
    slurm.live_jobs(["1000"])

    assert [set(there) for name in ("sbatch", "squeue") for there in site.environments(name)] == [
        {"SLURM_CONF", "SBATCH_EXPORT"}
    ] * 2


def test_a_library_that_calls_slurm_finds_a_clean_environment_and_leaves_the_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SBATCH_TIMELIMIT", "1")

    with slurm.clean_environment():
        assert "SBATCH_TIMELIMIT" not in os.environ
    assert os.environ["SBATCH_TIMELIMIT"] == "1"


def test_two_submits_at_the_same_time_queue_one_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, run = Site(tmp_path, monkeypatch), tmp_path / "run"
    program = f"""
from pathlib import Path
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.launch.jobs.submission import submit
print(submit(Path({str(STAGE)!r}), ClusterConfig(), Path({str(run)!r}), package=Path({str(STAND_IN)!r})).jobs)
"""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = sorted(process.communicate(timeout=120) for process in both)

    assert len(site.calls("sbatch")) == 1
    assert [out for out, _ in answers] == ["", "['1000']\n"]
    assert "has job 1000 already" in answers[0][1]


def test_a_job_that_its_user_has_queued_by_hand_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, run = Site(tmp_path, monkeypatch), tmp_path / "run"
    script = submit(STAGE, ClusterConfig(), run, route="hand", package=STAND_IN).script
    site.answer(squeue=f"77|N/A|77|PENDING|Priority||0:00|{script}")

    with pytest.raises(BadInput, match=r"has job 77 already \(PENDING\); `scancel 77` first"):
        queue(run)


def test_a_chain_is_as_long_as_the_site_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, run = Site(tmp_path, monkeypatch, max_jobs=4), tmp_path / "run"
    profile = ClusterConfig(requeue="chain")

    chain = submit(STAGE, profile, run, package=STAND_IN)

    assert chain.jobs == SubmissionFolder(run).notes()["jobs"] == ["1000", "1001", "1002", "1003"]
    assert chain.shortened == "Slurm refused the job: QOSMaxSubmitJobPerUserLimit"
    assert len(site.calls("sbatch")) == 5
    assert (run / "submission" / "owed").read_text() == "6\n", "its jobs do not know how many are missing"
    with pytest.raises(BadInput, match="Nothing was queued"):
        submit(STAGE, profile, tmp_path / "other", package=STAND_IN)


def test_one_question_for_many_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, monkeypatch)
    runs = [tmp_path / f"run-{number}" for number in range(4)]
    for run in runs:
        queue(run)
    before = len(site.calls())

    read_status(runs)

    assert [call[0] for call in site.calls()[before:]] == ["squeue", "sacct"]


def test_states_are_read_past_the_lines_that_name_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Site(tmp_path, monkeypatch, squeue="CLUSTER: cm4\n7 RUNNING\n8 OUT_OF_MEMORY\n")

    assert slurm.live_jobs(["7", "8"], "cm4") == {"7": "RUNNING"}


def test_submissions_of_before_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their notes name no cluster."""
    Site(tmp_path, monkeypatch)
    queue(tmp_path / "run")
    path = tmp_path / "run" / "submission" / "submission.json"
    notes = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in notes.items() if key != "cluster"}))

    with pytest.raises(BadInput, match="has job 1000 already"):
        queue(tmp_path / "run")
