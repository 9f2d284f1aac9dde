"""What a job runs is fixed when it is submitted: configuration, code and image. Later edits change nothing in it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from td3_hpc.code import code_digest, file_digest
from td3_hpc.errors import BadInput

NOT_CODE = shutil.ignore_patterns("__pycache__", "*.pyc")


@dataclass(frozen=True)
class FrozenImage:
    """A container image as it was at submission."""

    path: Path
    stamp: str
    """Size in bytes and time of change in seconds, as `stat -c '%s %Y'` prints them."""
    sha256: str


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


def freeze_code(package: Path, target: Path) -> str:
    """Copy a package's folder into target, in place of what is there; returns its digest."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(package, target / package.name, ignore=NOT_CODE)
    return code_digest(target / package.name)
