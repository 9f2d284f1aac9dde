"""A reminder: a change of what a run computes raises the behaviour number.

A short real run, and the pure pursuit driver's way along two routes, are held against numbers kept in
tests/behaviour/expected.json. They are compared with tolerances, not as bytes: another processor's last bits are no
other behaviour. Exact are the towns' files and the networks' shapes. `python -m tests.test_behaviour` writes all anew.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import td3_hpc
from td3_hpc import behaviour
from td3_hpc.behaviour import BEHAVIOUR, CHANGES, behaviour_difference
from td3_hpc.checkpoint import Checkpoint, open_checkpoint
from td3_hpc.code import file_digest
from td3_hpc.training.evaluation.command import Drive, evaluate_run

FOLDER = Path(__file__).parent / "behaviour"
EXPECTED = FOLDER / "expected.json"
TOWNS = Path(td3_hpc.__file__).parent / "simulator" / "own_towns"
ABSOLUTE = {"reward": 1e-3, "action": 1e-3, "vector": 1e-3, "grey": 0.2, "contrast": 0.2}
"""What may lie between two processors, in each row's unit: 1, [-1, 1], normalised, grey levels."""
RELATIVE = 0.02
"""The same for norms of the learner's state after a few updates."""
DRIVEN = 2e-4
"""The same for an episode's sums."""


def train(run_dir: Path) -> Checkpoint:
    """Train the stage of tests/behaviour; returns its last checkpoint."""
    command = [sys.executable, "-m", "td3_hpc", "train", str(FOLDER / "stage.yaml"), "--run-dir", str(run_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    return open_checkpoint(run_dir)


def driven() -> dict[str, float]:
    """The sums of two episodes of the pure pursuit driver: the ego's dynamics, the routes, the reward."""
    drive = Drive(FOLDER / "stage.yaml", "pure-pursuit", episodes=2, overrides=("environment.max_decisions=150",))
    found = {}
    for number, episode in enumerate(evaluate_run(drive).as_fields(drive)["episodes"]):
        sums = {name: episode[name] for name in ("return", "length", "distance_m", "route_length_m")}
        sums |= episode["reward_components"]
        found |= {f"episode {number}: {name}": float(value) for name, value in sums.items()}
    return found


def computed(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the run came to: its rows, the networks' shapes, the learner's state; the towns' bytes; a drive's sums."""
    blocks = list(checkpoint.rows())
    rows = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    agent = checkpoint.state()["agent"]
    return {
        "driven": driven(),
        "towns": {path.name: file_digest(path) for path in sorted(TOWNS.glob("*.xodr"))},
        "networks": {
            f"{network}.{name}": list(value.shape)
            for network in ("actor", "critic")
            for name, value in sorted(agent[network].items())
        },
        "rows": {
            "reward": rows["reward"],
            "action": rows["action"],
            "vector": np.column_stack([rows["vector"][:, :3], rows["vector"].mean(1)]),
            "grey": rows["frame"].mean((1, 2)),
            "contrast": rows["frame"].std((1, 2)),
        },
        "learner": {key: value for network in ("actor", "critic") for key, value in _norms(agent, network)},
    }


def _norms(agent: dict[str, Any], network: str) -> list[tuple[str, float]]:
    """Norms that the update, its step sizes and the targets' pace decide."""
    parameters, target, adam = agent[network], agent[f"{network}_target"], agent[f"{network}_optimizer"]
    return [
        (f"{network}: distance of the target", _norm(parameters[name] - target[name] for name in parameters)),
        (f"{network}: Adam's mean gradient", _norm(entry["exp_avg"] for entry in adam.values())),
        (f"{network}: Adam's mean square", _norm(entry["exp_avg_sq"] for entry in adam.values())),
    ]


def _norm(arrays: Any) -> float:
    return float(np.sqrt(sum(np.square(array.astype(np.float64)).sum() for array in arrays)))


def differences(now: dict[str, Any], kept: dict[str, Any]) -> list[str]:
    """What is not as it was, in words."""
    found = [f"the {part}" for part in ("towns", "networks") if now[part] != kept[part]]
    for name, tolerance in ABSOLUTE.items():
        a, b = np.asarray(now["rows"][name], np.float64), np.asarray(kept["rows"][name], np.float64)
        if a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=tolerance):
            found.append(f"the rows' {name}")
    for part, tolerance in (("learner", RELATIVE), ("driven", DRIVEN)):
        found += [
            name
            for name, value in now[part].items()
            if not np.isclose(value, kept[part].get(name, np.nan), rtol=tolerance, atol=1e-9)
        ]
    return found


@pytest.mark.timeout(400)
def test_a_change_of_behaviour_raises_the_number(tmp_path: Path) -> None:
    kept = json.loads(EXPECTED.read_text())
    changed = differences(computed(train(tmp_path / "run")), kept)
    assert not changed, (
        f"the same stage and seed now give another run: {', '.join(changed)} changed. If that is meant, old runs must "
        "not call themselves exact when they go on: add a line to CHANGES in td3_hpc/behaviour.py, which raises "
        "BEHAVIOUR, and write the kept numbers anew: python -m tests.test_behaviour"
    )
    assert kept["behaviour"] == BEHAVIOUR, (
        "the number was raised: write the kept ones anew: python -m tests.test_behaviour"
    )


def test_every_number_says_what_it_changed() -> None:
    assert sorted(CHANGES) == list(range(1, BEHAVIOUR + 1))
    assert all(text and not text.endswith(".") for text in CHANGES.values())


def test_a_difference_names_both_numbers_and_what_lies_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behaviour, "CHANGES", {1: "first", 2: "harder brakes", 3: "a wider town"})
    assert behaviour_difference(2, 2) == ""
    assert behaviour_difference(1, 3) == "behaviour was 1, is 3 (2: harder brakes; 3: a wider town)"
    assert behaviour_difference(4, 3) == "behaviour was 4, is 3 (4: a later version)"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        numbers = {"behaviour": BEHAVIOUR, **computed(train(Path(folder) / "run"))}
    EXPECTED.write_text(
        json.dumps(numbers, default=lambda array: np.round(array.astype(np.float64), 5).tolist()) + "\n"
    )
