"""A report as a list of sections, from which the Markdown file and the HTML page are both made.

All text is inline Markdown: `code`, **bold** and [links](#anchor), nothing else.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from td3_hpc.config import StageConfig

ChipStatus = Literal["pass", "fail", "watch", "not_judged", "info"]


@dataclass(frozen=True)
class Chip:
    """A status that is seen at a glance."""

    status: ChipStatus
    text: str


Cell: TypeAlias = "str | Chip"


@dataclass(frozen=True)
class Table:
    """Rows of cells; columns whose number is in `numbers` are set flush right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[int] = frozenset()
    anchors: Sequence[str] = ()
    """What links lead to, an anchor a row."""
    kind: Literal["table"] = "table"


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    note: bool = False
    """Set small: where the numbers come from."""
    kind: Literal["text"] = "text"


@dataclass(frozen=True)
class Items:
    """A list."""

    items: Sequence[str]
    ordered: bool = False
    kind: Literal["items"] = "items"


@dataclass(frozen=True)
class Figures:
    """Drawings in figures/, side by side where there is room: names without suffix, and what each shows."""

    figures: Sequence[tuple[str, str]]
    kind: Literal["figures"] = "figures"


@dataclass(frozen=True)
class Strip:
    """A wide picture of the run directory."""

    path: Path
    caption: str
    kind: Literal["strip"] = "strip"


@dataclass(frozen=True)
class Code:
    """Lines to read or to copy."""

    lines: Sequence[str]
    language: Literal["diff", "sh", "yaml"] = "sh"
    kind: Literal["code"] = "code"


@dataclass(frozen=True)
class Action:
    """Something to do, with the change to make."""

    chip: Chip
    title: str
    text: str
    diff: Sequence[str] = ()
    kind: Literal["action"] = "action"


@dataclass(frozen=True)
class Tile:
    """A number at the head of the report."""

    label: str
    value: str
    detail: str
    status: ChipStatus = "info"


Block: TypeAlias = "Table | Text | Items | Figures | Strip | Code | Action"


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    anchor: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    subtitle: str
    verdict: Chip
    reason: str
    tiles: Sequence[Tile]
    sections: Sequence[Section]
    run_dir: Path
    """Where its figures are."""
    warnings: Sequence[str] = field(default=())
    """What is missing or damaged."""
    headlines: Sequence[Chip] = ()
    """What a reader takes along, each in one sentence."""
    opening: Section | None = None
    """What stands on the first screen, before the tiles."""


def linked(text: str, evidence: str) -> str:
    """Text that leads to its evidence, a row of the evidence section."""
    return f"[{text}](#evidence-{evidence})"


def plain(value: Any) -> str:
    """A value as it stands in YAML, in one line."""
    return value if isinstance(value, str) else json.dumps(value)


def yaml_diff(config: StageConfig, change: Mapping[str, Any]) -> list[str]:
    """A change of the configuration as the lines of a diff of its YAML."""
    old = config.model_dump(mode="json")
    lines: list[str] = []
    open_sections: list[str] = []
    for key in sorted(change):
        *sections, last = key.split(".")
        shared = 0
        while shared < min(len(sections), len(open_sections)) and sections[shared] == open_sections[shared]:
            shared += 1
        lines += [f"  {'  ' * depth}{name}:" for depth, name in enumerate(sections) if depth >= shared]
        open_sections = sections
        value: Any = old
        for part in key.split("."):
            value = value[part]
        indent = "  " * len(sections)
        lines += [f"- {indent}{last}: {plain(value)}", f"+ {indent}{last}: {plain(change[key])}"]
    return lines


def overrides(change: Mapping[str, Any]) -> list[str]:
    """The same as options of `td3-hpc train`."""
    return [f"-o {key}={plain(value)}" for key, value in sorted(change.items())]
