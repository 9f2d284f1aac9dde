"""From a YAML file and overrides to a validated configuration, with every mistake listed at once."""

import difflib
import re
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from td3_hpc.config import formats
from td3_hpc.config.base import ConfigSection
from td3_hpc.config.stage import StageConfig
from td3_hpc.errors import BadInput

CONFIG_FILE = "config.yaml"
"""The resolved configuration in a run directory."""

SectionType = TypeVar("SectionType", bound=ConfigSection)


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML lets a later key silently replace an earlier one of the same name; a configuration must not."""


_Fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _FastLoader(_Fast):  # type: ignore[misc]
    """libyaml's parser, where PyYAML was built with it: eight times as fast, with other words for a mistake. For the
    files that `dump_yaml` writes."""


class _Dumper(yaml.SafeDumper):
    """Writes what the loader reads back."""


def _mapping_without_duplicates(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: list[Any] = []  # no set: a key may be a list, which is refused later, by its name
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} stands twice (again on line {line})", key_node.start_mark
            )
        seen.append(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


def _integer(loader: _UniqueKeyLoader, node: yaml.ScalarNode) -> int | str:
    """An integer, but for what YAML 1.1 alone takes for one: 4:00:00 stays as it is written, and 0010, which would be
    octal, is refused."""
    if ":" in node.value:
        return str(node.value)
    if re.fullmatch(r"[-+]?0[0-9_]+", node.value):
        decimal = int(node.value)
        raise yaml.constructor.ConstructorError(
            None,
            None,
            f"{node.value} begins with a zero, which YAML 1.1 reads as octal: write {decimal}, or '{node.value}' if it "
            "is text",
            node.start_mark,
        )
    return int(loader.construct_yaml_int(node))


def _number(loader: _UniqueKeyLoader, node: yaml.ScalarNode) -> float | str:
    """A float; a whole number written with an exponent, such as 1e6, is an integer, and 1:30.5 stays as written."""
    if ":" in node.value:
        return str(node.value)
    value: float = loader.construct_yaml_float(node)
    whole = "e" in node.value.lower() and value.is_integer()
    return int(value) if whole else value


for _loader in (_UniqueKeyLoader, _FastLoader):
    _loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)
    _loader.add_constructor("tag:yaml.org,2002:int", _integer)
    _loader.add_constructor("tag:yaml.org,2002:float", _number)
# YAML 1.1 reads 1e-4 as a string, for want of a dot; a learning rate written so is meant as a number. The dumper has to
# know, or it would write the string "1e4" without its quotes.
for _class in (_UniqueKeyLoader, _FastLoader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Text; where it holds a line end of Unicode's, in quotes, or YAML would read that as a space."""
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if set(text) & set("\x85\u2028\u2029") else None
    )


_Dumper.add_representer(str, _text)


class _NotYaml(Exception):
    """Why a text is not YAML, in one line."""


def _parse(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)  # a SafeLoader: builds plain data only
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2026-02-31
        raise _NotYaml(" ".join(str(error).split())) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; raises BadInput for a missing, unreadable or malformed one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file{_near_miss(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read ({error})") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """The mapping that a YAML text holds; raises BadInput, `source` naming where it stands."""
    try:
        data = _parse(text)
    except _NotYaml as error:
        raise BadInput(f"{source}: not valid YAML: {error}") from None
    if not isinstance(data, dict):
        found = type(data).__name__ if text.strip() else "an empty file"
        raise BadInput(f"{source}: expected `key: value` lines, found {found}")
    return data


def apply_overrides(data: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Data with `section.key=value` overrides applied; the value is read as YAML."""
    result: dict[str, Any] = _copy(data)
    for override in overrides:
        key, separator, text = override.partition("=")
        parts = key.strip().split(".")
        if not separator or not all(parts):
            raise BadInput(f"override {override!r}: write it as section.key=value, for example agent.tau=0.01")
        try:
            value = _parse(text)
        except _NotYaml as error:
            raise BadInput(f"override {override!r}: {error}") from None
        target = result
        for part in parts[:-1]:
            nested = target.setdefault(part, {})
            if not isinstance(nested, dict):
                raise BadInput(f"override {override!r}: {part} is a value, not a section")
            target = nested
        target[parts[-1]] = value
    return result


def validate(schema: type[SectionType], data: dict[str, Any], source: str) -> SectionType:
    """A section from data; raises BadInput that lists every mistake by its path, `source` naming the file."""
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        lines = [f"{source}: {_explain(schema, item)}" for item in error.errors()]
        raise BadInput("\n".join(lines)) from None


def load_stage(path: Path, overrides: Sequence[str] = ()) -> StageConfig:
    """The stage in a YAML file, with overrides; raises BadInput listing every mistake.

    A resolved copy (a run's config.yaml) means what it meant when it was written, as with `load_resolved`.
    """
    values = read_yaml(path)
    if "stages" in values:
        raise BadInput(f"{path}: is a campaign, not a stage; give one of its stages' files, or use `td3-hpc campaign`")
    values = formats.from_stage_file(values, str(path))
    return validate(StageConfig, apply_overrides(values, overrides), str(path))


def load_resolved(path: Path, overrides: Sequence[str] = ()) -> StageConfig:
    """The stage in a file that `dump_yaml` made, in this version or an earlier one, with overrides.

    Raises BadInput where it is not whole, or of a newer format.
    """
    values = formats.from_resolved(_read_dumped(path), str(path))
    return validate(StageConfig, apply_overrides(values, overrides), str(path))


def _read_dumped(path: Path) -> dict[str, Any]:
    """As `read_yaml`, faster."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_FastLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError):
        values = None
    return values if isinstance(values, dict) else read_yaml(path)


def parse_resolved(text: str, source: str) -> StageConfig:
    """The same of a text; `source` names where it stands."""
    return validate(StageConfig, formats.from_resolved(parse_yaml(text, source), source), source)


def dump_yaml(config: ConfigSection) -> str:
    """The resolved configuration, every default written out, as YAML; a stage's begins with its format's number."""
    numbered = {formats.KEY: formats.FORMAT} if isinstance(config, StageConfig) else {}
    values = {**numbered, **config.model_dump(mode="json")}
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _near_miss(path: Path) -> str:
    names = [item.name for item in path.parent.glob("*")] if path.parent.is_dir() else []
    match = difflib.get_close_matches(path.name, names, 1)
    return f"; did you mean {path.parent / match[0]}?" if match else ""


def _explain(schema: type[BaseModel], item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        match = difflib.get_close_matches(str(item["loc"][-1]), _keys_at(schema, item["loc"][:-1]), 1)
        return f"{where}: unknown key" + (f"; did you mean {match[0]}?" if match else "; remove it")
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "missing":
        return f"{where}: missing; set it"
    if item["type"] == "value_error":
        return f"{where}: {message}" if where else message
    return f"{where}: {message[:1].lower()}{message[1:]} (found {reprlib.repr(item['input'])})"


def _keys_at(schema: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys that the section at a location knows; empty where the location is no section."""
    current: Any = schema
    for part in location:
        if not (isinstance(current, type) and issubclass(current, BaseModel)) or part not in current.model_fields:
            return []
        current = current.model_fields[part].annotation
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []
