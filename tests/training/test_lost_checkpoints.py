"""Where epoch files, the record or a half-copied directory say other things than the checkpoints, these count."""

import hashlib
import shutil
import signal

import pytest

LONGER = ("-o", "training.total_steps=44")


def digest(directory):
    found = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        found.update(f"{path} {path.lstat().st_mode} {path.lstat().st_mtime_ns}".encode())
        found.update(path.read_bytes() if path.is_file() else b"")
    return found.hexdigest()


def refused(run, *options):
    """What it says; nothing is changed."""
    before = digest(run.directory)
    code, output = run.train(*options)
    assert code == 2, output
    assert digest(run.directory) == before
    return output


def test_a_finished_run_is_not_begun_anew_whatever_an_epoch_file_says(ended):
    run = ended
    state = run.directory / "state"
    newest = max(state.glob("checkpoint-*.json")).name
    shutil.copy(state / "epoch-0001.json", state / "epoch-0009.json")

    output = refused(run, *LONGER)
    assert f"The newest whole checkpoint is {newest} (step 40)" in output.replace("\n", " ")

    (state / "epoch-0009.json").unlink()
    run.start(*LONGER)
    run.wait_for(lambda run: len(run.events("attempt")) == 2)
    run.process.send_signal(signal.SIGTERM)  # the rest of the run says no more
    code, output = run.finish()
    assert code in (0, 75), output
    assert run.events("attempt")[-1]["resumed_from"] == 40


@pytest.mark.long
def test_the_checkpoints_count_not_the_record(ended):
    run = ended
    state = run.directory / "state"
    for path in state.glob("checkpoint-*-s000000040-*"):
        path.unlink()
    assert "is not here: is a copy incomplete?" in refused(run)
    for path in state.glob("epoch-*.json"):
        path.unlink()
    code, output = run.train()
    assert code == 0, output
    attempt = run.events("attempt")[-1]
    assert attempt["resumed_from"] == 30
    assert "record.jsonl tells of a checkpoint of step 40; the newest whole one is of step 30" in "\n".join(
        attempt["messages"]
    )

    for folder in ("state", "replay"):
        shutil.rmtree(run.directory / folder)
    assert "tells of a checkpoint of step 40, but none is here" in refused(run)
