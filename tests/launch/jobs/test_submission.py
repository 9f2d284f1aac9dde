"""Submitting: what is wrong is one clear line, with nothing queued; a local profile runs the stage at once."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from td3_hpc.config import load_stage
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput
from td3_hpc.launch.jobs.submission import load_cluster, read_profile, show, submit
from td3_hpc.shipped import site_names
from td3_hpc.submission_folder import SubmissionFolder
from tests.paths import ROOT

STAGE = ROOT / "configs" / "stages" / "1k.yaml"
STAND_IN = ROOT / "tests" / "slurm" / "stand_in" / "td3_hpc"


def profile(**changes: Any) -> ClusterConfig:
    return ClusterConfig.model_validate(changes)


def write_profile(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    run.mkdir()
    (run / "plan.json").write_text(json.dumps({"total": 3, "step_s": 0.01, "status": 3}))
    return run


@pytest.fixture
def no_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A PATH without Slurm."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize("name", ["local", "testcluster", "example"])
def test_the_profiles_in_the_repository_are_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    assert isinstance(load_cluster(name), ClusterConfig)


def test_an_unknown_profile_names_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    known = rf"configs/clusters: example, local, testcluster; known sites: {', '.join(site_names())}"
    with pytest.raises(BadInput, match=rf"tescluster\.yaml: no such cluster profile; in {known}"):
        load_cluster("tescluster")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partitoin: low", "partitoin: unknown key; did you mean partition?"),
        ("walltime_minutes: 2\nsignal_lead_s: 120", "signal_lead_s (120) is not below walltime_minutes (2)"),
        ("container: {image: /i.sif, binds: ['data:/data']}", "'data:/data': write it as /source"),
        ("walltime_minutes: 02:00:00\nmemory_gib: -1", "memory_gib: input should be greater than 0"),
        ("scheduler: local\nrequeue: chain", "scheduler: local has no queue"),
    ],
)
def test_a_mistake_in_a_profile_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_cluster(write_profile(tmp_path / "p.yaml", text))

    assert message in str(caught.value)


PERSONAL = ("account=project_1", "runs=/scratch/project_1/td3-runs", "container.image=/project/project_1/carla.sif")


@pytest.mark.parametrize("name", site_names())
def test_a_known_sites_script_is_the_one_that_was_reviewed(name: str) -> None:
    """`td3-hpc submit configs/stages/1k.yaml --cluster NAME --print`, with what is personal."""
    expected = ROOT / "tests" / "launch" / "jobs" / "sites" / f"{name}.sbatch"

    assert show(STAGE, load_cluster(name, PERSONAL)) == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", site_names())
def test_what_is_personal_is_asked_for_by_name(name: str) -> None:
    _, _, personal = read_profile(name)
    assert personal.keys() >= {"runs", "container.image"}

    with pytest.raises(BadInput) as caught:
        load_cluster(name)

    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == list(personal)
    assert lines[0].endswith(f"; give -c {next(iter(personal))}=...")


def test_the_users_own_profile_comes_before_a_known_sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs" / "clusters").mkdir(parents=True)
    write_profile(tmp_path / "configs" / "clusters" / "lumi.yaml", "partition: mine")
    monkeypatch.chdir(tmp_path)

    assert load_cluster("lumi").partition == "mine"


def test_an_account_that_the_site_has_users_export_counts_where_the_profile_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBATCH_ACCOUNT", "project_2")

    assert load_cluster(write_profile(tmp_path / "p.yaml", "partition: x")).account == "project_2"
    assert load_cluster(write_profile(tmp_path / "p.yaml", "account: other")).account == "other"
    assert load_cluster(write_profile(tmp_path / "p.yaml", "scheduler: local")).account is None


def test_a_local_profile_runs_the_stage_at_once_with_its_exit_status(run: Path) -> None:
    submission = submit(STAGE, profile(scheduler="local"), run, package=STAND_IN)

    assert (submission.status, submission.jobs) == (3, [])
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["started", "finished"]


def test_configuration_and_code_are_frozen_into_the_run_directory(run: Path) -> None:
    submit(STAGE, profile(scheduler="local"), run, ["seed=7"], package=STAND_IN)

    frozen = run / "submission"
    assert load_stage(frozen / "stage.yaml") == load_stage(STAGE, ["seed=7"])
    assert load_cluster(str(frozen / "cluster.yaml")) == profile(scheduler="local")
    assert (frozen / "code" / "td3_hpc" / "__main__.py").read_bytes() == (STAND_IN / "__main__.py").read_bytes()
    notes = SubmissionFolder(run).notes()
    assert notes["image"] is None
    assert len(notes["code_sha256"]) == 64


def test_a_new_submission_knows_nothing_of_how_the_last_one_ended(run: Path) -> None:
    submit(STAGE, profile(), run, route="hand", package=STAND_IN)
    before = sorted(path.name for path in (run / "submission").iterdir())
    for name in ("attempts", "outcome", "bad_nodes", "cancelled"):
        (run / "submission" / name).write_text("1 0\n" * 3)

    submit(STAGE, profile(), run, route="hand", package=STAND_IN)

    assert sorted(path.name for path in (run / "submission").iterdir()) == before


def test_modules_are_loaded_by_the_sites_own_function_which_may_use_unset_variables(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASH_FUNC_module%%", f'() {{ echo "$@ $NOT_SET" >>{run}/modules; [ $3 != missing ]; }}')

    loaded = submit(STAGE, profile(scheduler="local", modules=["apptainer/1.3", "cuda"]), run, package=STAND_IN)
    missing = submit(STAGE, profile(scheduler="local", modules=["apptainer", "missing"]), run, package=STAND_IN)

    assert (run / "modules").read_text() == "load apptainer/1.3 cuda \nload apptainer missing \n"
    assert (loaded.status, missing.status) == (3, 2)


@pytest.mark.usefixtures("no_slurm")
def test_without_slurm_nothing_is_queued(run: Path) -> None:
    with pytest.raises(BadInput, match="no sbatch on this machine"):
        submit(STAGE, profile(), run, package=STAND_IN)
    with pytest.raises(BadInput, match="no sbatch on this machine"):
        submit(STAGE, profile(), run, route="submitit", package=STAND_IN)


def test_a_missing_image_is_bad_input_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.sif: the container image cannot be read"):
        submit(STAGE, profile(scheduler="local", container={"image": str(tmp_path / "none.sif")}), tmp_path / "run")

    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not Path("/proc/1").exists(), reason="needs Linux's /proc as a folder that nobody can write to")
def test_an_unwritable_run_directory_is_bad_input() -> None:
    with pytest.raises(BadInput, match="the run directory cannot be written"):
        submit(STAGE, profile(scheduler="local"), Path("/proc/run"))


@pytest.mark.parametrize("character", [*" :,%#\\\"'\t\n", "\u2028"])
def test_a_run_directory_that_not_every_part_of_a_job_can_name_is_bad_input(tmp_path: Path, character: str) -> None:
    with pytest.raises(BadInput, match="must not hold spaces"):
        submit(STAGE, profile(scheduler="local"), tmp_path / f"a{character}run")
    assert list(tmp_path.iterdir()) == []


def test_a_run_directory_may_have_other_letters(tmp_path: Path) -> None:
    directory = tmp_path / "läuft [1] $x;y"
    with pytest.raises(BadInput, match="spaces"):
        submit(STAGE, profile(scheduler="local"), directory)
    run = tmp_path / "läuft[1]$x;y&(z)"
    run.mkdir()
    (run / "plan.json").write_text(json.dumps({"total": 3, "step_s": 0.01, "status": 3}))

    assert submit(STAGE, profile(scheduler="local", scratch=tmp_path), run, package=STAND_IN).status == 3
    assert "#SBATCH --output=" + str(run) in show(STAGE, profile(), run)


def test_show_writes_nothing(tmp_path: Path) -> None:
    text = show(STAGE, profile(), tmp_path / "run")

    assert text.startswith("#!/bin/bash\n")
    assert sys.executable in text
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_slurm")
def test_by_hand_everything_is_frozen_and_nothing_queued(run: Path) -> None:
    submission = submit(STAGE, profile(), run, route="hand", package=STAND_IN)

    assert submission.jobs == SubmissionFolder(run).notes()["jobs"] == []
    assert submission.script.read_text() == show(STAGE, profile(), run)
    assert (run / "submission" / "code" / "td3_hpc" / "__main__.py").exists()
    assert (run / "logs").is_dir(), "sbatch would not write its log"
