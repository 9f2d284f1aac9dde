"""NO-GO, remedy, GO: `campaign fix` on campaigns of the stand-in, whose only gate wants a small `agent.tau`."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from td3_hpc.campaign.plan import load_campaign
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import BadInput, ExitCode
from td3_hpc.launch.campaigns import chain
from td3_hpc.launch.campaigns.chain import Place
from td3_hpc.launch.campaigns.fix import Prepared, apply, prepare
from tests.campaign_stand_in import TrialCampaign, make_package


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("package"))


class Trial(TrialCampaign):
    """A campaign on this machine whose file is never written after its first submission, but by `fix`."""

    def prepare(self, stage: str | None = None, seed: int | None = None) -> Prepared:
        here = self.place_of_file()
        return prepare(here, self.file, stage, seed, False, self.package)

    def fix(self) -> ExitCode:
        self.logged.clear()
        return apply(self.prepare(), self.logged.append, self.package)

    def place_of_file(self) -> Place:
        campaign = load_campaign(self.file)
        return Place(campaign, self.directory, self.profile, "test")

    def start(self, *stages: dict[str, Any], **top: Any) -> ExitCode:
        here = self.place(*stages, **top)
        self.directory = here.directory
        return chain.submit(here, self.logged.append, self.package)


@pytest.fixture
def no_preflight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Preflight has tests of its own, and speaks of the machine that these run on."""
    monkeypatch.setattr(chain, "require_ready", lambda here: None)
    monkeypatch.setattr("td3_hpc.launch.campaigns.resume.require_ready", lambda here, anew: None)


@pytest.fixture
def trial(tmp_path: Path, package: Path) -> Trial:
    (tmp_path / "scratch").mkdir()
    profile = ClusterConfig(scheduler="local", scratch=tmp_path / "scratch", runs=tmp_path / "runs")
    return Trial(tmp_path, package, profile)


WITHOUT_PREFLIGHT = pytest.mark.usefixtures("no_preflight")
BAD = {"agent.tau": 0.9}


@WITHOUT_PREFLIGHT
def test_after_a_no_go_fix_leads_to_go_without_a_hand_on_a_file(trial: Trial) -> None:
    assert trial.start({}, BAD, {}) == ExitCode.NO_GO
    trial.file.write_text("# Why.\n" + trial.file.read_text())

    shown = "\n".join(trial.prepare().explanation())
    assert trial.verdicts("a", "b", "c") == ["GO", "NO-GO", None], "showing it has changed something"
    assert "Target networks move slowly: 0.9, where agent.tau of 0.5 at most was asked for" in shown
    assert "-    agent.tau: 0.9\n+    agent.tau: 0.005" in shown
    assert "stage b, seed 1, begins again" in shown
    assert "stage c" not in shown, "it has not begun yet"

    assert trial.fix() == ExitCode.DONE

    assert trial.verdicts("a", "b", "c") == ["GO", "GO", "GO"]
    assert [trial.starts(stage) for stage in "abc"] == [1, 1, 1], "a passed stage was done again"
    assert "tau: 0.9" in (trial.root / "b" / "set-aside" / "1" / "seed-1" / "config.yaml").read_text()
    assert trial.file.read_text().startswith("# Why.\n")
    assert yaml.safe_load(trial.file.read_text())["stages"][1]["overrides"] == {"agent.tau": 0.005}
    assert [event["event"] for event in trial.directory.events()] == ["submitted", "fixed", "resumed"]
    with pytest.raises(BadInput, match="not stopped by a NO-GO verdict"):
        trial.prepare()


@WITHOUT_PREFLIGHT
def test_seeds_that_passed_a_stage_begin_again_with_its_new_configuration(trial: Trial) -> None:
    """One seed's verdict is changed by hand, since the stand-in fails by configuration, for all seeds alike."""
    trial.start(BAD, {}, seeds=[1, 2])
    path = trial.run("a", 2) / "verdict.json"
    path.write_text(path.read_text().replace('"NO-GO"', '"GO"').replace('"fail"', '"pass"'))

    assert "stage a, seed 2, begins again" in "\n".join(trial.prepare().explanation())
    assert trial.fix() == ExitCode.DONE

    assert [trial.verdicts("a", "b", seed=seed) for seed in (1, 2)] == [["GO", "GO"]] * 2
    aside = sorted(path.name for path in (trial.root / "a" / "set-aside").glob("*/*"))
    assert aside == ["seed-1", "seed-2"], "a run was deleted"


@WITHOUT_PREFLIGHT
def test_what_cannot_be_fixed_is_refused_and_changes_nothing(trial: Trial) -> None:
    trial.start({}, BAD, seeds=[1])
    before, text = sorted(trial.root.rglob("*")), trial.file.read_text()

    with pytest.raises(BadInput, match="no NO-GO verdict of stage a, seed 1"):
        trial.prepare("a", 1)
    with pytest.raises(BadInput, match="has no stage z"):
        trial.prepare("z")
    prepared = trial.prepare()
    trial.file.write_text(text.replace("0.9", "0.005"))
    with pytest.raises(BadInput, match="already"):
        trial.prepare()
    with pytest.raises(BadInput, match="was changed meanwhile"):
        apply(prepared, trial.logged.append, trial.package)
    verdict = trial.run("b") / "verdict.json"
    verdict.write_text(verdict.read_text().replace('{"agent.tau": 0.005}', "{}"))
    with pytest.raises(
        BadInput, match=r"stage b, seed 1: no change of the configuration cures this: agent\.tau is 0\.9"
    ):
        trial.prepare()

    assert sorted(trial.root.rglob("*")) == before


def test_preflight_lets_a_run_begin_again_in_the_directory_of_the_one_that_is_set_aside(trial: Trial) -> None:
    assert trial.start(BAD) == ExitCode.NO_GO

    assert trial.fix() == ExitCode.DONE

    assert trial.verdicts("a") == ["GO"]
