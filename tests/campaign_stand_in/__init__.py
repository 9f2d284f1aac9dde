"""A package that is this one, but whose `train` only counts steps: for tests of the chain of jobs around it."""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from td3_hpc.campaign.directory import CampaignDirectory
from td3_hpc.campaign.plan import load_campaign
from td3_hpc.code import PACKAGE
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.errors import ExitCode
from td3_hpc.gates.verdict import read_verdict
from td3_hpc.launch.campaigns.chain import Place, submit

STAGE = {
    "training": {"total_steps": 10, "learning_starts": 2},
    "evaluation": {"every_steps": 5},
    "checkpoint": {"every_steps": 5},
    "replay": {"capacity": 500},
    "agent": {"batch_size": 8},
}


def make_package(folder: Path) -> Path:
    """The package, in a folder of its own."""
    package = folder / "td3_hpc"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "own_towns", "*.pyc"))
    shutil.copyfile(Path(__file__).with_name("trainer.py"), package / "__main__.py")
    return package


def write_campaign(path: Path, *stages: dict[str, Any], **top: Any) -> Path:
    """A campaign file with stages named a, b, c, ..., each STAGE with changes under dotted keys."""
    entries = []
    for letter, changes in zip("abcdef", stages):
        own = {key: changes[key] for key in ("name", "start", "gates") if key in changes}
        overrides = {key: value for key, value in changes.items() if key not in own}
        entries.append({"name": letter, "config": STAGE, "overrides": overrides, **own})
    path.write_text(yaml.safe_dump({"name": "trial", **top, "stages": entries}))
    return path


def place(path: Path, profile: ClusterConfig, **plan: Any) -> Place:
    """A campaign where it will live, below the profile's `runs`; `plan` is what the stand-in is told."""
    campaign = load_campaign(path)
    directory = CampaignDirectory(profile.runs / campaign.name)
    directory.root.mkdir(parents=True, exist_ok=True)
    if plan:
        (directory.root / "plan.json").write_text(json.dumps(plan))
    return Place(campaign, directory, profile, "test")


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    """What the stand-in recorded, of one kind."""
    path = run / "record.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [event for event in map(json.loads, lines) if event["event"] == kind]


class TrialCampaign:
    """A campaign named trial, of the stand-in, and what became of it."""

    def __init__(self, folder: Path, package: Path, profile: ClusterConfig) -> None:
        self.file, self.package, self.profile = folder / "trial.yaml", package, profile
        self.root, self.logged = folder / "runs" / "trial", list[str]()

    def place(self, *stages: dict[str, Any], plan: dict[str, Any] | None = None, **top: Any) -> Place:
        return place(write_campaign(self.file, *stages, **top), self.profile, **(plan or {}))

    def submit(self, *stages: dict[str, Any], plan: dict[str, Any] | None = None, **top: Any) -> ExitCode:
        self.logged.clear()
        return submit(self.place(*stages, plan=plan, **top), self.logged.append, self.package)

    def run(self, stage: str, seed: int = 1) -> Path:
        return self.root / stage / f"seed-{seed}"

    def verdicts(self, *stages: str, seed: int = 1) -> list[str | None]:
        found = [read_verdict(self.run(stage, seed)) for stage in stages]
        return [verdict.verdict if verdict else None for verdict in found]

    def outcome(self, stage: str, seed: int = 1) -> str:
        return (self.run(stage, seed) / "submission" / "outcome").read_text().split()[0]

    def starts(self, stage: str, seed: int = 1) -> int:
        return len(events(self.run(stage, seed), "attempt"))
