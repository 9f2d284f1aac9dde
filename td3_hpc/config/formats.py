"""The format of a resolved configuration (`config.yaml`), and what files of older formats mean.

`dump_yaml` writes every key and, first of all, `format: N`. A stage file, which somebody wrote, has no number, and what
it leaves out is today's default. A resolved copy is different: a key that it lacks did not exist when it was written,
and means what the program did then, whatever the default is today.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from td3_hpc.config.base import ConfigSection
from td3_hpc.config.stage import StageConfig
from td3_hpc.errors import BadInput

KEY = "format"
FORMAT = 9
"""Raised with every change of the keys; what files of the format before lack is then told in `IMPLIED`."""

IMPLIED: Mapping[int, Mapping[str, Any]] = {
    # Files without a number. The keys came one after another, so that any of them may be missing.
    1: {
        "simulators": 1,
        "agent.encoder": "nature",
        "agent.saturation_penalty": 0.0,
        "monitors.gradient_limits.actor": None,
        "monitors.gradient_limits.critic": None,
        "monitors.gradient_limits.actor_cnn": 10_000.0,
        "monitors.gradient_limits.critic_cnn": None,
        "monitors.growth.window_updates": 100,
        "monitors.growth.factor": 2.0,
        "monitors.growth.horizon_updates": 200,
        "monitors.q_factor": 2.0,
        "monitors.twin_disagreement": 0.25,
        "monitors.td_error": 0.25,
        "monitors.action_saturation": 0.95,
        "monitors.reward_share": 0.9,
        "monitors.mechanisms_every_updates": 100,
        "monitors.alerts.command": None,
        "monitors.alerts.webhook": None,
        "monitors.alerts.from_level": "warning",
        "monitors.alerts.timeout_s": 10.0,
    },
    2: {"training.kernels": "auto"},
    3: {"evaluation.final_episodes": None, "evaluation.simulators": 1},
    4: {"training.updates_per_step": 1.0},
    5: {"environment.traffic.situations": []},
    6: {"training.explore_after_standing": None},
    7: {"environment.reward.heeds_hazards": False, "agent.pretrained": None},
    8: {"environment.reward.speed_gain": 0.0, "environment.speed_range_kmh": 72.0},
}
"""By format: the keys that its files may lack since they came later, and the value that was in force then."""


def from_stage_file(values: dict[str, Any], source: str) -> dict[str, Any]:
    """The values of a file that somebody gives as a stage: written by hand, or a resolved copy of any format.

    A copy without a number is known by its holding every key that format 1 began with, which nobody writes by hand.
    Raises BadInput, `source` naming the file.
    """
    later = {key for implied in IMPLIED.values() for key in implied}
    is_copy = KEY in values or set(_keys(StageConfig)) - later <= set(_flat(values))
    return from_resolved(values, source) if is_copy else values


def from_resolved(values: dict[str, Any], source: str) -> dict[str, Any]:
    """The values of a resolved copy, without its number and with every key of this version; no number means format 1.

    Raises BadInput for a newer format, and where a key is missing that its format had; `source` names the file.
    """
    number = values.get(KEY, 1)
    if type(number) is not int or number < 1:
        raise BadInput(f"{source}: {KEY}: expected the format's number, found {number!r}; restore the file")
    if number > FORMAT:
        raise BadInput(
            f"{source}: has configuration format {number}, and this version of td3-hpc knows formats up to {FORMAT}; "
            "use the version that wrote it, or a later one"
        )
    result: dict[str, Any] = _copy({key: value for key, value in values.items() if key != KEY})
    for later in range(number, FORMAT):
        for key, value in IMPLIED[later].items():
            _set_default(result, key, value)
    there = set(_flat(result))
    missing = [key for key in _keys(StageConfig) if key not in there]
    if missing:
        listed = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        raise BadInput(
            f"{source}: lacks {listed}, which a resolved configuration of format {number} has; restore the file, or "
            "give a stage's own file, where missing keys are today's defaults"
        )
    return result


def _keys(schema: type[ConfigSection], prefix: str = "") -> Iterator[str]:
    """The dotted keys of a schema, its sections' names left out."""
    for name, field in schema.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, ConfigSection):
            yield from _keys(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted keys that are there, those of sections and of what stands in them."""
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")


def _set_default(values: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):  # a mistake, which the validation names
            return
    values.setdefault(last, value)


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value
