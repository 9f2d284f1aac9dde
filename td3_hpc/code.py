"""Which code: digests of files and of this package."""

import hashlib
from pathlib import Path

PACKAGE = Path(__file__).parent


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
