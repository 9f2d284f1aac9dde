"""Configuration files as users write them: what is accepted, and what every mistake is told as."""

import copy
import string
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from td3_hpc.config import StageConfig, apply_overrides, dump_yaml, load_stage, read_yaml, validate
from td3_hpc.config.base import ConfigSection
from td3_hpc.config.reference import sections
from td3_hpc.errors import BadInput, ExitCode
from tests.paths import ROOT

MINIMAL = {"name": "small", "training": {"total_steps": 2000, "learning_starts": 500}}
KEYS = {
    f"{path}.{name}" if path else name: field
    for path, section in sections(StageConfig)
    for name, field in section.model_fields.items()
    if not (isinstance(field.annotation, type) and issubclass(field.annotation, ConfigSection))
}
SECTIONS = [path for path, _ in sections(StageConfig)]


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "stage.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return write


def put(data, key, value):
    """A copy of data with `section.key` set."""
    result = copy.deepcopy(data)
    *parents, last = key.split(".")
    target = result
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = value
    return result


def mistakes(content, write, *overrides):
    """The lines with which a stage is refused."""
    with pytest.raises(BadInput) as raised:
        load_stage(write(content), overrides)
    assert raised.value.exit_code == ExitCode.BAD_INPUT
    return str(raised.value).splitlines()


# ---- values that a key may have, made from the schema --------------------------------------------------------------
def alternatives(annotation):
    """The types of `X | None`."""
    return get_args(annotation) if type(None) in get_args(annotation) else (annotation,)


def bound(metadata, *names):
    return next(
        (getattr(item, name) for item in metadata for name in names if getattr(item, name, None) is not None), None
    )


def values(annotation, metadata):
    """A strategy of valid values."""
    if get_origin(annotation) is Annotated:
        inner, *items = get_args(annotation)
        return values(inner, [part for item in items for part in item.metadata])
    if type(None) in get_args(annotation):
        return st.one_of(*(values(part, metadata) for part in get_args(annotation)))
    if annotation is type(None):
        return st.none()
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    if get_origin(annotation) is list:
        return st.lists(values(get_args(annotation)[0], []), min_size=bound(metadata, "min_length") or 0, max_size=3)
    lowest, highest = bound(metadata, "gt", "ge"), bound(metadata, "lt", "le")
    step = bound(metadata, "multiple_of")
    if step is not None:
        return st.integers(round(lowest / step), round(highest / step)).map(lambda count: count * step)
    if annotation is int:
        return st.integers(lowest, min(highest, 2**63 - 1) if highest is not None else 10**6)
    if annotation is float:
        inside = {"exclude_min": lowest is not None, "exclude_max": highest is not None}
        return st.floats(lowest, highest, allow_nan=False, allow_infinity=False, **inside)
    if annotation is bool:
        return st.booleans()
    if annotation is Path:
        return st.text(string.printable, min_size=1).map(lambda text: text.replace("\0", "")).filter(bool).map(Path)
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
    word = st.text(string.ascii_letters + string.digits + "._-", min_size=1).filter(lambda text: text[0] not in "._-")
    return (
        word
        if bound(metadata, "pattern")
        else text | st.sampled_from(["1e4", "1e-4", "yes", "null", "3", "1.5", "~", ""])
    )


@st.composite
def stages(draw):
    """Valid configurations with some keys changed."""
    data = MINIMAL
    for key in draw(st.lists(st.sampled_from(sorted(KEYS)), max_size=8, unique=True)):
        field = KEYS[key]
        data = put(data, key, draw(values(field.annotation, field.metadata)))
    try:
        return StageConfig.model_validate(data)
    except ValidationError as refused:  # only rules between keys may fail
        broken = [item for item in refused.errors() if item["type"] != "value_error"]
    assert broken == []
    assume(False)
    return None


@given(stages())
@settings(max_examples=200)
def test_what_is_written_is_read_back(tmp_path_factory, config):
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_text(dump_yaml(config), encoding="utf-8")
    assert load_stage(path).model_dump() == config.model_dump()  # where secrets are redacted


def test_every_default_is_written_out():
    written = yaml.safe_load(dump_yaml(StageConfig.model_validate(MINIMAL)))
    for key in KEYS:
        section = written
        for part in key.split("."):
            assert part in section, key
            section = section[part]


# ---- mistakes ------------------------------------------------------------------------------------------------------
def wrong_type(field):
    """A value that the key cannot have, whatever its range."""
    kinds = alternatives(field.annotation)
    if any(kind in (int, float) or get_origin(kind) is Annotated for kind in kinds):
        return True  # YAML's `yes`, which Python would take for 1
    return 3


@pytest.mark.parametrize("key", sorted(KEYS))
def test_a_wrong_type_is_told_by_its_path(key, write):
    value = wrong_type(KEYS[key])
    (line,) = mistakes(put(MINIMAL, key, value), write)
    assert line.startswith(f"{write(MINIMAL)}: {key}: ")
    assert f"(found {value!r})" in line


BOUNDED = [
    (key, name, getattr(item, name))
    for key, field in sorted(KEYS.items())
    for item in field.metadata
    for name in ("gt", "ge", "lt", "le")
    if getattr(item, name, None) is not None
]


@pytest.mark.parametrize(("key", "kind", "limit"), BOUNDED)
def test_a_value_out_of_range_is_told_by_its_path(key, kind, limit, write):
    outside = {"gt": limit, "ge": limit - 1, "lt": limit, "le": limit + 1}[kind]
    (line,) = mistakes(put(MINIMAL, key, outside), write)
    assert f": {key}: " in line
    assert f"(found {outside!r})" in line


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf"])
def test_a_number_that_is_none_is_refused(value, write):
    text = f"name: a\nagent: {{discount: {value}}}\ntraining: {{total_steps: 10000, learning_starts: 1}}"
    (line,) = mistakes(text, write)
    assert "agent.discount: input should be a finite number" in line


@given(st.sampled_from(sorted(KEYS)), st.data())
@settings(max_examples=60)
def test_a_misspelt_key_is_told_by_its_path_with_the_right_one(key, data):
    name = key.rpartition(".")[2]
    place = data.draw(st.integers(1, len(name) - 1))
    misspelt = f"{key[: len(key) - len(name)]}{name[:place]}{name[place + 1 :]}"
    assume(misspelt not in KEYS and misspelt not in SECTIONS)
    stage = apply_overrides(MINIMAL, [f"{misspelt}=1"])
    with pytest.raises(BadInput) as raised:
        validate(StageConfig, stage, "stage.yaml")
    line = next(line for line in str(raised.value).splitlines() if "unknown key" in line)
    assert line.startswith(f"stage.yaml: {misspelt}: unknown key; did you mean ")


@pytest.mark.parametrize("section", SECTIONS)
def test_an_unknown_key_is_refused_in_every_section(section, write):
    key = f"{section}.zzz" if section else "zzz"
    assert mistakes(put(MINIMAL, key, 1), write) == [f"{write(MINIMAL)}: {key}: unknown key; remove it"]


def test_a_campaign_is_not_taken_for_a_stage(write):
    (line,) = mistakes({"name": "all", "seeds": [1], "stages": [{"config": "1k.yaml"}]}, write)
    assert line.endswith("is a campaign, not a stage; give one of its stages' files, or use `td3-hpc campaign`")


@pytest.mark.parametrize("section", [path for path in SECTIONS if path])
def test_a_value_in_place_of_a_section_is_refused(section, write):
    (line,) = mistakes(put(MINIMAL, section, 5), write)
    assert f": {section}: " in line


@given(st.lists(st.sampled_from(sorted(set(KEYS) - {"name"})), min_size=2, max_size=12, unique=True))
@settings(max_examples=40)
def test_all_mistakes_are_told_at_once(tmp_path_factory, keys):
    data = MINIMAL
    for key in keys:
        data = put(data, key, wrong_type(KEYS[key]))
    path = tmp_path_factory.getbasetemp() / "mistaken.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(BadInput) as raised:
        load_stage(path)
    told = {line.removeprefix(f"{path}: ").split(":")[0] for line in str(raised.value).splitlines()}
    assert told == set(keys)


def test_what_is_missing_is_told(write):
    path = write("{}")
    assert mistakes("seed: 2", write) == [f"{path}: name: missing; set it", f"{path}: training: missing; set it"]
    lines = mistakes("name: a\ntraining: {}", write)
    assert [line.split(": ")[1] for line in lines] == ["training.total_steps", "training.learning_starts"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training.learning_starts": 2000}, "learning would never start"),
        ({"evaluation.every_steps": 2001}, "no evaluation would run"),
        ({"replay.capacity": 100, "checkpoint.every_steps": 10}, "cannot hold one batch of 256"),
        ({"checkpoint.every_steps": 60_000}, "unsaved transitions would be overwritten"),
        ({"simulator.kind": "carla"}, "kind: carla needs carla_root"),
        ({"simulator.kind": "external", "simulator.port": 2000}, "needs port and evaluation_port"),
        ({"simulator.port": 2000, "simulator.evaluation_port": 2002}, "set them 3 or more apart"),
        ({"environment.traffic.evaluation_port": 8000}, "port and evaluation_port must differ"),
        ({"evaluation.final_episodes": 11}, "is above environment.route.evaluation_routes (10)"),
        ({"environment.route.min_length_m": 500}, "max_length_m (400.0) is below min_length_m (500.0)"),
    ],
)
def test_what_would_waste_the_run_is_refused(changes, message, write):
    data = MINIMAL
    for key, value in changes.items():
        data = put(data, key, value)
    (line,) = mistakes(data, write)
    assert message in line


def test_several_wastes_are_told_together(write):
    lines = mistakes(put(put(MINIMAL, "training.learning_starts", 2000), "evaluation.every_steps", 5000), write)
    assert "learning would never start" in lines[0]
    assert "no evaluation would run" in lines[0]


# ---- YAML ----------------------------------------------------------------------------------------------------------
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
