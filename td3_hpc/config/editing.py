"""Setting keys in the text of a YAML file: comments, order and layout of everything else stay as they are."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

STEP = "  "


def with_keys(text: str, place: Sequence[str | int], section: str, values: Mapping[str, Any]) -> str:
    """The text with values set in a section of the mapping at a place, such as `overrides` at ("stages", 1).

    Without a section (""), in the mapping itself.

    Keys may be dotted, as in `agent.tau`. A key that is set there already, dotted or nested, gets the new value where
    it stands; another is added at the section's end, and the section at its mapping's. The text must be valid YAML with
    that place. What an alias stands for is changed where it is defined: compare what the result means with what was
    meant.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    for key, value in values.items():
        owner: Any = yaml.compose(text, Loader=yaml.SafeLoader)
        for part in place:
            owner = owner.value[part] if isinstance(part, int) else _entry(owner, part)
        mapping = _entry(owner, section) if section else owner
        if mapping is None:
            text = _added(text, owner, newline, section, (key, scalar(value)))
        elif (node := _setting(mapping, key)) is not None:
            start, end = node.start_mark.index, node.end_mark.index
            text = text[:start] + (" " if start == end else "") + scalar(value) + text[end:]
        else:
            text = _added(text, mapping, newline, key, scalar(value))
    return text


def scalar(value: Any) -> str:
    """A value as it stands in YAML, in one line."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value) and yaml.safe_load(value) == value:
        return value
    return json.dumps(value)


def _entry(mapping: yaml.MappingNode, name: str) -> Any:
    return next((node for key, node in mapping.value if key.value == name), None)


def _setting(mapping: yaml.MappingNode, key: str) -> yaml.Node | None:
    """Where a key gets its value, in the mapping itself or in a section of it; the last one counts."""
    found = None
    for name, node in mapping.value:
        if name.value == key:
            found = node
        elif key.startswith(f"{name.value}.") and isinstance(node, yaml.MappingNode):
            found = _setting(node, key[len(name.value) + 1 :]) or found
    return found


def _added(text: str, mapping: yaml.MappingNode, newline: str, key: str, value: str | tuple[str, str]) -> str:
    """The text with an entry added at a mapping's end; a pair as its value is a section with one entry."""
    end = _end(mapping)
    if mapping.flow_style:
        shown = value if isinstance(value, str) else f"{{{value[0]}: {value[1]}}}"
        at = end if mapping.value else mapping.start_mark.index + 1
        return f"{text[:at]}{', ' if mapping.value else ''}{key}: {shown}{text[at:]}"
    indent = " " * mapping.value[0][0].start_mark.column
    lines = [f"{indent}{key}: {value}"]
    if not isinstance(value, str):
        lines = [f"{indent}{key}:", f"{indent}{STEP}{value[0]}: {value[1]}"]
    at = end if text[:end].endswith("\n") else text.find("\n", end) + 1 or len(text)
    before = text[:at] if text[:at].endswith("\n") else text[:at] + newline
    return before + "".join(f"{line}{newline}" for line in lines) + text[at:]


def _end(node: yaml.Node, inside: bool = True) -> int:
    """Where the last thing in a collection ends: a block collection's own end mark lies behind the comments after it.

    An alias's node is where its anchor is, before its key; the key's end stands for its own.
    """
    if isinstance(node, yaml.MappingNode) and node.value and (inside or not node.flow_style):
        key, value = node.value[-1]
        return max(int(key.end_mark.index), _end(value, False))
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        return _end(node.value[-1], False)
    return int(node.end_mark.index)
