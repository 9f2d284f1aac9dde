"""Configuration files as users write them: what YAML and overrides are accepted, and what every mistake is told as."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from td3_hpc.config import StageConfig, apply_overrides, dump_yaml, load_stage, read_yaml, validate
from td3_hpc.errors import BadInput
from tests.config.stage_files import MINIMAL, mistakes, put
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("1E-4", 1e-4), ("1.e-4", 1e-4), ("0.0001", 1e-4), ("1.5e-3", 1.5e-3), ("1", 1.0), ("5e+0", 5.0)],
)
def test_numbers_are_read_as_people_write_them(text, value, write):
    path = write(f"name: a\ntraining: {{total_steps: 10000, learning_starts: 1}}\nagent: {{noise_clip: {text}}}")
    assert load_stage(path).agent.noise_clip == value


@pytest.mark.parametrize("text", ["1e6", "1E6", "1.0e6", "1000000", "1_000_000", "+1e+6"])
def test_whole_numbers_may_have_an_exponent(text, write):
    config = load_stage(write(f"name: a\ntraining: {{total_steps: {text}, learning_starts: 1}}"))
    assert config.training.total_steps == 1_000_000
    assert type(config.training.total_steps) is int


@pytest.mark.parametrize("text", ["1.5e0", "2.0", "1e-3", "'100'", "1e400"])
def test_what_is_no_whole_number_is_refused_for_one(text, write):
    (line,) = mistakes(f"name: a\ntraining: {{total_steps: 5000, learning_starts: {text}}}", write)
    assert "training.learning_starts" in line


def test_a_key_that_stands_twice_is_refused(write):
    (line,) = mistakes("name: a\nseed: 1\ntraining: {total_steps: 5, learning_starts: 1}\nseed: 2\n", write)
    assert "key 'seed' stands twice (again on line 4)" in line
    (line,) = mistakes("name: a\nagent:\n  tau: 0.1\n  tau: 0.1\n", write)
    assert "key 'tau' stands twice (again on line 4)" in line


def test_sections_may_be_shared_by_yamls_own_means(write):
    path = write(
        "name: a\ntraining: {total_steps: 5000, learning_starts: 1}\n"
        "agent:\n  learning_rates: &rates {actor: 1e-5}\n"
        "environment: {}\n"
    )
    assert load_stage(path).agent.learning_rates.actor == 1e-5
    path = write("name: a\ntraining: {<<: {total_steps: 5000, learning_starts: 1}, learning_starts: 7}\n")
    assert load_stage(path).training.learning_starts == 7


@pytest.mark.parametrize(
    "text",
    [
        "name: [",
        "name: a: b",
        "\tname: a",
        "name: 2026-02-31",
        "name: !!python/object/apply:os.system [echo]",
        "name: !!int x",
        "a: &a [*a]",
        "a\x00b: 1",
        "[" * 5000,
        "just words",
        "- a\n- b",
        "",
        "# only a comment",
    ],
    ids=range(13),
)
def test_what_is_no_configuration_is_refused_in_one_line(text, write):
    (line,) = mistakes(text, write)
    assert line.startswith(str(write(text)))


@pytest.mark.parametrize("key", ["1", "[a, b]", "null", "2026-01-01"])
def test_a_key_that_is_no_word_is_refused(key, write):
    lines = mistakes(f"name: a\ntraining: {{total_steps: 5000, learning_starts: 1}}\n? {key}\n: 1\n", write)
    assert len(lines) == 1


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
@settings(max_examples=200)
def test_no_text_at_all_is_answered_with_anything_but_bad_input(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(BadInput):
        load_stage(path)


def test_files_that_cannot_be_read_are_told(tmp_path):
    (tmp_path / "stage.yaml").write_bytes(b"\xff\xfe name: a")
    (tmp_path / "1k.yaml").write_text("name: a")
    with pytest.raises(BadInput, match=r"stage\.yaml: cannot be read"):
        load_stage(tmp_path / "stage.yaml")
    with pytest.raises(BadInput, match=r"1K\.yaml: no such file; did you mean .*1k\.yaml\?"):
        load_stage(tmp_path / "1K.yaml")
    with pytest.raises(BadInput, match=r"no such file$"):
        load_stage(tmp_path / "nowhere" / "x.yaml")
    with pytest.raises(BadInput, match="cannot be read"):
        load_stage(tmp_path)


# ---- overrides -----------------------------------------------------------------------------------------------------
def test_overrides_are_read_as_yaml(write):
    overrides = [
        "agent.tau=1e-2",
        "environment.weather=[ClearNoon, WetNoon]",
        "agent.clip_norms.actor=null",
        "agent.clip_norms.critic=",
        "logging.tensorboard=false",
        "simulator.maps=/some/maps=old",
        "agent.learning_rates={actor: 1e-3}",
        "agent.learning_rates.critic=2e-3",
        " seed =7",
    ]
    config = load_stage(write(MINIMAL), overrides)
    assert config.agent.tau == 0.01
    assert config.environment.weather == ["ClearNoon", "WetNoon"]
    assert (config.agent.clip_norms.actor, config.agent.clip_norms.critic) == (None, None)
    assert config.logging.tensorboard is False
    assert config.simulator.maps == Path("/some/maps=old")
    assert (config.agent.learning_rates.actor, config.agent.learning_rates.critic) == (1e-3, 2e-3)
    assert config.seed == 7


def test_overrides_leave_the_data_alone():
    data = {"agent": {"tau": 0.1}}
    assert apply_overrides(data, ["agent.tau=0.2", "agent.discount=0.9"]) == {"agent": {"tau": 0.2, "discount": 0.9}}
    assert data == {"agent": {"tau": 0.1}}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("agent.tau", "write it as section.key=value"),
        ("=3", "write it as section.key=value"),
        ("agent..tau=3", "write it as section.key=value"),
        ("name.x=3", "name is a value, not a section"),
        ("agent.tau=[", "override 'agent.tau=['"),
        ("agent.tau=2026-02-31", "override 'agent.tau=2026-02-31'"),
        ("agent.tua=1", "agent.tua: unknown key; did you mean tau?"),
        ("agent.tau=2", "agent.tau: input should be less than or equal to 1 (found 2)"),
        ("agnet.tau=0.1", "agnet: unknown key; did you mean agent?"),
    ],
)
def test_a_bad_override_is_told(override, message, write):
    (line,) = mistakes(MINIMAL, write, override)
    assert message in line


@given(st.text())
@settings(max_examples=100)
def test_any_override_is_applied_or_refused(text):
    try:
        applied, message = apply_overrides(MINIMAL, [text]), "applied"
    except BadInput as refused:
        applied, message = {}, str(refused)
    assert isinstance(applied, dict)
    assert len(message.splitlines()) == 1


def test_the_stages_of_this_repository_are_valid():
    paths = sorted((ROOT / "configs" / "stages").glob("*.yaml"))
    assert paths
    for path in paths:
        assert load_stage(path).name == path.stem


def test_a_long_value_is_cut_in_the_message(write):
    (line,) = mistakes(put(MINIMAL, "agent.tau", ["x" * 500] * 500), write)
    assert len(line) < 400


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seed: 0010", "0010 begins with a zero, which YAML 1.1 reads as octal: write 10, or '0010' if it is text"),
        (
            "checkpoint: {every_minutes: 1:30}",
            "checkpoint.every_minutes: input should be a valid number (found '1:30')",
        ),
        ("checkpoint: {every_minutes: 1:30.5}", "input should be a valid number (found '1:30.5')"),
        ("seed: 1:30", "seed: input should be a valid integer (found '1:30')"),
    ],
)
def test_octal_and_sexagesimal_numbers_are_refused(line, message, write):
    (told,) = mistakes("name: s\ntraining: {total_steps: 2000, learning_starts: 500}\n" + line, write)
    assert message in told
    key, _, value = line.replace(": {", ".").rstrip("}").rpartition(": ")
    (told,) = mistakes(MINIMAL, write, f"{key}={value}")
    assert message in told


def test_a_time_of_day_stays_what_it_is_through_a_copy(write):
    assert read_yaml(write("a: [4:00:00, '1:30', 0x10, 0, -5]")) == {"a": ["4:00:00", "1:30", 16, 0, -5]}
    named = validate(StageConfig, put(MINIMAL, "name", "4-00"), "s")
    assert read_yaml(write(dump_yaml(named)))["name"] == "4-00"


def test_a_file_is_read_as_it_stands(write):
    assert read_yaml(write("a: 1\nb: {c: [2, x]}")) == {"a": 1, "b": {"c": [2, "x"]}}
