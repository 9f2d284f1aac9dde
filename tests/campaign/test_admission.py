"""Who may start, from verdicts in a campaign's directory."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from td3_hpc.campaign import admission
from td3_hpc.campaign.admission import Admissions, admit, verdict_digest
from td3_hpc.campaign.directory import CampaignDirectory
from td3_hpc.campaign.plan import load_campaign
from td3_hpc.code import file_digest
from td3_hpc.config import dump_yaml
from td3_hpc.gates.verdict import VERDICT_FILE, BoundTo, SimulatorIdentity, Verdict, read_verdict
from td3_hpc.submission_folder import SubmissionFolder
from tests.campaign_stand_in import write_campaign

CODE, IMAGE = "c" * 64, "d" * 64


class Place:
    """A campaign's directory with runs that have verdicts or not."""

    def __init__(self, folder: Path, stages: int = 3, **top: Any) -> None:
        self.directory = CampaignDirectory(folder / "trial")
        self.directory.root.mkdir()
        self.campaign = load_campaign(write_campaign(folder / "trial.yaml", *[{}] * stages, **top))
        (self.directory.root / "campaign.yaml").write_text(self.campaign.to_yaml())
        for stage in self.campaign.stages:
            for seed in self.campaign.seeds:
                self.submit(stage.name, seed)

    def submit(self, stage: str, seed: int, code: str = CODE, image: str | None = IMAGE) -> None:
        folder = SubmissionFolder(self.directory.run(stage, seed))
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write_notes({"code_sha256": code, "image": {"sha256": image} if image else None})

    def judge(self, stage: str, verdict: Any = "GO", seed: int = 1, **bound: Any) -> Path:
        config = self.campaign.stages[self.campaign.index(stage)].with_seed(seed)
        simulator = SimulatorIdentity(config.simulator.kind, config.simulator.version)
        run = self.directory.run(stage, seed)
        (run / "config.yaml").write_text(dump_yaml(config))
        origin = {"simulator": simulator, "town": "Brookfield", "config_sha256": file_digest(run / "config.yaml")}
        origin |= {"code_sha256": CODE, "image_sha256": IMAGE, **bound}
        written = Verdict(verdict, "as decided", stage, 10, "2026-01-01", [], BoundTo(**origin))
        (run / VERDICT_FILE).write_text(json.dumps(asdict(written)))
        return run

    def decide(self, stage: str, seed: int = 1) -> tuple[str, str]:
        decided = Admissions(self.directory, self.campaign).decide(self.campaign.index(stage), seed)
        return decided.decision, decided.reason


def test_the_first_stage_starts_and_the_others_wait_for_it(tmp_path: Path) -> None:
    place = Place(tmp_path)

    assert [place.decide(stage)[0] for stage in "abc"] == ["go", "wait", "wait"]
    place.judge("a")
    assert [place.decide(stage)[0] for stage in "abc"] == ["go", "go", "wait"]


def test_a_no_go_ends_every_later_stage_and_names_the_one_that_failed(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.judge("a", "NO-GO")

    for stage in "bc":
        assert place.decide(stage) == ("no-go", "stage a, seed 1 is NO-GO: as decided")


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ({"code_sha256": "e" * 64}, "earned on other code (eeeeeeeeeeee, not cccccccccccc)"),
        ({"image_sha256": "e" * 64}, "earned on another container image"),
        ({"image_sha256": None}, "earned on another container image"),
        ({"config_sha256": "e" * 64}, "earned on another configuration"),
        ({"simulator": SimulatorIdentity("carla", "0.9.16")}, "earned on carla 0.9.16, not embedded 0.9.16"),
        ({"simulator": SimulatorIdentity("embedded", "0.9.15")}, "earned on embedded 0.9.15, not embedded 0.9.16"),
    ],
)
def test_a_verdict_holds_only_for_what_it_was_earned_on(tmp_path: Path, bound: dict[str, Any], message: str) -> None:
    place = Place(tmp_path)
    place.judge("a", **bound)

    decision, reason = place.decide("b")

    assert decision == "no-go"
    assert message in reason


def test_a_verdict_of_an_earlier_version_holds_for_the_same_configuration_only(tmp_path: Path) -> None:
    """The digest in it is of a config.yaml in an earlier format: other bytes, the same meaning."""
    place = Place(tmp_path)
    run = place.judge("a")
    for text, expected in (("", "go"), ("tau: 0.005", "no-go")):
        written = (run / "config.yaml").read_text().removeprefix("format: 2\n").replace(text or "\0", "tau: 0.5")
        (run / "config.yaml").write_text(written)
        verdict = json.loads((run / VERDICT_FILE).read_text())
        verdict["bound_to"]["config_sha256"] = file_digest(run / "config.yaml")
        (run / VERDICT_FILE).write_text(json.dumps(verdict))

        assert place.decide("b")[0] == expected


def test_an_accepted_verdict_counts_for_other_code_but_not_for_another_simulator(tmp_path: Path) -> None:
    place = Place(tmp_path)
    simulator = SimulatorIdentity("carla", "0.9.16")
    for bound, expected in (({}, "go"), ({"simulator": simulator}, "no-go")):
        run = place.judge("a", code_sha256="e" * 64, **bound)
        accepted = {"verdict_sha256": verdict_digest(run), "now_code_sha256": CODE, "now_image_sha256": IMAGE}
        place.directory.note("accepted", stage="a", seed=1, **accepted)

        assert place.decide("b")[0] == expected


def test_a_verdict_that_was_accepted_for_other_code_than_this_does_not_count(tmp_path: Path) -> None:
    place = Place(tmp_path)
    run = place.judge("a", code_sha256="e" * 64)
    accepted = {"verdict_sha256": verdict_digest(run), "now_code_sha256": "f" * 64, "now_image_sha256": IMAGE}
    place.directory.note("accepted", stage="a", seed=1, **accepted)

    assert place.decide("b")[0] == "no-go"


def test_with_all_seeds_required_one_failure_ends_all(tmp_path: Path) -> None:
    place = Place(tmp_path, seeds=[1, 2, 3])
    place.judge("a", seed=1)
    assert place.decide("b", 1) == ("wait", "stage a, seed 2 is unfinished; stage a, seed 3 is unfinished")
    place.judge("a", "NO-GO", seed=2)

    assert place.decide("b", 1)[0] == "no-go"
    assert "3 of 3 seeds must pass stage a; stage a, seed 2 is NO-GO" in place.decide("b", 1)[1]


def test_with_a_share_required_the_failed_seed_is_left_behind(tmp_path: Path) -> None:
    place = Place(tmp_path, seeds=[1, 2, 3], require=0.67)
    place.judge("a", seed=1)
    place.judge("a", "NO-GO", seed=2)
    assert place.decide("b", 1)[0] == "wait", "the third one decides"
    place.judge("a", seed=3)

    assert [place.decide("b", seed)[0] for seed in (1, 2, 3)] == ["go", "no-go", "go"]
    place.judge("b", seed=1)
    place.judge("b", seed=3)
    assert [place.decide("c", seed)[0] for seed in (1, 2, 3)] == ["go", "no-go", "go"]
    place.judge("c", seed=1)
    place.judge("c", "NO-GO", seed=3)
    assert Admissions(place.directory, place.campaign).outcome().decision == "no-go"


def test_a_stage_that_was_given_up_ends_the_later_ones(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (place.directory.run("a", 1) / "submission" / "gave_up").write_text("3 jobs got no further than step 0\n")

    assert place.decide("c") == ("stuck", "stage a, seed 1: 3 jobs got no further than step 0")


def test_a_damaged_verdict_is_neither_go_nor_a_traceback(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (place.directory.run("a", 1) / VERDICT_FILE).write_text('{"verdict": "GO"')

    decision, reason = place.decide("b")

    assert decision == "stuck"
    assert "verdict.json: damaged" in reason


def test_after_cancel_nothing_starts_until_it_is_submitted_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for word, decision in (("submitted", "go"), ("cancelled", "cancelled"), ("submitted", "go")):
        place.directory.note(word)
        assert admit(place.directory, place.campaign, "a", 1).decision == decision


# ---- a long stage asks for a resume
LONG_STAGE = {"training.total_steps": 100_000}


def long_last(tmp_path: Path) -> Place:
    """Two stages, the second a long one, the first GO."""
    folder = tmp_path / "campaign"
    folder.mkdir()
    place = Place(folder, stages=2)
    write_campaign(folder / "trial.yaml", {}, LONG_STAGE)
    place.campaign = load_campaign(folder / "trial.yaml")
    (place.directory.root / "campaign.yaml").write_text(place.campaign.to_yaml())
    place.judge("a")
    return place


def attempt(place: Place, epoch: int, resumed_from: int | None) -> None:
    """Note an attempt in the first stage's record."""
    line = {"event": "attempt", "step": resumed_from or 0, "time": 1.0, "epoch": epoch, "resumed_from": resumed_from}
    with (place.directory.run("a", 1) / "record.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def test_a_long_stage_does_not_start_where_no_resume_was_tested(tmp_path: Path) -> None:
    place = long_last(tmp_path)
    attempt(place, 1, None)
    place.directory.note("submitted", resume_tested=False)

    decision, reason = place.decide("b")

    assert decision == "stuck", "no verdict is at fault: the same campaign goes on once it is tested"
    assert reason.startswith("stage b has 100,000 steps, and no resume was tested")
    assert "td3-hpc doctor" in reason


def test_what_continues_another_stage_was_not_resumed(tmp_path: Path) -> None:
    place = long_last(tmp_path)
    attempt(place, 1, 10)

    assert place.decide("b")[0] == "stuck"


def test_a_resume_in_the_campaign_s_record_is_a_test(tmp_path: Path) -> None:
    place = long_last(tmp_path)
    attempt(place, 1, None)
    attempt(place, 2, 5)

    assert place.decide("b")[0] == "go"


def test_the_doctor_s_is_one_as_soon_as_the_campaign_is_submitted_again(tmp_path: Path) -> None:
    place = long_last(tmp_path)
    place.directory.note("submitted", resume_tested=False)
    place.directory.note("submitted", resume_tested=True)

    assert place.decide("b")[0] == "go"


def test_with_many_seeds_every_file_is_read_once_and_the_waiting_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each decision asks all seeds of the stage before, and each of those as many again: 20 to the fourth."""
    place, read = Place(tmp_path, stages=4, seeds=list(range(1, 21))), list[Path]()
    for seed in range(1, 16):
        place.judge("a", seed=seed)
    monkeypatch.setattr(admission, "read_verdict", lambda run: (read.append(run), read_verdict(run))[1])
    admissions = Admissions(place.directory, place.campaign)

    decided = [admissions.decide(index, seed) for index in range(4) for seed in place.campaign.seeds]

    assert len(read) == len(set(read)), "a run's verdict was read more than once"
    assert {each.decision for each in decided[20:]} == {"wait"}
    assert decided[20].reason == "stage a is unfinished for 5 of 20 seeds"
    assert decided[20].waits_for == tuple(("a", seed) for seed in range(16, 21))
