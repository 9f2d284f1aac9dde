"""A stage's file in tests: the smallest that is valid, and what it is refused with."""

import copy

import pytest

from td3_hpc.config import StageConfig, load_stage
from td3_hpc.config.base import ConfigSection
from td3_hpc.config.reference import sections
from td3_hpc.errors import BadInput, ExitCode

MINIMAL = {"name": "small", "training": {"total_steps": 2000, "learning_starts": 500}}
KEYS = {
    f"{path}.{name}" if path else name: field
    for path, section in sections(StageConfig)
    for name, field in section.model_fields.items()
    if not (isinstance(field.annotation, type) and issubclass(field.annotation, ConfigSection))
}


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
