"""What a job runs is fixed when it is submitted: configuration, code and image. Later edits change nothing in it."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from td3_hpc import __version__
from td3_hpc.code import PACKAGE, code_digest, file_digest
from td3_hpc.config import StageConfig, dump_yaml
from td3_hpc.config.cluster import ClusterConfig
from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput
from td3_hpc.submission_folder import SubmissionFolder

NOT_CODE = shutil.ignore_patterns("__pycache__", "*.pyc")


@dataclass(frozen=True)
class FrozenImage:
    """A container image as it was at submission."""

    path: Path
    stamp: str
    """Size in bytes and time of change in seconds, as `stat -c '%s %Y'` prints them."""
    sha256: str


@dataclass(frozen=True)
class Frozen:
    """What jobs run."""

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


def freeze_image(path: Path) -> FrozenImage:
    """Note an image's identity; raises BadInput where there is none. Reads it whole: about 2 s a gigabyte."""
    try:
        digest = file_digest(path)
        stat = path.stat()
    except OSError as error:
        raise BadInput(
            f"{path}: the container image cannot be read ({error.strerror}); "
            "build it with `td3-hpc container build`, or correct container.image in the profile"
        ) from None
    return FrozenImage(path.resolve(), f"{stat.st_size} {int(stat.st_mtime)}", digest)


def freeze(
    owner: Path,
    frozen: Frozen,
    scripts: Mapping[str, str],
    runs: Mapping[Path, StageConfig],
    package: Path = PACKAGE,
    **notes: Any,
) -> None:
    """Write what the jobs of runs need: into the owner's folder (a run's own, or their campaign's) code, profile and
    scripts by their names, into each run's its configuration, and `notes` beside what it runs. Raises OSError.
    """
    folder = SubmissionFolder(owner)
    folder.path.mkdir(parents=True, exist_ok=True)
    code_sha256 = freeze_code(package, folder.code)
    replace_file(folder.profile, dump_yaml(frozen.profile).encode())
    for name, script in scripts.items():
        replace_file(folder.script(name), script.encode())
    origin = {
        "submitted": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "version": __version__,
        "code_sha256": code_sha256,
        "image": {**asdict(frozen.image), "path": str(frozen.image.path)} if frozen.image else None,
    }
    for run, stage in runs.items():
        (run / "logs").mkdir(parents=True, exist_ok=True)
        of_run = SubmissionFolder(run)
        of_run.path.mkdir(exist_ok=True)
        replace_file(of_run.stage, dump_yaml(stage).encode())
        of_run.write_notes({**origin, **notes})


def freeze_code(package: Path, target: Path) -> str:
    """Copy a package's folder into target, in place of what is there; returns its digest."""
    if target.exists():
        _make_writable(target)  # also of versions that did not
        shutil.rmtree(target)
    shutil.copytree(package, target / package.name, ignore=NOT_CODE)
    _make_writable(target)  # the package may be installed read-only
    return code_digest(target / package.name)


def _make_writable(folder: Path) -> None:
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())):
        place.chmod(place.stat().st_mode | 0o700)
