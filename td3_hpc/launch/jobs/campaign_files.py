"""Freezing a campaign: configurations, gates, scripts and code of all its stages, as they are at submission."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from td3_hpc import __version__
from td3_hpc.campaign.admission import GAVE_UP_FILE
from td3_hpc.campaign.directory import CAMPAIGN_FILE, CampaignDirectory
from td3_hpc.campaign.plan import Campaign
from td3_hpc.checkpoint_names import furthest_step
from td3_hpc.code import PACKAGE, code_digest
from td3_hpc.config import dump_yaml
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput
from td3_hpc.gates.verdict import GATES_FILE
from td3_hpc.launch.jobs.freeze import FrozenImage, freeze_code, freeze_image
from td3_hpc.launch.jobs.script import render
from td3_hpc.submission_notes import SUBMISSION_FILE, read_notes

#: The jobs of a run, a line for each time it was queued: its newest step then (- where a job has put itself behind an
#: unfinished stage), and the ids.
JOBS_FILE = "submission/jobs"
CANCELLED_FILE = "submission/cancelled"


@dataclass(frozen=True)
class Frozen:
    """What a campaign's jobs run."""

    profile: ClusterConfig
    code_sha256: str
    image: FrozenImage | None

    @property
    def image_sha256(self) -> str | None:
        """None where the jobs use no container."""
        return self.image.sha256 if self.image else None


def identify(profile: ClusterConfig, package: Path = PACKAGE) -> Frozen:
    """The digests of what would be frozen now; raises BadInput where there is no such image."""
    image = freeze_image(profile.container.image) if profile.container else None
    return Frozen(profile, code_digest(package), image)


def freeze(
    directory: CampaignDirectory,
    campaign: Campaign,
    frozen: Frozen,
    runs: Iterable[tuple[str, int]],
    package: Path = PACKAGE,
) -> None:
    """Write everything that the jobs of `runs` (stage, seed) need; campaign.yaml comes last. Raises BadInput."""
    try:
        directory.submission.mkdir(parents=True, exist_ok=True)
        freeze_code(package, directory.submission / "code")
        replace_file(directory.submission / "cluster.yaml", dump_yaml(frozen.profile).encode())
        for stage in campaign.stages:
            profile = frozen.profile.for_simulators(stage.config.simulators)
            last = stage.name == campaign.stages[-1].name
            script = render(stage.name, profile, directory.root, frozen.image, campaign=campaign.name, last=last)
            replace_file(directory.script(stage.name), script.encode())
        for name, seed in runs:
            _freeze_run(directory.run(name, seed), campaign, name, seed, frozen)
        replace_file(directory.root / CAMPAIGN_FILE, campaign.to_yaml().encode())
    except OSError as error:
        raise BadInput(
            f"{directory.root}: the campaign's directory cannot be written ({error.strerror}); correct `runs` in the "
            "profile"
        ) from None


def _freeze_run(run: Path, campaign: Campaign, name: str, seed: int, frozen: Frozen) -> None:
    stage = campaign.stages[campaign.index(name)]
    for folder in ("submission", "logs"):
        (run / folder).mkdir(parents=True, exist_ok=True)
    replace_file(run / "submission" / "stage.yaml", dump_yaml(stage.with_seed(seed)).encode())
    replace_file(run / GATES_FILE, dump_yaml(stage.gates).encode())
    image = {**asdict(frozen.image), "path": str(frozen.image.path)} if frozen.image else None
    notes = {
        "submitted": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "version": __version__,
        "code_sha256": frozen.code_sha256,
        "image": image,
        "campaign": campaign.name,
    }
    replace_file(run / SUBMISSION_FILE, json.dumps(notes, indent=1).encode())


def check_whole(directory: CampaignDirectory, runs: Iterable[tuple[str, int]]) -> None:
    """Raise BadInput where the frozen code is not what the runs were submitted with: a `resume` was cut off."""
    digest = code_digest(directory.submission / "code" / PACKAGE.name)
    for name, seed in runs:
        if read_notes(directory.run(name, seed)).get("code_sha256") != digest:
            raise BadInput(f"{directory.submission}: not whole, a `campaign resume` was cut off; give it again")


def local_lock(directory: CampaignDirectory) -> Path:
    """Held by the processes that run the chain without Slurm."""
    return directory.submission / "lock.local"


def clear_attempts(run: Path) -> None:
    """Forget what ended a run's earlier jobs, before it is queued again by its user."""
    of_scripts = ("submission/outcome", "submission/attempts", "submission/bad_nodes")
    for name in (JOBS_FILE, GAVE_UP_FILE, CANCELLED_FILE, *of_scripts):
        (run / name).unlink(missing_ok=True)


def note_jobs(run: Path, jobs: Iterable[str]) -> None:
    """Note that a run was queued."""
    with (run / JOBS_FILE).open("a", encoding="utf-8") as file:
        file.write(" ".join([str(furthest_step(run)), *jobs]) + "\n")


def noted_jobs(run: Path) -> list[str]:
    """The ids of all jobs that a run was queued as since its user last submitted it, the oldest first."""
    path = run / JOBS_FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    in_campaign = [job for line in lines for job in line.split()[1:]]
    return in_campaign or list(read_notes(run).get("jobs", []))
