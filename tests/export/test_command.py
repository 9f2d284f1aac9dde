"""`td3-hpc export`: the files are the agent's policy, and are not written where they are not."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy

from td3_hpc.checkpoint import open_checkpoint
from td3_hpc.config import load_resolved
from td3_hpc.errors import BadInput, UserError
from td3_hpc.export import card, command
from td3_hpc.export.command import export, stored_observations
from td3_hpc.export.policy import load
from td3_hpc.record import EvaluationCycle, read_events
from td3_hpc.replay import ReplayBuffer
from td3_hpc.spaces import OBSERVATION
from td3_hpc.td3 import TD3Agent
from tests.judged_runs import Trained


def agent_of(run: Path) -> TD3Agent:
    agent = TD3Agent(load_resolved(run / "config.yaml").agent, "cpu", 0)
    agent.load_state(open_checkpoint(run).state()["agent"])
    return agent


def test_its_actions_are_the_agents_on_the_runs_own_observations(small_run: Trained, exported: Path):
    observations = stored_observations(open_checkpoint(small_run.run_dir), 50)
    found = load(exported).actions(observations)
    assert found.shape == (len(observations["vector"]), 2)
    assert np.abs(found - agent_of(small_run.run_dir).actions(observations)).max() < 1e-5
    assert found.std() > 0


def test_the_stored_observations_are_those_that_the_buffer_gives_out(small_run: Trained):
    checkpoint = open_checkpoint(small_run.run_dir)
    buffer = ReplayBuffer(1000, np.random.default_rng(0))
    buffer.restore(checkpoint.first_row, checkpoint.rows())
    buffer.load_state(checkpoint.state()["replay"])
    frames = buffer.sample(2000).frames["image"]
    known = {stack.tobytes() for both in frames for stack in (both[:-1], both[1:])}
    ours = {stack.tobytes() for stack in stored_observations(checkpoint, 1000)["image"]}
    assert len(ours) > 5
    assert ours <= known


def test_observations_of_several_segments_are_tried(small_run: Trained):
    checkpoint = open_checkpoint(small_run.run_dir)
    sizes = [segment.next_row - segment.first_row for segment in checkpoint.manifest.segments]
    assert len(sizes) > 1
    first_row, blocks = checkpoint.newest_rows(sizes[-1] + 1)
    assert [len(block["flags"]) for block in blocks] == sizes[-2:]
    assert first_row == checkpoint.manifest.segments[-2].first_row
    assert len(stored_observations(checkpoint, 1000)["vector"]) > sizes[-1]


def test_an_output_that_is_a_file_is_refused_in_one_line(small_run: Trained, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="file: is a file; name a folder with -O"):
        export(small_run.run_dir, tmp_path / "file")


def test_the_weights_are_there_by_name(small_run: Trained, exported: Path):
    weights = safetensors.numpy.load_file(exported / "policy.safetensors")
    actor = dict(agent_of(small_run.run_dir).actor.named_parameters())
    assert weights.keys() == actor.keys()
    assert all((weights[name] == value.detach().numpy()).all() for name, value in actor.items())


def test_the_description_stands_in_the_file(small_run: Trained, exported: Path):
    description = load(exported).description
    assert [entry.name for entry in description.observation] == [entry.name for entry in OBSERVATION]
    assert description.decision_seconds == pytest.approx(0.1)
    assert description.environment["town"] == "Hamlet"
    assert description.origin["step"] == 40
    assert description.origin["stage"] == "small"
    onnx.checker.check_model(str(exported / "policy.onnx"))


def test_the_card_says_what_it_is_and_what_it_was_not_tried_on(exported: Path):
    card = (exported / "MODEL_CARD.md").read_text(encoding="utf-8")
    for expected in ("step 40", "Hamlet", "| this policy |", "What nobody has tried", "sha256"):
        assert expected in card


def test_the_card_of_an_earlier_checkpoint_has_the_reference_drivers_too(small_run: Trained):
    config = load_resolved(small_run.run_dir / "config.yaml")
    cycles = read_events(small_run.run_dir / "record.jsonl", EvaluationCycle)
    assert len(cycles) > 1
    for cycle in cycles:
        lines = "\n".join(card._figures(small_run.run_dir, config, cycle.step))
        assert f"at step {cycle.step:,}" in lines
        for driver in ("this policy", "constant driver", "random driver", "pure-pursuit driver"):
            assert f"| {driver} |" in lines


def test_the_same_checkpoint_gives_the_same_bytes(small_run: Trained, exported: Path, tmp_path: Path):
    for path in export(small_run.run_dir, tmp_path / "again"):
        assert path.read_bytes() == (exported / path.name).read_bytes(), path.name


def test_what_is_not_the_agents_policy_is_not_written(
    small_run: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(command, "CLOSE", -1.0)
    with pytest.raises(UserError, match=r"actions differ by \S+; nothing was written"):
        export(small_run.run_dir, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_run_without_a_checkpoint_is_told_in_one_line(small_run: Trained, tmp_path: Path):
    shutil.copytree(small_run.run_dir, tmp_path / "run", ignore=shutil.ignore_patterns("state", "replay"))
    done = subprocess.run(
        [sys.executable, "-m", "td3_hpc", "export", str(tmp_path / "run")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_no_stored_observation_is_no_check(small_run: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("td3_hpc.checkpoint.store.Checkpoint.newest_rows", lambda self, least: (0, []))
    with pytest.raises(BadInput, match="holds no stored observation"):
        export(small_run.run_dir, tmp_path / "none")
