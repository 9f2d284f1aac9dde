"""Remedies in campaign files of every form, and files that cannot take one. The verdicts are the stand-in's."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from td3_hpc.campaign.plan import load_campaign
from td3_hpc.campaign.remedy import Remedy, _joined, corrected
from td3_hpc.errors import BadInput
from td3_hpc.gates.registry import GateResult
from td3_hpc.gates.verdict import BoundTo, SimulatorIdentity, Verdict

STAGE = """\
training: {total_steps: 10, learning_starts: 2}
evaluation: {every_steps: 5}
"""
CAMPAIGN = """\
name: trial
stages:
  - config: stage.yaml   # short
    name: a
  - config: stage.yaml
    name: b
    overrides:
      agent.tau: 0.5     # kept
"""


def missed(title: str, change: dict[str, Any], severity: Any = "blocking") -> GateResult:
    return GateResult(title, title, "metric", "fail", severity, "less", "more", 1.0, "read", (), "it is so", "", change)


def no_go(*gates: GateResult) -> Verdict:
    bound = BoundTo(SimulatorIdentity("embedded", "0.9.16"), "Hamlet", "", "", None)
    return Verdict("NO-GO", "it is so", "a", 10, "2026-01-01T00:00:00+00:00", list(gates), bound)


def remedy(stage: str = "a", **change: Any) -> Remedy:
    change = {key.replace("__", "."): value for key, value in change.items()}
    return Remedy(stage, 1, no_go(missed("gate", change)), change, ())


@pytest.fixture
def write(tmp_path: Path) -> Any:
    (tmp_path / "stage.yaml").write_text(STAGE)

    def write(text: str) -> Path:
        (tmp_path / "trial.yaml").write_text(text)
        return tmp_path / "trial.yaml"

    return write


def correct(path: Path, remedy: Remedy) -> tuple[str, list[Any]]:
    """The new text, and every stage's agent with it."""
    result = corrected(path, path.read_text(), remedy)
    path.write_text(result.text)
    agents = [stage.config.agent for stage in load_campaign(path).stages]
    assert [stage.config.agent for stage in result.campaign.stages] == agents
    return result.text, agents


def test_later_stages_with_the_same_value_get_the_change_too_and_others_keep_theirs(write: Any) -> None:
    text, (first, second) = correct(write(CAMPAIGN), remedy(agent__batch_size=64, agent__tau=0.01))

    assert (first.batch_size, first.tau) == (64, 0.01)
    assert (second.batch_size, second.tau) == (64, 0.5), "a value that was chosen for this stage was changed"
    assert "- config: stage.yaml   # short" in text
    assert "agent.tau: 0.5     # kept" in text
    assert yaml.safe_load(text)["stages"][0]["overrides"] == {"agent.batch_size": 64, "agent.tau": 0.01}


def test_earlier_stages_stay_as_they_are(write: Any) -> None:
    _, (first, second) = correct(write(CAMPAIGN), remedy("b", agent__tau=0.01))
    assert (first.tau, second.tau) == (0.005, 0.01)


def test_a_stage_that_takes_its_configuration_from_the_one_before_needs_no_change_of_its_own(write: Any) -> None:
    text = "name: trial\nstages:\n  - {config: stage.yaml, name: a}\n  - name: b\n    start: continue\n"
    text += "    overrides: {training: {total_steps: 20}}\n"

    after, (first, second) = correct(write(text), remedy(agent__tau=0.01))

    assert (first.tau, second.tau) == (0.01, 0.01)
    assert after == text.replace("name: a}", "name: a, overrides: {agent.tau: 0.01}}")


def test_a_remedy_that_is_in_the_file_already_is_refused_in_one_line(write: Any) -> None:
    with pytest.raises(BadInput, match=r"has the remedy .* already \(agent.tau: 0.5\); give .*resume") as refused:
        correct(write(CAMPAIGN), remedy("b", agent__tau=0.5))
    assert "\n" not in str(refused.value)


def test_a_section_that_stages_share_is_changed_only_where_all_of_them_are_meant(write: Any) -> None:
    text = "name: trial\nstages:\n  - {config: stage.yaml, name: a, overrides: &own {agent.tau: 0.2}}\n"
    text += "  - {config: stage.yaml, name: b, overrides: *own}\n"

    with pytest.raises(BadInput, match=r"share a section.* resume`: stage b: agent\.tau: 0\.01$"):
        correct(write(text), remedy("b", agent__tau=0.01))
    after, agents = correct(write(text), remedy("a", agent__tau=0.01))

    assert after == text.replace("0.2", "0.01")
    assert [agent.tau for agent in agents] == [0.01, 0.01]


def test_a_change_that_makes_no_valid_campaign_is_refused(write: Any) -> None:
    with pytest.raises(BadInput, match=r"stages\.0: agent.tau: input should be less than or equal to 1"):
        correct(write(CAMPAIGN), remedy(agent__tau=7.0))


def test_of_two_gates_that_contradict_each_other_the_first_counts() -> None:
    gates = [
        missed("One", {"agent.tau": 0.1}),
        missed("Two", {"agent.tau": 0.2, "agent.batch_size": 8}),
        missed("Three", {"agent.discount": 0.5}, "recommended"),
    ]
    change, conflicts = _joined(no_go(*gates))
    assert change == {"agent.tau": 0.1, "agent.batch_size": 8}
    assert conflicts == ("Two wants agent.tau: 0.2; that of One is taken",)
