"""A suite's file: situations to evaluate a policy in, town by town."""

import json
from pathlib import Path
from typing import Any

from pydantic import Field

from td3_hpc.config.base import ConfigSection
from td3_hpc.config.campaign import Name
from td3_hpc.config.loading import read_yaml, validate


class SuiteTown(ConfigSection):
    """The part of a suite that is driven in one town."""

    town: str
    """As `environment.town`."""
    episodes: int = Field(ge=1)
    """On the held-out routes from 0 on."""


class SuiteConfig(ConfigSection):
    """A suite."""

    name: Name
    overrides: dict[str, Any] = {}
    """What differs from the run's own stage: keys such as `environment.traffic.vehicles: 0`."""
    towns: list[SuiteTown] = Field(min_length=1)

    def overrides_of(self, town: SuiteTown) -> list[str]:
        """The changes to a stage, as `-o` takes them."""
        changes = {**self.overrides, "environment.town": town.town}
        return [f"{key}={json.dumps(value)}" for key, value in changes.items()]


def load_suite(path: Path) -> SuiteConfig:
    """The suite in a YAML file; raises BadInput listing every mistake."""
    return validate(SuiteConfig, read_yaml(path), str(path))
