"""`python -m td3_hpc.record.reference` prints docs/record.md: every kind of event and every field, from the schema."""

import inspect
import types
from typing import Any, Literal, Union, get_args, get_origin

from td3_hpc.record.base import FORMAT, KINDS, Event, Fields, families
from td3_hpc.record.measured_events import EpisodeSummary

_INTRODUCTION = f"""# The record

<!-- Made by `python -m td3_hpc.record.reference > docs/record.md` from td3_hpc/record; do not edit. -->

`record.jsonl` in the run directory is what every verdict and report is made from: one JSON object a line, appended at
once, never changed. On resume it is cut back to the checkpoint, except for events of an attempt's own life. A line that
is cut off or damaged is skipped, and the report says so. This is format {FORMAT}; records of earlier formats are read
as well. To read one in Python:

```python
from pathlib import Path
from td3_hpc.record import Interval, read_events

for interval in read_events(Path("checkpoints/1k/record.jsonl"), Interval):
    print(interval.last_step, interval.reward, interval.rewards)
```

Every event has these fields:

| field | type | meaning (unit) |
|---|---|---|
| `event` | text | the kind of event |
| `step` | integer | last completed step of the run (steps) |
| `time` | number | when it was written (seconds since 1970, UTC) |

Fields that were not measured are left out. NaN and infinities are written as `NaN` and `Infinity`.
"""
_NAMES = {str: "text", int: "integer", float: "number", bool: "true or false", types.NoneType: "null", Any: "any"}


def record_reference() -> str:
    """The document, in Markdown."""
    kinds = [_kind(KINDS[name]) for name in sorted(KINDS)]
    return "\n".join([_INTRODUCTION, *kinds, _section("An evaluation's episode", EpisodeSummary)])


def _kind(kind: type[Event]) -> str:
    kept = " It stays when the record is cut back." if kind.history else ""
    return _section(f"`{kind.kind}`", kind, kept)


def _section(title: str, fields: type[Fields], note: str = "") -> str:
    text = " ".join((inspect.getdoc(fields) or "").split())
    lines = [f"## {title}", "", f"Class `{fields.__name__}`. {text}{note}", ""]
    lines += ["| field | type | meaning (unit) |", "|---|---|---|"]
    marked = families(fields)
    for name, field in fields.model_fields.items():
        if name in Event.model_fields:
            continue
        family = marked.get(name)
        shown = f"{family.prefix}*{family.suffix}" if family else field.alias or name
        kind = "number" if family else _type(field.annotation)
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        lines.append(f"| `{shown}` | {kind} | {meaning} |")
    return "\n".join(lines) + "\n"


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(argument) for argument in arguments)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    return _NAMES.get(annotation, "mapping")


if __name__ == "__main__":
    print(record_reference(), end="")
