"""The one place that lists a run directory's folders.

On a shared file system a listing may lag: a new file is not in it yet, a removed one still is. So whoever can know a
file's name opens it by its name, and a listed file that cannot be opened is not there.
"""

import os
from pathlib import Path


def names(directory: Path) -> list[str]:
    """Names in a folder, sorted; empty where there is no folder. Raises OSError where it cannot be read."""
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def paths(*directories: Path) -> list[Path]:
    """What lies in some folders."""
    return [directory / name for directory in directories for name in names(directory)]
