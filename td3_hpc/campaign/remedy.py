"""What a NO-GO verdict suggests, as a change of the campaign's file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from td3_hpc.campaign.admission import Admissions
from td3_hpc.campaign.directory import CampaignDirectory
from td3_hpc.campaign.plan import Campaign, make_campaign, merged
from td3_hpc.config import parse_yaml
from td3_hpc.config.campaign import CampaignConfig
from td3_hpc.config.changes import value_at
from td3_hpc.config.editing import scalar, with_keys
from td3_hpc.errors import BadInput
from td3_hpc.gates.verdict import Verdict, read_verdict


@dataclass(frozen=True)
class Remedy:
    """The changes that a run's blocking gates suggest, joined."""

    stage: str
    seed: int
    verdict: Verdict
    change: Mapping[str, Any]
    """Configuration keys and their new values."""
    conflicts: tuple[str, ...]
    """Where two gates want different values, in words: the first one's counts."""


@dataclass(frozen=True)
class CorrectedFile:
    """A campaign's file with a remedy in it."""

    text: str
    campaign: Campaign
    changes: Mapping[str, Mapping[str, Any]]
    """By stage: the keys that get a new value, and the value."""


def find_remedy(directory: CampaignDirectory, stage: str | None = None, seed: int | None = None) -> Remedy:
    """The remedy of the newest NO-GO verdict, or of the newest of a stage, a seed, or both.

    Raises BadInput where no NO-GO has stopped the campaign, or none is asked for, or it suggests no change.
    """
    campaign = directory.campaign()
    if stage is not None:
        campaign.index(stage)
    outcome = Admissions(directory, campaign).outcome()
    if outcome.decision != "no-go":
        raise BadInput(f"{directory.root}: is not stopped by a NO-GO verdict ({outcome.reason})")
    found = [run for run in _no_go(directory, campaign) if stage in (None, run[0].name) and seed in (None, run[1])]
    if not found:
        asked = [f"stage {stage}"] * (stage is not None) + [f"seed {seed}"] * (seed is not None)
        raise BadInput(f"{directory.root}: no NO-GO verdict of {', '.join(asked)}: {outcome.reason}")
    entry, number, verdict = max(found, key=lambda run: run[2].written)
    change, conflicts = _joined(verdict)
    if not change:
        raise BadInput(
            f"stage {entry.name}, seed {number}: no change of the configuration cures this: {verdict.reason} See "
            f"{directory.run(entry.name, number) / 'report.md'}; after your correction give `td3-hpc campaign resume`"
        )
    return Remedy(entry.name, number, verdict, change, conflicts)


def corrected(path: Path, text: str, remedy: Remedy) -> CorrectedFile:
    """The campaign's file with the remedy in the `overrides` of its stage, and of each later stage that has the same
    value there: it would fail in the same way, and what one stage earns has to hold for the next.

    path: the campaign's file; text: what stands in it. Raises BadInput where the file has the change already, or the
    result would be no campaign, or the file is written in a form that cannot be edited.
    """
    values = parse_yaml(text, str(path))
    campaign = make_campaign(values, path)
    changes = dict(_changes_by_stage(campaign, CampaignConfig.model_validate(values), remedy))
    if not changes:
        raise BadInput(
            f"{path}: has the remedy of stage {remedy.stage}, seed {remedy.seed}, already ({listed(remedy.change)}); "
            "give `td3-hpc campaign resume`"
        )
    meant = _with_overrides(values, campaign, changes)
    for name, change in changes.items():
        text = with_keys(text, ("stages", campaign.index(name)), "overrides", change)
    try:
        means = parse_yaml(text, str(path))
        edited = _with_overrides(means, campaign, {}) == meant
    except (BadInput, LookupError, TypeError, AttributeError):
        edited = False
    if not edited:
        by_hand = "; ".join(f"stage {name}: {listed(change)}" for name, change in changes.items())
        raise BadInput(
            f"{path}: its stages share a section, or are written in a form that cannot be edited here; put this into "
            f"their `overrides` and give `td3-hpc campaign resume`: {by_hand}"
        )
    return CorrectedFile(text, make_campaign(means, path), changes)


def listed(change: Mapping[str, Any]) -> str:
    """Keys and values as they stand in YAML, in one line."""
    return ", ".join(f"{key}: {scalar(value)}" for key, value in change.items())


def _no_go(directory: CampaignDirectory, campaign: Campaign) -> Iterator[tuple[Any, int, Verdict]]:
    for stage in campaign.stages:
        for seed in campaign.seeds:
            verdict = read_verdict(directory.run(stage.name, seed))
            if verdict is not None and verdict.verdict == "NO-GO":
                yield stage, seed, verdict


def _joined(verdict: Verdict) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The changes of all blocking gates that were missed, and where they contradict each other."""
    change: dict[str, Any] = {}
    owners: dict[str, str] = {}
    conflicts = []
    for gate in verdict.missed("blocking"):
        for key, value in gate.change.items():
            if key in change and change[key] != value:
                conflicts.append(f"{gate.title} wants {key}: {scalar(value)}; that of {owners[key]} is taken")
            owners.setdefault(key, gate.title)
            change.setdefault(key, value)
    return change, tuple(conflicts)


def _changes_by_stage(campaign: Campaign, file: CampaignConfig, remedy: Remedy) -> Iterator[tuple[str, dict[str, Any]]]:
    """The keys to set in each stage's own overrides; one without `config` has the rest from the stage before."""
    first = campaign.index(remedy.stage)
    old = campaign.stages[first].config.model_dump(mode="json")
    wanted = {key: value for key, value in remedy.change.items() if value_at(old, key) != value}
    for index, stage in enumerate(campaign.stages[first:], first):
        now, entry = stage.config.model_dump(mode="json"), file.stages[index]
        own = merged({}, entry.overrides)
        inherits = index > first and entry.config is None
        change = {
            key: value
            for key, value in wanted.items()
            if value_at(now, key) == value_at(old, key) and not (inherits and value_at(own, key) != value_at(now, key))
        }
        if change:
            yield stage.name, change


def _with_overrides(
    values: Mapping[str, Any], campaign: Campaign, changes: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """A campaign file's values with more overrides, each stage's brought into one form."""
    entries = [
        {**entry, "overrides": merged(merged({}, entry.get("overrides", {})), changes.get(stage.name, {}))}
        for entry, stage in zip(values["stages"], campaign.stages, strict=True)
    ]
    return {**values, "stages": entries}
