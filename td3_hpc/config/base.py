"""The base class of every configuration section."""

from pydantic import BaseModel, ConfigDict


class ConfigSection(BaseModel):
    """A frozen section: unknown keys, wrong types (`yes` for a number, `"3"` for 3) and NaN are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
