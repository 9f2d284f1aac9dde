"""The folder where this user's downloads and reference drives are kept between runs."""

import os
from pathlib import Path


def user_cache() -> Path:
    """`$XDG_CACHE_HOME/td3-hpc`, by the XDG base directory specification: `~/.cache` where that is unset or empty."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "td3-hpc"
