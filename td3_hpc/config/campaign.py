"""A campaign file: stages in a row, each of which must earn the next one."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from td3_hpc.config.base import ConfigSection

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Seed = Annotated[int, Field(ge=0, le=1000)]


class CampaignStageConfig(ConfigSection):
    """One stage of a campaign."""

    name: Name | None = None
    """Also its folder's. Left out: the name in its configuration."""
    config: str | dict[str, Any] | None = None
    """A stage's YAML file, its path relative to the campaign file; or the configuration itself. Left out: that of the
    stage before."""
    overrides: dict[str, Any] = {}
    """What differs from `config`: keys such as `agent.tau: 0.01`, or sections."""
    start: Literal["fresh", "continue"] = "fresh"
    """`continue`: from the last checkpoint of the stage before, with its networks, replay buffer and step count."""
    gates: dict[str, Any] = {}
    """What differs from the campaign's gates."""


class CampaignConfig(ConfigSection):
    """A campaign."""

    name: Name
    """Also its directory's, below the cluster profile's `runs`."""
    seeds: list[Seed] = Field([1], min_length=1)
    """Each stage runs once with each seed, as the tasks of one job array; a seed is also its task's number."""
    require: Literal["all"] | Annotated[float, Field(gt=0, le=1)] = "all"
    """Share of the seeds that must pass a stage (0.67: two of three) before the next one starts. Seeds that failed are
    left behind. `all`: every seed."""
    gates: dict[str, Any] = {}
    """What differs from the default gates, in every stage; docs/gates.md lists them."""
    stages: list[CampaignStageConfig] = Field(min_length=1)
    """In their order."""

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands twice; each may stand once")
        return seeds

    @model_validator(mode="after")
    def _the_first_stage_stands_alone(self) -> "CampaignConfig":
        first = self.stages[0]
        if first.config is None:
            raise ValueError("stages.0.config: missing; the first stage has none before it to take it from")
        if first.start == "continue":
            raise ValueError("stages.0.start: continue, but the first stage has none before it; set start: fresh")
        return self

    @property
    def seeds_required(self) -> int:
        """How many seeds must pass."""
        share = 1.0 if self.require == "all" else self.require
        return max(1, math.ceil(share * len(self.seeds) - 0.02))  # 0.67 and 0.66 of three both mean two
