"""Freezing a campaign: configurations, gates, scripts and code of all its stages, as they are at submission."""

from collections.abc import Iterable
from pathlib import Path

from td3_hpc.campaign.directory import CAMPAIGN_FILE, CampaignDirectory
from td3_hpc.campaign.plan import Campaign
from td3_hpc.code import PACKAGE, code_digest
from td3_hpc.config import dump_yaml
from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput
from td3_hpc.gates.verdict import GATES_FILE
from td3_hpc.launch.jobs.freeze import Frozen, freeze
from td3_hpc.launch.jobs.script import render
from td3_hpc.submission_folder import SubmissionFolder


def freeze_campaign(
    directory: CampaignDirectory,
    campaign: Campaign,
    frozen: Frozen,
    runs: Iterable[tuple[str, int]],
    package: Path = PACKAGE,
) -> None:
    """Write everything that the jobs of `runs` (stage, seed) need; campaign.yaml comes last. Raises BadInput."""
    scripts = {}
    for stage in campaign.stages:
        profile = frozen.profile.for_simulators(stage.config.simulators)
        scripts[stage.name] = render(stage.name, profile, directory.root, frozen.image, campaign=campaign.name)
    stages = {directory.run(name, seed): (campaign.stages[campaign.index(name)], seed) for name, seed in runs}
    configurations = {run: stage.with_seed(seed) for run, (stage, seed) in stages.items()}
    try:
        freeze(directory.root, frozen, scripts, configurations, package, campaign=campaign.name)
        gates = {stage.name: dump_yaml(stage.gates).encode() for stage in campaign.stages}
        for run, (stage, _) in stages.items():
            replace_file(run / GATES_FILE, gates[stage.name])
        replace_file(directory.root / CAMPAIGN_FILE, campaign.to_yaml().encode())
    except OSError as error:
        raise BadInput(
            f"{directory.root}: the campaign's directory cannot be written ({error.strerror}); correct `runs` in the "
            "profile"
        ) from None


def check_whole(directory: CampaignDirectory, runs: Iterable[tuple[str, int]]) -> None:
    """Raise BadInput where the frozen code is not what the runs were submitted with: a `resume` was cut off."""
    digest = code_digest(directory.submission.code / PACKAGE.name)
    for name, seed in runs:
        if SubmissionFolder(directory.run(name, seed)).notes().get("code_sha256") != digest:
            raise BadInput(f"{directory.submission.path}: not whole, a `campaign resume` was cut off; give it again")
