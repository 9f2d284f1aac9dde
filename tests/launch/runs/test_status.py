"""What `status` says where there is no Slurm; tests/slurm has what it says with one."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from td3_hpc.campaign.directory import CampaignDirectory
from td3_hpc.campaign.plan import load_campaign
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput
from td3_hpc.launch.jobs.campaign_files import freeze_campaign
from td3_hpc.launch.jobs.freeze import identify
from td3_hpc.launch.runs.status import Status, read_status
from td3_hpc.launch.runs.status_table import show, table
from td3_hpc.submission_folder import SubmissionFolder
from tests.campaign.test_progress import event, interval, make_run
from tests.campaign_stand_in import write_campaign

SLURM = ClusterConfig(scheduler="slurm")


@pytest.fixture
def no_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A PATH without Slurm."""
    monkeypatch.setenv("PATH", str(tmp_path))


def shown(path: Path, width: int = 100) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table(read_status([path])))
    return console.export_text()


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """A campaign of two stages, frozen and not begun."""
    plan = load_campaign(write_campaign(tmp_path / "trial.yaml", {}, {}))
    directory = CampaignDirectory(tmp_path / "runs" / "trial")
    freeze_campaign(directory, plan, identify(SLURM), [("a", 1), ("b", 1)])
    return directory.root


@pytest.mark.usefixtures("no_slurm")
def test_without_slurm_it_tells_what_the_directories_tell_and_that_it_is_not_all(campaign: Path) -> None:
    text = shown(campaign)

    assert "trial: under way: stage b, seed 1 is unfinished" in text
    assert "a, seed 1   not started" in text
    assert "b, seed 1: stage a, seed 1 is unfinished" in text
    assert "not known: no Slurm on this machine: jobs are not looked up" in text


@pytest.mark.usefixtures("no_slurm")
def test_what_many_runs_wait_for_is_said_once(tmp_path: Path) -> None:
    seeds = list(range(1, 6))
    plan = load_campaign(write_campaign(tmp_path / "trial.yaml", {}, {}, seeds=seeds))
    directory = CampaignDirectory(tmp_path / "runs" / "trial")
    freeze_campaign(directory, plan, identify(SLURM), [(stage, seed) for stage in "ab" for seed in seeds])

    text = shown(directory.root)

    assert "b, seed 1, and 4 more: stage a is unfinished for 5 of 5 seeds" in text
    assert text.count("is unfinished for") == 2, "of the campaign, and of its later stage's runs"


def test_a_run_of_its_own_and_its_alerts(tmp_path: Path) -> None:
    run = make_run(
        tmp_path,
        event("attempt", 0, 0.0, epoch=1),
        interval(1, 10, 10.0),
        event("alert", 10, 10.0, name="q_magnitude", active=True),
        interval(11, 20, 20.0),
    )
    text = shown(run, width=80)

    assert "20 of 100" in text
    assert "80 s" in text
    assert "run: alerts: q_magnitude" in text
    assert "not known" not in text, "a run that was not submitted needs no Slurm"


@pytest.mark.usefixtures("no_slurm")
def test_json_is_for_programs(campaign: Path) -> None:
    import typer

    from td3_hpc.launch.commands.runs import status

    app = typer.Typer()
    app.command()(status)
    result = CliRunner().invoke(app, [str(campaign), "--json"])

    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert [(run["stage"], run["state"], run["job"]) for run in told["runs"]] == [
        ("a", "not started", None),
        ("b", "not started", None),
    ]
    assert told["unknown"] == ["no Slurm on this machine: jobs are not looked up"]


def test_watching_looks_every_half_minute_and_no_oftener_than_asked(
    campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, looks = [0.0], list[float]()

    def sleep(step: float) -> None:
        seconds[0] += step
        if seconds[0] > 65:
            raise KeyboardInterrupt

    def look(paths: Sequence[Path]) -> Status:
        looks.append(seconds[0])
        return read_status(paths)

    monkeypatch.setattr("td3_hpc.launch.runs.status_table.time", SimpleNamespace(sleep=sleep))  # nobody else's
    monkeypatch.setattr("td3_hpc.launch.runs.status_table.read_status", look)
    (campaign / "a" / "seed-1" / "record.jsonl").write_text(event("attempt", 0, 0.0, epoch=1))

    show([campaign], watch=True, as_json=False)

    assert looks == [0, 30, 60]
    seconds[0] = 0.0
    looks.clear()
    show([campaign], watch=True, as_json=False, every_s=5)
    assert looks == [5 * look for look in range(14)]


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="neither a run's nor a campaign's directory"):
        read_status([tmp_path])


@pytest.mark.usefixtures("no_slurm")
def test_a_run_that_started_and_whose_job_is_unknown_keeps_its_last_state(campaign: Path) -> None:
    run = campaign / "a" / "seed-1"
    (run / "record.jsonl").write_text(event("attempt", 0, 0.0, epoch=1))
    SubmissionFolder(run).note_queued(0, ["12_1"])

    status = read_status([campaign])

    assert status.runs[0].progress.state == "started"
    assert status.runs[0].job is None
