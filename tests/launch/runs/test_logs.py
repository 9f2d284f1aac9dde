"""The newest attempt's log, and what comes."""

import os
from pathlib import Path

import pytest

from td3_hpc.errors import BadInput
from td3_hpc.launch.runs.logs import newest_log, show_log


def write(run: Path, job: int, text: str, time: float) -> Path:
    (run / "logs").mkdir(exist_ok=True)
    path = run / "logs" / f"slurm-{job}.out"
    with path.open("a") as file:
        file.write(text)
    os.utime(path, (time, time))
    return path


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such run directory"):
        show_log(tmp_path / "none", lines=2, follow=True)


def test_the_newest_log_is_the_one_that_was_written_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, 9, "old\n", 100)
    newest = write(tmp_path, 8, "one\ntwo\nthree\n", 200)

    assert newest_log(tmp_path) == newest
    show_log(tmp_path, lines=2, follow=False)

    assert capsys.readouterr().out == f"== {newest}\ntwo\nthree\n"


def test_following_goes_on_into_the_next_attempts_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("td3_hpc.launch.runs.logs.POLL_S", 0)
    first = write(tmp_path, 1, "a\n", 100)
    events = iter(
        [
            lambda: write(tmp_path, 1, "b\n", 101),
            lambda: (write(tmp_path, 1, "c\n", 102), write(tmp_path, 2, "d\n", 103)),
            lambda: write(tmp_path, 2, "e\n", 104),
        ]
    )

    def goes_on() -> bool:
        event = next(events, None)
        if event is not None:
            event()
        return event is not None

    show_log(tmp_path, lines=10, follow=True, goes_on=goes_on)

    assert capsys.readouterr().out == f"== {first}\na\nb\nc\n== {tmp_path}/logs/slurm-2.out\nd\ne\n"


def test_a_run_without_a_log_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no job of it has written a log yet"):
        show_log(tmp_path, lines=10, follow=False)


def test_of_a_campaign_one_run_is_to_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "campaign.yaml").touch()
    (tmp_path / "a" / "seed-1").mkdir(parents=True)

    with pytest.raises(BadInput, match=r"give one of its runs: .*a/seed-1"):
        show_log(tmp_path, lines=10, follow=False)
