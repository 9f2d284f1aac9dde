"""Cancelling where there is nothing to cancel; tests/slurm cancels real jobs."""

import json
import os
from pathlib import Path

import pytest

from td3_hpc.campaign.directory import CampaignDirectory
from td3_hpc.campaign.plan import load_campaign
from td3_hpc.checkpoint.ownership import Ownership
from td3_hpc.config import dump_yaml
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput, UserError
from td3_hpc.launch.runs.cancel import cancel
from tests.campaign_stand_in import write_campaign
from tests.launch.site import Site


@pytest.fixture
def campaign(tmp_path: Path) -> CampaignDirectory:
    directory = CampaignDirectory(tmp_path / "trial")
    (directory.root / "a" / "seed-1" / "submission").mkdir(parents=True)
    plan = load_campaign(write_campaign(tmp_path / "trial.yaml", {}))
    (directory.root / "campaign.yaml").write_text(plan.to_yaml())
    directory.submission.path.mkdir()
    directory.submission.profile.write_text(dump_yaml(ClusterConfig(scheduler="slurm")))
    return directory


def test_without_slurm_nothing_is_changed(
    campaign: CampaignDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UserError, match=r"no Slurm on this machine.*nothing was cancelled"):
        cancel(campaign.root, 1, print)

    assert not campaign.cancelled
    assert not (campaign.run("a", 1) / "submission" / "cancelled").exists()


def test_a_run_of_a_campaign_is_cancelled_with_it(campaign: CampaignDirectory) -> None:
    with pytest.raises(BadInput, match="the campaign would start it again; cancel the campaign"):
        cancel(campaign.run("a", 1), 1, print)


def test_a_run_without_slurm_has_no_job_to_cancel(tmp_path: Path) -> None:
    said: list[str] = []
    state = tmp_path / "run" / "state"
    state.mkdir(parents=True)

    cancel(tmp_path / "run", 1, said.append)
    assert "it was not submitted to Slurm" in said[0]

    held = Ownership(state)
    held.claim(None)
    with pytest.raises(UserError, match=f"in use by attempt 1, process {os.getpid()}"):
        cancel(tmp_path / "run", 1, said.append)
    held.release()


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such run or campaign"):
        cancel(tmp_path / "none", 1, print)


def test_the_last_word_counts(campaign: CampaignDirectory) -> None:
    for word, cancelled in (("submitted", False), ("cancelled", True), ("accepted", True), ("resumed", False)):
        campaign.note(word)
        assert campaign.cancelled is cancelled
    with (campaign.root / "ledger.jsonl").open("a") as file:
        file.write(json.dumps({"event": "cancelled"})[:-3])  # cut off
    assert not campaign.cancelled


def test_on_a_full_disk_jobs_are_cancelled_all_the_same(
    campaign: CampaignDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, monkeypatch, squeue=f"7|1|7|RUNNING|None|n1|5:00|{campaign.script('a')}")

    def full(self: CampaignDirectory, event: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CampaignDirectory, "note", full)
    said: list[str] = []

    cancel(campaign.root, 30, said.append)

    assert "cannot be written (No space left on device)" in said[0]
    assert site.calls("scancel") == [["scancel", "7_1"]], "told to save, it would start again"
