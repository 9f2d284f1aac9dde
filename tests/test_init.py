"""`td3-hpc init`: a project, made once and completed ever after."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from td3_hpc import init as room
from td3_hpc.cli import app
from td3_hpc.entry import _mount
from td3_hpc.errors import BadInput
from td3_hpc.launch.jobs.submission import load_cluster
from tests.paths import ROOT

_mount()


def init(*arguments: object, answers: str | None = None) -> str:
    """What it says; answers are given as on a terminal."""
    done = CliRunner().invoke(app, ["init", *map(str, arguments)], input=answers)
    if isinstance(done.exception, BadInput):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        @staticmethod
        def isatty() -> bool:
            return True

    class System:
        stdin = Terminal

    monkeypatch.setattr(room, "sys", System)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_project_holds_all_that_is_shipped_to_be_edited(tmp_path: Path):
    said = init(tmp_path / "mine")
    found = files(tmp_path / "mine")
    for folder in ("configs/stages", "configs/campaigns", "examples"):
        for path in (ROOT / folder).glob("*.*"):
            assert found[f"{folder}/{path.name}"] == path.read_bytes()
    assert "checkpoints/" in found[".gitignore"].decode()
    assert len(found["README.md"].decode().splitlines()) <= 10
    assert f"{len(found)} files written" in said


def test_again_it_adds_what_is_missing_and_overwrites_nothing(tmp_path: Path):
    init(tmp_path, "--site", "lumi")
    stage, campaign = tmp_path / "configs/stages/1k.yaml", tmp_path / "configs/campaigns/smoke.yaml"
    stage.write_text("name: mine\n")
    campaign.unlink()
    before = files(tmp_path)
    said = init(tmp_path, "--site", "lumi")
    assert files(tmp_path) == {**before, "configs/campaigns/smoke.yaml": campaign.read_bytes()}
    assert "1 files written" in said
    assert "other than shipped: configs/stages/1k.yaml" in said


def test_a_known_sites_profile_with_what_is_personal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given = ("account=project_1", "runs=/scratch/runs", "container.image=/project/embedded.sif")
    init(tmp_path, "--site", "lumi", *(word for pair in given for word in ("-c", pair)))
    monkeypatch.chdir(tmp_path)
    profile = load_cluster("lumi")
    assert (profile.account, str(profile.runs), profile.partition) == ("project_1", "/scratch/runs", "small")
    assert profile.container is not None
    assert str(profile.container.image) == "/project/embedded.sif"
    assert "sources" in Path("configs/clusters/lumi.yaml").read_text(), "where the site says so, too"


def test_what_is_personal_and_was_not_given_is_told_at_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    init(tmp_path, "--site", "mahti")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SBATCH_ACCOUNT", raising=False)
    with pytest.raises(BadInput, match=r"configs/clusters/mahti.yaml: account: missing"):
        load_cluster("mahti")


def test_questions_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_a_terminal: None):
    answers = ["y", "ours", "gpu", "me", "gpu:a100:1", "16", "", "600", "/shared/runs", "/shared/image.sif"]
    init(tmp_path, answers="\n".join(answers) + "\n")
    monkeypatch.chdir(tmp_path)
    profile = load_cluster("ours")
    assert (profile.partition, profile.account, profile.gres, profile.cpus) == ("gpu", "me", "gpu:a100:1", 16)
    assert (profile.memory_gib, profile.walltime_minutes, str(profile.runs)) == (48, 600, "/shared/runs")
    assert "asked" not in init(tmp_path, answers=""), "there is a profile: nothing is asked again"


def test_no_cluster_no_profile(tmp_path: Path, on_a_terminal: None):
    init(tmp_path, answers="n\n")
    assert [path.name for path in (tmp_path / "configs" / "clusters").iterdir()] == ["local.yaml"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--site", "nowhere"), "--site nowhere: not known; there are alex, claix,"),
        (("--site", "lumi", "--cluster", "x"), "give one of them"),
        (("--cluster", "../x"), "give a name, not a path"),
        (("-c", "account=x"), "name it by --site or --cluster"),
        (("--cluster", "x", "-c", "cpus=many"), "configs/clusters/x.yaml: cpus"),
        (("--cluster", "x", "-c", "cpu=2"), "cpu: unknown key; did you mean cpus?"),
    ],
)
def test_mistakes_are_refused_and_nothing_is_written(tmp_path: Path, arguments: tuple[str, ...], words: str):
    with pytest.raises(BadInput) as refusal:
        init(tmp_path / "new", *arguments)
    assert words in str(refusal.value)
    assert not (tmp_path / "new").exists()


def test_a_profile_that_is_there_is_not_changed(tmp_path: Path):
    init(tmp_path, "--cluster", "x")
    with pytest.raises(BadInput, match=r"x.yaml: is there already, and -c would change it; edit it"):
        init(tmp_path, "--cluster", "x", "-c", "cpus=2")


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="file: is a file; give a folder's name"):
        init(tmp_path / "file")
