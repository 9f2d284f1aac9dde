"""Configurations of earlier and later formats: a missing key is what it was then, and nothing is guessed.

formats/N.yaml is a run's config.yaml as the last version with format N wrote it.
"""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from td3_hpc.config import StageConfig, dump_yaml, formats, load_resolved, load_stage, read_yaml
from td3_hpc.config.formats import FORMAT, IMPLIED
from td3_hpc.errors import BadInput, ExitCode
from tests.config.stage_files import KEYS, MINIMAL, put

KEPT = Path(__file__).parent / "formats"


def without(data, keys):
    """A copy without some dotted keys, and without sections that are then empty."""
    result = {}
    for name, value in data.items():
        inner = {key.partition(".")[2] for key in keys if key.partition(".")[0] == name}
        if isinstance(value, dict):
            value = without(value, inner)
            if not value:
                continue
        elif "" in inner:
            continue
        result[name] = value
    return result


def flat(data, prefix=""):
    for name, value in data.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def at(config, key):
    for name in key.split("."):
        config = getattr(config, name)
    return config


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_every_format_is_read(number):
    path = KEPT / f"{number}.yaml"
    config = load_resolved(path)
    assert config == load_stage(path), "td3-hpc train RUN/config.yaml means the same"
    assert yaml.safe_load(dump_yaml(config)) | {"format": 0} == yaml.safe_load(
        (KEPT / f"{FORMAT}.yaml").read_text()
    ) | {"format": 0}


def test_the_keys_of_a_format_do_not_change():
    """A key that comes, goes or is renamed makes a new format."""
    kept = yaml.safe_load((KEPT / f"{FORMAT}.yaml").read_text())
    now = yaml.safe_load(dump_yaml(StageConfig.model_validate(MINIMAL)))
    assert set(flat(now)) == set(flat(kept)), (
        "the configuration has other keys: if format "
        f"{FORMAT} is in a release, raise FORMAT in td3_hpc/config/formats.py and say in IMPLIED[{FORMAT}] what a file "
        f"without the new keys meant; if not, say so in IMPLIED[{FORMAT - 1}]. Then write tests/config/formats/ anew"
    )
    assert next(iter(now)) == "format"
    assert now["format"] == kept["format"] == FORMAT == max(IMPLIED) + 1


def test_what_is_implied_are_keys_with_a_value_that_they_may_have():
    for implied in IMPLIED.values():
        for key, value in implied.items():
            assert key in KEYS
            StageConfig.model_validate(put(MINIMAL, key, value))


@given(st.sets(st.sampled_from(sorted(IMPLIED[1]))))
def test_any_later_key_may_be_missing_and_is_what_it_was_then(keys):
    """Whatever today's default: the values that are there differ from what is implied, and stay."""
    data = read_yaml(KEPT / "1.yaml")
    values = formats.from_resolved(without(data, keys), "config.yaml")
    config = StageConfig.model_validate(values)
    assert all(at(config, key) == IMPLIED[1][key] for key in keys)
    assert "format" not in values


def test_a_changed_default_does_not_change_an_old_run(monkeypatch):
    """As if `simulators` were 4 by default from now on."""
    data = without(read_yaml(KEPT / "1.yaml"), {"simulators"})
    monkeypatch.setattr(StageConfig.model_fields["simulators"], "default", 4)
    StageConfig.model_rebuild(force=True)
    try:
        assert StageConfig.model_validate(formats.from_stage_file(data, "config.yaml")).simulators == 1
        stage = without(data, {"seed"})  # no copy: a stage file may lack any key, and then it is today's default
        assert StageConfig.model_validate(formats.from_stage_file(stage, "stage.yaml")).simulators == 4
    finally:
        monkeypatch.undo()
        StageConfig.model_rebuild(force=True)


@pytest.mark.parametrize("read", [load_stage, load_resolved])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"format": FORMAT + 1},
            f"has configuration format {FORMAT + 1}, and this version of td3-hpc knows formats up",
        ),
        ({"format": "2"}, "format: expected the format's number, found '2'; restore the file"),
        ({"format": True}, "format: expected the format's number, found True; restore the file"),
        ({"format": 0}, "format: expected the format's number, found 0; restore the file"),
        ({"format": 2, "agent": {"tau": 0.1}}, "lacks agent.hidden, agent.encoder, agent.discount, …, which a"),
        ({"format": 2, "agent": 3}, "lacks agent.hidden, agent.encoder, agent.pretrained, …, which a"),
    ],
)
def test_what_cannot_be_known_is_refused_in_one_line(tmp_path, read, change, message):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**read_yaml(KEPT / "2.yaml"), **change}))
    with pytest.raises(BadInput) as refused:
        read(path)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{path}: {message}")
    assert refused.value.exit_code == ExitCode.BAD_INPUT


def test_a_damaged_copy_without_a_number_is_not_filled_with_defaults(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(without(read_yaml(KEPT / "1.yaml"), {"agent.tau"})))
    with pytest.raises(BadInput, match=r"lacks agent\.tau, which a resolved configuration of format 1 has"):
        load_resolved(path)
