"""Which code: digests of files and of this package; running it in another process."""

import hashlib
import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent


def run_module(name: str) -> list[str]:
    """The command that runs a module of this package in another process.

    What lies in the current folder, as a script named carla.py, takes no module's place, unless this package itself is
    there (`-P`; Python 3.10 has no such option).
    """
    here = os.path.isdir(PACKAGE.name) and os.path.samefile(PACKAGE.name, PACKAGE)
    safe = ["-P"] if sys.version_info >= (3, 11) and not here else []
    return [sys.executable, *safe, "-m", name]


def code_digest(package: Path = PACKAGE) -> str:
    """SHA-256 over the names and contents of a package's files, compiled ones left out."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(package)}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file; raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
