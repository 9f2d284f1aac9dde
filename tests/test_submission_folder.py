"""The files of a submission: written, read, missing, damaged, cleared."""

from pathlib import Path

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.submission_folder import Outcome, SubmissionFolder


def test_a_run_that_never_was_submitted_has_no_notes(tmp_path: Path) -> None:
    assert SubmissionFolder(tmp_path).notes() == {}


@pytest.mark.parametrize("content", [b"", b'{"jobs": ["1', b"[]", b"\xff\xfe", b"null"])
def test_damaged_notes_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "submission" / "submission.json"
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(BadInput, match=f"^{path}: damaged .*; take it away, and submit again$") as caught:
        SubmissionFolder(tmp_path).notes()
    assert "\n" not in str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> SubmissionFolder:
    (tmp_path / "submission").mkdir()
    return SubmissionFolder(tmp_path)


def test_a_folder_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    folder = SubmissionFolder(tmp_path)

    assert (folder.queued(), folder.jobs(), folder.outcome()) == ([], [], None)
    assert (folder.gave_up, folder.cancelled) == ("", False)
    folder.forget_jobs()


@pytest.mark.parametrize(
    ("text", "expected", "over"),
    [
        ("75\n120\n", Outcome(75, 120), False),
        ("3\n1000\n", Outcome(3, 1000), True),
        ("2\n", Outcome(2, 0), True),
        ("139\n7\n", Outcome(139, 7), False),
        ("", None, False),
        ("\0\0", None, False),
    ],
)
def test_how_the_newest_attempt_ended(
    folder: SubmissionFolder, text: str, expected: Outcome | None, over: bool
) -> None:
    (folder.path / "outcome").write_text(text)

    outcome = folder.outcome()

    assert outcome == expected
    assert bool(outcome and outcome.over) is over


def test_the_jobs_of_a_campaigns_run_are_those_that_commands_and_scripts_have_noted(folder: SubmissionFolder) -> None:
    folder.write_notes({"campaign": "trial"})
    folder.note_queued(0, ["12_1", "13_1"])
    with (folder.path / "jobs").open("a") as file:
        file.write("- 14_1\n250 15_1\n")  # as the script does

    assert folder.queued() == [(0, ["12_1", "13_1"]), (None, ["14_1"]), (250, ["15_1"])]
    assert folder.jobs() == ["12_1", "13_1", "14_1", "15_1"]


def test_the_jobs_of_a_run_alone_are_in_its_notes(folder: SubmissionFolder) -> None:
    folder.write_notes({"jobs": ["7", "8"]})

    assert folder.jobs() == ["7", "8"]


def test_what_jobs_have_left_is_forgotten_and_nothing_else(folder: SubmissionFolder) -> None:
    folder.write_notes({"jobs": ["7"]})
    folder.write_plan("first run\n")
    folder.stage.write_text("name: 1k\n")
    kept = sorted(folder.path.iterdir())
    folder.note_queued(0, ["7"])
    folder.cancel()
    for name in ("attempts", "outcome", "bad_nodes", "owed", "gave_up"):
        (folder.path / name).write_text("1\n")
    assert folder.gave_up == "1"

    folder.forget_jobs()

    assert sorted(folder.path.iterdir()) == kept
    assert (folder.path / "plan").read_text() == "first run\n"
