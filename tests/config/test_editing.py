"""YAML texts with keys set in them, and what they mean then."""

import pytest
import yaml

from td3_hpc.config import apply_overrides
from td3_hpc.config.editing import scalar, with_keys

CAMPAIGN = """\
# What it is for.
name: paper   # a name
stages:
  - config: ../stages/1k.yaml     # the first

  - config: ../stages/5k.yaml
    overrides:
      # Why it is so low.
      agent.tau: 0.01             # measured
      environment:
        reward: {efficiency: 0.2, progress: 1}
    # After the section.

# Behind everything.
"""


def set_in(text: str, stage: int, **values: object) -> str:
    return with_keys(text, ("stages", stage), "overrides", {key.replace("__", "."): v for key, v in values.items()})


def added_and_removed(before: str, after: str) -> tuple[list[str], list[str]]:
    old, new = before.splitlines(), after.splitlines()
    return [line for line in new if line not in old], [line for line in old if line not in new]


def test_a_section_that_is_missing_is_added_and_nothing_else_changes():
    after = set_in(CAMPAIGN, 0, agent__saturation_penalty=0.3, agent__encoder="steady")
    lines = ["    overrides:", "      agent.saturation_penalty: 0.3", "      agent.encoder: steady"]
    assert after == CAMPAIGN.replace("# the first\n", "# the first\n" + "\n".join(lines) + "\n")


def test_a_key_gets_its_value_where_it_stands():
    after = set_in(CAMPAIGN, 1, agent__tau=0.005, environment__reward__efficiency=0.5)
    assert added_and_removed(CAMPAIGN, after) == (
        ["      agent.tau: 0.005             # measured", "        reward: {efficiency: 0.5, progress: 1}"],
        ["      agent.tau: 0.01             # measured", "        reward: {efficiency: 0.2, progress: 1}"],
    )


def test_a_new_key_stands_at_the_end_of_its_section_before_what_follows():
    after = set_in(CAMPAIGN, 1, agent__exploration_noise=0.2)
    assert after == CAMPAIGN.replace("    # After", "      agent.exploration_noise: 0.2\n    # After")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("stages: [{config: a}]", "stages: [{config: a, overrides: {agent.tau: 0.5}}]"),
        ("stages: [{overrides: {}}]\n", "stages: [{overrides: {agent.tau: 0.5}}]\n"),
        ("stages:\n- overrides: {a: {b: 1}} # c\n", "stages:\n- overrides: {a: {b: 1}, agent.tau: 0.5} # c\n"),
        ("stages:\n- config: a", "stages:\n- config: a\n  overrides:\n    agent.tau: 0.5\n"),
        ("stages:\n- config: a\r\n", "stages:\n- config: a\r\n  overrides:\r\n    agent.tau: 0.5\r\n"),
        ("stages:\n- overrides:\n    agent.tau:\n", "stages:\n- overrides:\n    agent.tau: 0.5\n"),
        (
            "stages:\n- name: |\n    x\n\nx: 1\n",
            "stages:\n- name: |\n    x\n\n  overrides:\n    agent.tau: 0.5\nx: 1\n",
        ),
        (
            "stages:\n- config:\n    a: [1,\n      2]\n- x\n",
            "stages:\n- config:\n    a: [1,\n      2]\n  overrides:\n    agent.tau: 0.5\n- x\n",
        ),
        (
            "g: &g {x: 1}\nstages:\n- gates: *g\n# end\n",
            "g: &g {x: 1}\nstages:\n- gates: *g\n  overrides:\n    agent.tau: 0.5\n# end\n",
        ),
    ],
)
def test_every_layout(before: str, after: str):
    assert set_in(before, 0, agent__tau=0.5) == after
    entry = yaml.safe_load(after)["stages"][0]
    assert entry["overrides"]["agent.tau"] == 0.5


def test_of_two_settings_the_one_that_counts_is_changed():
    text = "stages:\n- overrides:\n    agent.tau: 1\n    agent: {tau: 2}\n"
    assert set_in(text, 0, agent__tau=0.5) == text.replace("tau: 2", "tau: 0.5")


@pytest.mark.parametrize("value", [0.3, 3e-5, 1, True, None, "steady", "null", "1e4", "a, b", "a: b", "yes", ""])
def test_a_value_is_read_back(value: object):
    assert apply_overrides({}, [f"a.b={scalar(value)}"]) == {"a": {"b": value}}
