"""A campaign's plan: every stage's whole configuration, from the campaign file, with every mistake found at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from td3_hpc.campaign.carry_over import obstacles
from td3_hpc.config import StageConfig, dump_yaml, formats, read_yaml, validate
from td3_hpc.config.campaign import CampaignConfig, CampaignStageConfig
from td3_hpc.config.gates import GatesConfig
from td3_hpc.errors import BadInput

RESERVED = ("submission", "cache")


@dataclass(frozen=True)
class Stage:
    """One stage of a campaign."""

    name: str
    config: StageConfig
    """With the campaign's first seed."""
    continues: bool
    """Whether it starts from the last checkpoint of the stage before."""
    gates: GatesConfig

    def with_seed(self, seed: int) -> StageConfig:
        """The configuration of the run with a seed."""
        return self.config.model_copy(update={"seed": seed})


@dataclass(frozen=True)
class Campaign:
    """A campaign, resolved."""

    name: str
    seeds: tuple[int, ...]
    seeds_required: int
    """How many seeds must pass a stage before the next one starts."""
    stages: tuple[Stage, ...]
    file: CampaignConfig
    """The same as a campaign file that needs no other."""

    def to_yaml(self) -> str:
        """A campaign file from which `load_campaign` makes this campaign again."""
        return dump_yaml(self.file)

    def index(self, stage: str) -> int:
        """The place of a stage by its name; raises BadInput for a name that it does not have."""
        names = [item.name for item in self.stages]
        if stage not in names:
            raise BadInput(f"campaign {self.name} has no stage {stage}; it has {', '.join(names)}")
        return names.index(stage)


def load_campaign(path: Path) -> Campaign:
    """The campaign in a YAML file; raises BadInput that lists every mistake of every stage."""
    return make_campaign(read_yaml(path), path)


def make_campaign(values: dict[str, Any], path: Path) -> Campaign:
    """The campaign of a file's values; `path` is where they stand, or are to stand. Raises BadInput as above."""
    if "training" in values and "stages" not in values:
        raise BadInput(f"{path}: is a stage, not a campaign; use `td3-hpc submit`, or name it in a campaign's `stages`")
    file = validate(CampaignConfig, values, str(path))
    problems: list[str] = []
    stages: list[Stage] = []
    data: dict[str, Any] | None = None
    for number, entry in enumerate(file.stages):
        where = f"{path}: stages.{number}"
        try:
            data = _configuration(entry, data, path.parent, where)
            data["seed"] = file.seeds[0]
            config = validate(StageConfig, data, where)
            gates = validate(GatesConfig, merged(file.gates, entry.gates), f"{where}.gates")
        except BadInput as error:
            problems += str(error).splitlines()
            continue
        stages.append(Stage(config.name, config, entry.start == "continue", gates))
    if not problems:
        problems = [f"{path}: {problem}" for problem in _problems(stages)]
    if problems:
        raise BadInput("\n".join(problems))
    return Campaign(file.name, tuple(file.seeds), file.seeds_required, tuple(stages), _resolved(file, stages))


def _configuration(
    entry: CampaignStageConfig, before: dict[str, Any] | None, folder: Path, where: str
) -> dict[str, Any]:
    """A stage's configuration, not validated yet. Raises BadInput for a file that cannot be read."""
    if isinstance(entry.config, dict):  # a resolved one in the campaign.yaml of a campaign that was submitted
        base = formats.from_stage_file(entry.config, where)
    elif entry.config is not None:
        base = formats.from_stage_file(read_yaml(folder / entry.config), str(folder / entry.config))
    else:
        base = before or {}
    data = merged(base, entry.overrides)
    if entry.name is not None:
        data["name"] = entry.name
    return data


def merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Base with overrides; an override's key may be dotted, and a section changes only the keys that it holds."""
    result: dict[str, Any] = {
        key: merged(value, {}) if isinstance(value, dict) else value for key, value in base.items()
    }
    for key, value in overrides.items():
        *parents, last = str(key).split(".")
        section = result
        for parent in parents:
            nested = section.get(parent)
            section[parent] = nested if isinstance(nested, dict) else {}
            section = section[parent]
        old = section.get(last)
        section[last] = merged(old if isinstance(old, dict) else {}, value) if isinstance(value, dict) else value
    return result


def _problems(stages: list[Stage]) -> list[str]:
    """What is wrong between stages that are right by themselves."""
    names = [stage.name for stage in stages]
    found = [
        f"stages.{number}: the name {name} is taken; set another"
        for number, name in enumerate(names)
        if name in names[:number]
    ]
    found += [f"stages.{names.index(name)}: a stage cannot be called {name}" for name in RESERVED if name in names]
    for number, (before, after) in enumerate(pairwise(stages), 1):
        old, new = before.config.simulator, after.config.simulator
        if (old.kind, old.version) != (new.kind, new.version):
            found.append(
                f"stages.{number}.simulator: {after.name} runs on {new.kind} {new.version}, {before.name} on "
                f"{old.kind} {old.version}: its verdict would admit nothing there; use one simulator in a campaign"
            )
        if after.continues:
            for obstacle in obstacles(before.config, after.config):
                what = f"{after.name} continues {before.name}, but {obstacle}"
                found.append(f"stages.{number}: {what}; undo it, or set start: fresh")
    return found


def _resolved(file: CampaignConfig, stages: list[Stage]) -> CampaignConfig:
    entries = [
        CampaignStageConfig(
            name=stage.name,
            config={formats.KEY: formats.FORMAT, **stage.config.model_dump(mode="json")},
            start="continue" if stage.continues else "fresh",
            gates=stage.gates.model_dump(mode="json"),
        )
        for stage in stages
    ]
    return file.model_copy(update={"gates": {}, "stages": entries})
