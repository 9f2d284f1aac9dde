"""The keys of a stage: what values they take, and what every mistake is told as."""

import string
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from td3_hpc.config import StageConfig, apply_overrides, dump_yaml, load_stage, validate
from td3_hpc.config.reference import sections
from td3_hpc.errors import BadInput
from tests.config.stage_files import KEYS, MINIMAL, mistakes, put
from tests.small_stage import SMALL, changed

SECTIONS = [path for path, _ in sections(StageConfig)]


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


def test_the_last_step_of_a_run_has_an_evaluation_cycle_with_all_its_episodes():
    changes = {"training.total_steps": 45, "evaluation": {"every_steps": 20, "episodes": 1, "final_episodes": 2}}
    stage = StageConfig.model_validate(changed(SMALL, changes))
    assert [stage.evaluation_due(step) for step in (0, 19, 20, 39, 40, 44, 45)] == [0, 0, 20, 20, 40, 40, 45]
    assert [stage.evaluations_after(step) for step in (0, 20, 44, 45)] == [[20, 40, 45], [40, 45], [45], []]
    assert [stage.episodes_of_cycle(step) for step in (20, 40, 45)] == [1, 1, 2]
