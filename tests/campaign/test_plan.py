"""A campaign file becomes a plan, or a list of all its mistakes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from td3_hpc.campaign.plan import load_campaign
from td3_hpc.errors import BadInput
from tests.paths import ROOT

SMALL: dict[str, Any] = {
    "name": "small",
    "training": {"total_steps": 100, "learning_starts": 10},
    "evaluation": {"every_steps": 50},
    "checkpoint": {"every_steps": 50},
    "replay": {"capacity": 1000},
}


def write(folder: Path, *stages: dict[str, Any], **top: Any) -> Path:
    path = folder / "campaign.yaml"
    path.write_text(yaml.safe_dump({"name": "trial", "stages": list(stages), **top}))
    return path


@pytest.mark.parametrize("name", ["validation", "smoke"])
def test_the_campaigns_in_the_repository_are_valid(name: str) -> None:
    campaign = load_campaign(ROOT / "configs" / "campaigns" / f"{name}.yaml")

    assert campaign.name == name
    assert len(campaign.stages) == 3
    steps = [stage.config.training.total_steps for stage in campaign.stages]
    assert steps == sorted(steps)
    if name == "validation":
        assert steps == [1_000, 5_000, 1_000_000]


def test_a_stage_is_a_file_with_changes_or_the_stage_before_with_changes(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    path = write(
        tmp_path,
        {"config": "small.yaml", "overrides": {"agent.tau": 0.01, "training": {"total_steps": 200}}},
        {"name": "longer", "overrides": {"training.total_steps": 300}, "start": "continue"},
        seeds=[5, 6],
    )

    first, second = load_campaign(path).stages

    assert (first.name, first.config.agent.tau, first.config.training.total_steps) == ("small", 0.01, 200)
    assert first.config.training.learning_starts == 10, "an override of a section must leave its other keys"
    assert (second.name, second.config.name, second.config.agent.tau) == ("longer", "longer", 0.01)
    assert second.config.training.total_steps == 300
    assert second.continues
    assert second.with_seed(6).seed == 6


def test_the_resolved_file_needs_no_other_and_means_the_same(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    path = write(
        tmp_path,
        {"config": "small.yaml", "gates": {"q_magnitude": {"limit": 3.0}}},
        {"name": "b", "overrides": {"training.total_steps": 300}, "start": "continue"},
        gates={"finite": False},
        seeds=[2, 9],
        require=0.5,
    )
    campaign = load_campaign(path)
    elsewhere = tmp_path / "elsewhere" / "campaign.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(campaign.to_yaml())

    again = load_campaign(elsewhere)

    assert again.stages == campaign.stages
    assert (again.name, again.seeds, again.seeds_required) == ("trial", (2, 9), 1)
    assert again.to_yaml() == campaign.to_yaml()


def test_gates_of_a_stage_change_those_of_the_campaign(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"config": SMALL, "gates": {"q_magnitude": {"limit": 3.0}}},
        {"name": "b"},
        gates={"finite": False, "q_magnitude": {"severity": "optional"}},
    )

    first, second = load_campaign(path).stages

    assert (first.gates.q_magnitude.limit, first.gates.q_magnitude.severity) == (3.0, "optional")
    assert second.gates.q_magnitude.limit is None, "the monitor's"
    assert first.gates.finite is False


def test_a_stages_file_is_no_campaign() -> None:
    with pytest.raises(BadInput, match="is a stage, not a campaign"):
        load_campaign(ROOT / "configs" / "stages" / "1k.yaml")


def test_every_mistake_of_every_stage_is_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"config": SMALL, "overrides": {"agent.tua": 1}},
        {"name": "b", "config": SMALL, "overrides": {"training.learning_starts": 100}},
        {"config": "none.yaml"},
        {"name": "d", "config": SMALL, "gates": {"q_magnitud": False}},
    )

    with pytest.raises(BadInput) as caught:
        load_campaign(path)

    text = str(caught.value)
    assert "stages.0: agent.tua: unknown key; did you mean tau?" in text
    assert "stages.1: training.learning_starts (100) is not below training.total_steps (100)" in text
    assert "none.yaml: no such file" in text
    assert "stages.3.gates: q_magnitud: unknown key; did you mean q_magnitude?" in text


CARLA = {"simulator.kind": "carla", "simulator.carla_root": "/opt/carla"}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"name": "small"}, "stages.1: the name small is taken"),
        ({"name": "submission"}, "a stage cannot be called submission"),
        ({"name": "cache"}, "a stage cannot be called cache"),
        ({"name": "b", "overrides": CARLA}, "b runs on carla 0.9.16, small on embedded 0.9.16"),
        (
            {"name": "b", "start": "continue", "overrides": {"agent.tau": 0.1, "training.total_steps": 200}},
            r"b continues small, but agent.tau \(0.005 -> 0.1\) may not change",
        ),
        ({"name": "b", "start": "continue"}, r"training.total_steps \(100 -> 100\) must grow"),
        (
            {"name": "b", "start": "continue", "overrides": {"training.total_steps": 200, "replay.capacity": 500}},
            r"replay.capacity \(1000 -> 500\) may not shrink",
        ),
        (
            {"name": "b", "start": "continue", "overrides": {"training": {"total_steps": 200, "learning_starts": 20}}},
            r"training.learning_starts \(10 -> 20\) may not change",
        ),
    ],
)
def test_what_is_wrong_between_two_stages_is_named(tmp_path: Path, second: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_campaign(write(tmp_path, {"config": SMALL}, second))


@pytest.mark.parametrize(
    "overrides",
    [
        {"training.total_steps": 200},
        {"training.total_steps": 200, "evaluation.every_steps": 100, "evaluation.episodes": 9},
        {"training.total_steps": 200, "checkpoint.every_steps": 200, "logging.interval_steps": 7},
        {"training.total_steps": 200, "replay.capacity": 2000, "simulator.hang_timeout_s": 60.0, "training.threads": 4},
    ],
)
def test_what_may_change_when_a_stage_continues(tmp_path: Path, overrides: dict[str, Any]) -> None:
    path = write(tmp_path, {"config": SMALL}, {"name": "b", "start": "continue", "overrides": overrides})

    assert load_campaign(path).stages[1].continues


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ({"seeds": [1, 1]}, "a seed stands twice"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [1001]}, "less than or equal to 1000"),
        ({"require": 1.5}, "require"),
        ({"name": "a b"}, "name"),
        ({"seed": 3}, "seed: unknown key; did you mean seeds?"),
    ],
)
def test_a_mistake_at_the_top_is_named(tmp_path: Path, top: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_campaign(write(tmp_path, {"config": SMALL}, **top))


@pytest.mark.parametrize(
    ("stage", "message"),
    [({"name": "a"}, "stages.0.config: missing"), ({"config": SMALL, "start": "continue"}, "stages.0.start")],
)
def test_the_first_stage_has_none_before_it(tmp_path: Path, stage: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_campaign(write(tmp_path, stage))


@pytest.mark.parametrize(
    ("require", "count", "needed"),
    [("all", 3, 3), (0.67, 3, 2), (0.66, 3, 2), (0.5, 3, 2), (1.0, 3, 3), (0.1, 3, 1), (0.01, 1, 1), (0.75, 4, 3)],
)
def test_the_share_of_seeds_is_a_number_of_seeds(tmp_path: Path, require: Any, count: int, needed: int) -> None:
    path = write(tmp_path, {"config": SMALL}, seeds=list(range(count)), require=require)

    assert load_campaign(path).seeds_required == needed
