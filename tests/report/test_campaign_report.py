"""A campaign's page, from a campaign's directory with kept runs in it."""

import re
import shutil

import pytest
import yaml

from td3_hpc.errors import BadInput
from td3_hpc.gates.verdict import write_verdict
from td3_hpc.report.campaign_report import is_campaign, write_campaign_report
from td3_hpc.report.run_report import write_report
from tests.judged_runs import RECORDS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Stages first (the kept 1K run), second (the kept diverging run) and third (not begun), one seed."""
    root = tmp_path_factory.mktemp("campaigns") / "long-way"
    stages = []
    for name, kept in (("first", "1k"), ("second", "diverging"), ("third", None)):
        config = yaml.safe_load((RECORDS / (kept or "1k") / "config.yaml").read_text())
        stages.append({"name": name, "config": config})
        if kept:
            run = root / name / "seed-1"
            shutil.copytree(RECORDS / kept, run)
            write_verdict(run)
            write_report(run)
    (root / "campaign.yaml").write_text(yaml.safe_dump({"name": "long-way", "seeds": [1], "stages": stages}))
    return root


@pytest.fixture
def campaign(made, tmp_path):
    """A copy of it, to change."""
    return shutil.copytree(made, tmp_path / "long-way")


def page(root):
    return write_campaign_report(root).read_text(), (root / "report.html").read_text()


def test_it_shows_each_run_and_why_it_stands(campaign):
    text, html = page(campaign)
    assert text.startswith("# Campaign long-way: NO-GO")
    assert "Stage second, seed 1: Observations normalised: the camera shows nothing" in text
    rows = {row.split("|")[2].strip(): row for row in text.splitlines() if "seed 1" in row and row.startswith("|")}
    assert "✅ GO" in rows["[first, seed 1](first/seed-1/report.html)"]
    assert "1,000 / 1,000" in rows["[first, seed 1](first/seed-1/report.html)"]
    assert "❌ NO-GO" in rows["[second, seed 1](second/seed-1/report.html)"]
    assert "not begun" in rows["third, seed 1"]
    for link in re.findall(r'href="([^#"][^"]*)"', html):
        assert (campaign / link).is_file(), link


def test_its_open_items_are_those_of_its_runs(campaign):
    text, _ = page(campaign)
    assert "**Q magnitude** (blocking)" in text
    assert "+     critic: 0.0003" in text
    assert "td3-hpc campaign fix" in text


def test_what_several_seeds_missed_alike_stands_once(campaign):
    data = yaml.safe_load((campaign / "campaign.yaml").read_text())
    (campaign / "campaign.yaml").write_text(yaml.safe_dump({**data, "seeds": [1, 2]}))
    for stage in ("first", "second"):
        shutil.copytree(campaign / stage / "seed-1", campaign / stage / "seed-2")
    text, _ = page(campaign)
    assert text.count("**Q magnitude** (blocking)") == 1
    assert "Stage second, seed 1, 2: " in text


def test_all_stages_go(campaign):
    for name in ("second", "third"):
        shutil.rmtree(campaign / name, ignore_errors=True)
        shutil.copytree(campaign / "first", campaign / name)
    assert page(campaign)[0].startswith("# Campaign long-way: GO")


def test_a_stage_under_way(campaign):
    for path in ("verdict.json", "report.html", "report.md"):
        (campaign / "second" / "seed-1" / path).unlink()
    text, _ = page(campaign)
    assert text.startswith("# Campaign long-way: NOT COMPLETE")
    assert "Stage second is under way; the stages before it are GO. Written with what was recorded until 20" in text
    assert "`td3-hpc report` with this directory writes it anew." in text


def test_the_first_stage_has_none_before_it(campaign):
    shutil.rmtree(campaign / "first")
    assert "Stage first is to begin. " in page(campaign)[0]


def test_a_damaged_run_costs_only_its_own_line(campaign):
    (campaign / "second" / "seed-1" / "verdict.json").write_text("{")
    (campaign / "second" / "seed-1" / "record.jsonl").write_bytes(b'\xff\x00\n{"event": "attempt", "step": 0}\n')
    text, _ = page(campaign)
    assert "❌ verdict damaged" in text
    assert "verdict.json: damaged" in text
    assert "✅ GO" in text


def test_the_ledger_is_shown(campaign):
    (campaign / "ledger.jsonl").write_text('{"event": "submitted", "time": 1e9, "by": "someone"}\nhalf')
    assert "| 2001-09-09 01:46:40 | submitted | by someone |" in page(campaign)[0]


def test_only_a_campaign_s_directory_is_one(campaign, tmp_path):
    assert is_campaign(campaign)
    assert not is_campaign(campaign / "first" / "seed-1")
    (campaign / "campaign.yaml").write_text("name: 3")
    with pytest.raises(BadInput):
        write_campaign_report(campaign)
