"""What all events share: how one becomes a line of JSON, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

FORMAT = 2
"""Number of the schema. It rises when a field changes its meaning or an older td3-hpc could misread a record; a field
that is new and may be missing needs no new number."""


@dataclass(frozen=True)
class Family:
    """Marks a field that is a mapping: in the line its entries stand by themselves, as `<prefix><name><suffix>`."""

    prefix: str
    suffix: str = ""

    def member(self, key: str) -> str | None:
        """The name in the mapping of an entry of the line; None where it is not of this family."""
        if not (key.startswith(self.prefix) and key.endswith(self.suffix)):
            return None
        return key[len(self.prefix) : len(key) - len(self.suffix)]


class Fields(BaseModel):
    """A frozen set of fields, those of an event or of a part of one. Unknown fields are refused: `extra` is a typo."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any) -> Any:
        """Plain numbers for NumPy's, and the entries of each family into its mapping."""
        if not isinstance(data, Mapping):
            return data
        fields = {key: _plain(value) for key, value in data.items()}
        for name, family in families(cls).items():
            if name not in fields:
                members = {key: member for key in fields if (member := family.member(key)) is not None}
                fields[name] = {member: fields.pop(key) for key, member in members.items()}
        return fields

    def as_line(self) -> dict[str, Any]:
        """The fields that were set, under their names in the record."""
        own = self.model_dump(by_alias=True, exclude_unset=True)
        for name, family in families(type(self)).items():
            members = own.pop(name, None) or {}
            own |= {f"{family.prefix}{member}{family.suffix}": value for member, value in members.items()}
        return own


class Event(Fields):
    """Something that happened in a run. Subclasses are its kinds; `KINDS` has them by name."""

    kind: ClassVar[str]
    """Its name in the record."""
    history: ClassVar[bool] = False
    """Whether it tells of an attempt's own life: such an event stays when the record is cut back to a checkpoint."""

    step: int = 0
    """Last completed step of the run (steps); set by the writer."""
    time: float = 0.0
    """When it was written (seconds since 1970, UTC); set by the writer."""
    line: int = Field(default=0, exclude=True)
    """Its line in record.jsonl, from 1; set by the reader, 0 where only a part of the file was read."""

    def __init_subclass__(cls, kind: str, history: bool = False, **options: Any) -> None:
        cls.kind, cls.history = kind, history
        KINDS[kind] = cls

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Swallows the options that `__init_subclass__` has taken."""


KINDS: dict[str, type[Event]] = {}
"""Every kind of event by its name in the record."""


@cache
def families(fields: type[Fields]) -> dict[str, Family]:
    """The fields that are families."""
    return {
        name: item for name, field in fields.model_fields.items() for item in field.metadata if isinstance(item, Family)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value
