"""`td3-hpc pretrain` as it is used: it drives, fits, writes, goes on, and a run begins with what it wrote."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

from td3_hpc.checkpoint import open_checkpoint
from td3_hpc.pretraining.drives import read_episodes
from td3_hpc.training.pretrained import read_encoder
from tests.small_stage import SMALL, changed

SEES = {
    "agent.encoder": "distances",
    "environment.reward.heeds_hazards": True,
    "environment.traffic.situations": ["stopped_car"],
    "environment.route.min_length_m": 100,
    "environment.route.max_length_m": 200,
}
STAGE = changed(SMALL, SEES)


@pytest.fixture
def begin(tmp_path):
    """`begin(*arguments)`: a process of td3-hpc in the test's folder, which ends with the test."""
    (tmp_path / "see.yaml").write_text(yaml.safe_dump(STAGE))
    begun = []

    def start(*arguments):
        command = [sys.executable, "-m", "td3_hpc", *arguments]
        environment = {**os.environ, "PYTHONPATH": os.getcwd(), "COLUMNS": "200"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        begun.append(subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def ended(process, code=0):
    output, _ = process.communicate(timeout=240)
    assert process.returncode == code, output
    return output


def pretrain(*options):
    return ("pretrain", "see.yaml", "-O", "distances.h5", "--episodes", "3", "--epochs", "2", *options)


def test_it_goes_on_where_it_was_stopped_and_a_run_begins_with_what_it_wrote(begin, tmp_path):
    folder = tmp_path / "distances.h5.drives"
    first = begin(*pretrain())
    deadline = time.monotonic() + 120
    while not (folder / "episode-00000.h5").exists():
        assert time.monotonic() < deadline, "no episode was driven"
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    assert "pretrain: stopped; the same command goes on" in ended(first, 1)
    kept = (folder / "episode-00000.h5").read_bytes()

    output = ended(begin(*pretrain()))
    assert "epoch 2 of 2: loss" in output
    assert (folder / "episode-00000.h5").read_bytes() == kept
    episodes = list(read_episodes(folder, 3))
    assert all(len(episode.frames) == len(episode.ahead) <= 15 for episode in episodes)
    written = (tmp_path / "distances.h5").read_bytes()
    ended(begin(*pretrain()))
    assert (tmp_path / "distances.h5").read_bytes() == written, "done is done"

    content = read_encoder(tmp_path / "distances.h5")
    override = f"agent.pretrained={tmp_path / 'distances.h5'}"
    options = ("-o", override, "-o", "training.total_steps=22", "-o", "evaluation.every_steps=22")
    process = begin("train", "see.yaml", "--run-dir", "run", *options)
    output, _ = process.communicate(timeout=240)
    assert process.returncode in (0, 3), output
    events = [json.loads(line) for line in (tmp_path / "run" / "record.jsonl").read_text().splitlines()]
    assert {event["situation"] for event in events if event["event"] == "episode"} == {"stopped_car"}
    state = open_checkpoint(tmp_path / "run").state()
    assert len(state["provenance"]["pretrained"]) == 32
    for network in ("actor", "critic_target"):
        moved = [np.abs(state["agent"][network][f"cnn.{name}"] - w).max() for name, w in content.weights.items()]
        assert max(moved) < 0.01, f"{network} did not begin with the file's weights"


def test_what_is_wrong_is_told_in_one_line(told_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "see.yaml").write_text(yaml.safe_dump(STAGE))

    def refused(*words):
        told = told_here(*words)
        assert (told.returncode, len(told.stderr.splitlines())) == (2, 1), told
        return told.stderr

    off = refused(*pretrain("-o", "environment.reward.heeds_hazards=false"))
    assert "heeds_hazards is off: nothing tells what is ahead; set it to true" in off
    missing = f"agent.pretrained={tmp_path / 'missing.h5'}"
    assert "missing.h5: no such file; make it with td3-hpc pretrain" in refused("train", "see.yaml", "-o", missing)
    (tmp_path / "text.h5").write_text("not HDF5")
    text = f"agent.pretrained={tmp_path / 'text.h5'}"
    assert "text.h5: not a pre-trained encoder, or damaged" in refused("train", "see.yaml", "-o", text)
