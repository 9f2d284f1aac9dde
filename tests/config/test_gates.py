"""Gate settings: defaults in the schema, partial changes, `off`, and the document that lists them."""

import re
from pathlib import Path

import pytest

from td3_hpc.config import MonitorsConfig, validate
from td3_hpc.config.gates import GatesConfig, LimitGate, MonitorGate
from td3_hpc.errors import BadInput
from td3_hpc.gates import findings, registry
from td3_hpc.gates.history import evidence, read_history
from td3_hpc.record import EpisodeEnded
from tests.paths import ROOT

DOCUMENT = ROOT / "docs" / "gates.md"


def test_what_is_left_out_keeps_its_default():
    gates = validate(
        GatesConfig, {"actor_cnn_gradient": {"limit": 5000}, "route_completion": {"severity": "blocking"}}, "x"
    )
    assert (gates.actor_cnn_gradient.limit, gates.actor_cnn_gradient.severity) == (5000, "blocking")
    assert (gates.route_completion.limit, gates.route_completion.severity) == (5.0, "blocking")
    assert gates.q_magnitude == GatesConfig().q_magnitude


def test_a_run_is_judged_by_the_limits_of_its_own_monitors():
    monitors = validate(
        MonitorsConfig,
        {"gradient_limits": {"actor_cnn": 500.0}, "growth": {"factor": 3.0}, "q_factor": 4.0},
        "x",
    )
    gates = validate(GatesConfig, {"actor_cnn_growth": {"limit": 7}, "finite": False}, "x").with_limits_of(monitors)
    limits = (gates.actor_cnn_gradient.limit, gates.actor_cnn_growth.limit, gates.q_magnitude.limit)
    assert limits == (500.0, 7, 4.0), "a gate's own limit wins"
    assert (gates.finite, gates.route_completion) == (False, GatesConfig().route_completion)
    no_alert = validate(MonitorsConfig, {"gradient_limits": {"actor_cnn": None}}, "x")
    assert GatesConfig().with_limits_of(no_alert).actor_cnn_gradient.limit == 10_000, "judged all the same"
    off = validate(GatesConfig, {"q_magnitude": False}, "x")
    assert off.with_limits_of(monitors).q_magnitude is False


def test_off_switches_a_gate_off(tmp_path):
    from td3_hpc.config import read_yaml

    path = tmp_path / "gates.yaml"
    path.write_text("steps_per_second: off\n")
    assert validate(GatesConfig, read_yaml(path), "x").steps_per_second is False


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"finit": False}, "did you mean finite"),
        ({"finite": {"limit": 3}}, "finite"),
        ({"finite": True}, "finite"),
        ({"q_magnitude": {"limit": -1}}, "greater than or equal to 0"),
        ({"q_magnitude": {"severity": "high"}}, "'blocking', 'recommended' or 'optional'"),
        ({"q_magnitude": 3}, "q_magnitude"),
    ],
)
def test_mistakes_are_named(data, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        validate(GatesConfig, data, "campaign.yaml: gates")


def test_settings_survive_being_written():
    import yaml

    from td3_hpc.config import dump_yaml, validate

    gates = validate(GatesConfig, {"finite": False, "q_magnitude": {"limit": 3.0}}, "x")
    assert validate(GatesConfig, yaml.safe_load(dump_yaml(gates)), "x") == gates


def test_the_document_lists_every_gate_with_its_default():
    rows = {row.split("`")[1]: row for row in DOCUMENT.read_text().splitlines() if row.startswith("| `")}
    for name in GatesConfig.model_fields:
        gate = getattr(GatesConfig(), name)
        assert name in rows, f"docs/gates.md does not list {name}"
        assert gate.severity in rows[name]
        if isinstance(gate, MonitorGate):
            assert "`monitors." in rows[name], f"docs/gates.md does not say where {name} has its limit"
        gate = getattr(GatesConfig().with_limits_of(MonitorsConfig()), name)
        if isinstance(gate, LimitGate):
            assert f"{gate.limit:,g}" in rows[name], (
                f"docs/gates.md has another limit than {gate.limit:,g}: {rows[name]}"
            )


def test_the_document_s_example_is_a_gate():
    """The function shown in docs/extending.md judges a real record."""
    recipes = DOCUMENT.with_name("extending.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", recipes, re.S) if "@gate" in block)
    registered = dict(registry.GATES)
    from statistics import median

    names = {
        **vars(findings),
        **vars(registry),
        "EpisodeEnded": EpisodeEnded,
        "evidence": evidence,
        "median": median,
        "LimitGate": LimitGate,
    }
    try:
        exec(code, names)
        judged = registry.GATES["episode_length"].judge
    finally:
        registry.GATES.clear()
        registry.GATES.update(registered)
    record = Path(__file__).parents[1] / "records" / "1k"
    history = read_history(record)
    lengths = [episode.length for episode in history.of(EpisodeEnded)]
    finding = judged(history, LimitGate(severity="optional", limit=max(lengths) + 1.0))
    assert (finding.met, finding.evidence[0].count) == (False, len(lengths))
    assert judged(history, LimitGate(severity="optional", limit=0.0)).met
