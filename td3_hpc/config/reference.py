"""`python -m td3_hpc.config.reference` prints docs/configuration.md, with `cluster` docs/cluster-profile.md.

Every key, from the schema itself.
"""

import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from td3_hpc.config.base import ConfigSection
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.config.stage import StageConfig

_INTRODUCTION = """# Configuration

<!-- Made by `python -m td3_hpc.config.reference > docs/configuration.md` from td3_hpc/config; do not edit. -->

A stage is a YAML file with the sections and keys below. Only `name`, `training.total_steps` and
`training.learning_starts` have no default. `td3-hpc train STAGE.yaml -o section.key=value` changes a key for one run
and can be repeated; the value is read as YAML: `-o agent.tau=0.01`, `-o 'environment.weather=[ClearNoon, WetNoon]'`,
`-o agent.clip_norms.actor=null`.

Numbers may be written as `0.0003`, `3e-4`, `1e6` or `1_000_000`; one that begins with a zero, such as `0010`, is
refused, and `1:30` is no number. Unknown keys, duplicate keys, wrong types and values
out of range are refused before anything starts (exit code 2); all of them are listed at once, each with its path. The
resolved configuration, with every default written out, is stored as `config.yaml` in the run directory.
"""

_CLUSTER_INTRODUCTION = """# Cluster profiles

<!-- Made by `python -m td3_hpc.config.reference cluster > docs/cluster-profile.md`; do not edit. -->

A profile describes how one site's Slurm and Apptainer run a stage. It is a YAML file in `configs/clusters/`, where
`--cluster NAME` finds it, or any other file, given by its path. Every key except `container.image` has a default.
`td3-hpc submit ... -c key=value` changes a key for one submission and can be repeated: `-c walltime_minutes=30`,
`-c container.network=loopback`. To write one for your site, see [on-a-cluster.md](on-a-cluster.md#on-your-cluster).
"""

_BOUNDS = {"gt": "> {}", "ge": "≥ {}", "lt": "< {}", "le": "≤ {}", "min_length": "at least {} long"}
_NAMES = {str: "text", int: "integer", float: "number", bool: "`true` or `false`", Path: "path"}


def configuration_reference() -> str:
    """The document, in Markdown."""
    parts = [_INTRODUCTION, *(_section(path, section) for path, section in sections(StageConfig))]
    return "\n".join(parts)


def cluster_reference() -> str:
    """The document of the cluster profile's keys, in Markdown."""
    parts = [_CLUSTER_INTRODUCTION, *(_section(path, section) for path, section in sections(ClusterConfig))]
    return "\n".join(parts)


def sections(schema: type[ConfigSection], path: str = "") -> Iterator[tuple[str, type[ConfigSection]]]:
    """A section and all below it, in the order of the schema, each with its dotted path ('' for the first)."""
    yield path, schema
    for name, field in schema.model_fields.items():
        section = _section_of(field.annotation)
        if section is not None:
            yield from sections(section, f"{path}.{name}" if path else name)


def _section(path: str, schema: type[ConfigSection]) -> str:
    keys = {name: field for name, field in schema.model_fields.items() if _section_of(field.annotation) is None}
    lines = [f"## {path}" if path else "## Top level", "", inspect.getdoc(schema) or "", ""]
    lines += ["| key | default | values | meaning |", "|---|---|---|---|"]
    for name, field in keys.items():
        default = "required" if field.is_required() else f"`{_yaml(field.get_default(call_default_factory=True))}`"
        meaning = " ".join((field.description or "").split())
        lines.append(f"| `{name}` | {default} | {_values(field)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _section_of(annotation: Any) -> type[ConfigSection] | None:
    """The section that a key holds, be it optional; None for a plain value."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, ConfigSection):
            return kind
    return None


def _values(field: FieldInfo) -> str:
    """What a key may be: 'number, > 0, ≤ 1'."""
    null = type(None) in get_args(field.annotation)
    text = ", ".join([_type(field.annotation), *_bounds(field.metadata)])
    return f"{text}; or `null`" if null else text


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):  # Annotated[float, Field(gt=0)]
        bounds = [bound for item in annotation.__metadata__ for bound in _bounds(item.metadata)]
        return ", ".join([_type(arguments[0]), *bounds])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(argument) for argument in arguments if argument is not type(None))
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    return _NAMES[annotation]


def _bounds(metadata: list[Any]) -> list[str]:
    found = []
    for item in metadata:
        for name, text in _BOUNDS.items():
            if getattr(item, name, None) is not None:
                found.append(text.format(getattr(item, name)))
        if getattr(item, "pattern", None) is not None:
            found.append(f"matching `{item.pattern}`")
    return found


def _yaml(value: Any) -> str:
    """A value as it would stand in the file."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if value == {}:
        return "{}"
    if isinstance(value, list):
        return f"[{', '.join(_yaml(item) for item in value)}]"
    return str(value)


if __name__ == "__main__":
    print(cluster_reference() if sys.argv[1:] == ["cluster"] else configuration_reference(), end="")
