"""Files that come with the program and are no code: configurations, container definitions, examples.

They lie in a checkout where git has them, and beside an installed package in `share/td3-hpc`, where its wheel puts them
(pyproject.toml's data files).
"""

import shutil
import sys
from pathlib import Path
from typing import Literal

from td3_hpc.code import PACKAGE
from td3_hpc.errors import BadInput

#: What there is. A wheel can be made of it and the package.
CONTENTS = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "NOTICE",
    "constraints.txt",
    "configs",
    "containers",
    "examples",
    "slurm",
)
#: Profiles of known sites, from their public pages: what is personal is asked for by name.
SITES = PACKAGE / "launch" / "sites"
#: What may lie in these folders, and is no part of them: earlier images, for one.
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.sif*", ".*.sif*")
Kind = Literal["stage", "campaign", "suite"]


def shipped(name: str, package: Path = PACKAGE) -> Path:
    """The file or folder of a name such as `configs/stages`; raises BadInput where the installation lacks it."""
    beside = [above / "share" / "td3-hpc" for above in package.parents]
    for folder in (package.parent, *beside, Path(sys.prefix) / "share" / "td3-hpc"):
        if (folder / "constraints.txt").is_file() and (folder / name).exists():
            return folder / name
    raise BadInput(f"{package}: {name} is not beside it; install td3-hpc again, from its wheel")


def site_names() -> list[str]:
    """The known sites, in the order of their names."""
    return sorted(path.stem for path in SITES.glob("*.yaml"))


def copy_source(folder: Path) -> None:
    """Copy the package and what is shipped with it into a folder, which pip makes a wheel of. Raises BadInput."""
    for path in (PACKAGE, *map(shipped, CONTENTS)):
        if path.is_dir():
            shutil.copytree(path, folder / path.name, ignore=LEFT_OUT)
        else:
            shutil.copy(path, folder)


def is_installed(path: Path) -> bool:
    """Whether a file is the installation's, which nobody edits: not one of a checkout."""
    root = shipped("configs").parent
    return root != PACKAGE.parent and path.resolve().is_relative_to(root.resolve())


def find_configuration(given: Path, kind: Kind) -> tuple[Path, str]:
    """The file that is meant, and a word on it where only a name was given, such as `1k`.

    A file of that name in this folder comes first, then one in its configs/, then the shipped one. What looks like a
    path is returned as it is given. Raises BadInput for a name of nothing.
    """
    if len(given.parts) != 1 or given.suffix in (".yaml", ".yml") or given.is_dir():
        return given, ""
    name, folder = str(given), f"configs/{kind}s"
    ours = shipped(folder) / f"{name}.yaml"
    for own in (given, Path(f"{name}.yaml"), Path(folder) / f"{name}.yaml"):
        if own.is_file():
            also = ours.is_file() and not ours.samefile(own)
            return own, f"{kind} {name}: {own}" + (", not the shipped one" if also else "")
    if ours.is_file():
        return ours, f"{kind} {name}: as shipped, {ours}"
    names = ", ".join(sorted(path.stem for path in ours.parent.glob("*.yaml")))
    raise BadInput(f"{name}: no such file, and no {kind} of that name is shipped; there are {names}")
