"""Secrets: named by `env:NAME` or `file:PATH`, and read where they are used; redacted in copies where written out."""

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from td3_hpc.errors import BadInput

REDACTED = "<redacted>"
"""What stands in a copy of the configuration in place of a secret that was written out."""

_VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_FILE = re.compile(r"file:((?:~/|/(?!/)).+)")  # file:///x is a URL
_PIECE = re.compile(r"[^\s/?&=:;'\"]{8,}")


def is_reference(value: str) -> bool:
    """Whether a value only names its secret."""
    return bool(_VARIABLE.fullmatch(value) or _FILE.fullmatch(value))


def redacted(value: str | None) -> str | None:
    """A value as a copy of the configuration may hold it."""
    return value if value is None or is_reference(value) else REDACTED


def source(value: str) -> tuple[Literal["env", "file"], str]:
    """What a reference names: a variable, or a file with ~ as it was written."""
    variable, path = _VARIABLE.fullmatch(value), _FILE.fullmatch(value)
    if variable:
        return "env", variable[1]
    assert path is not None, "no reference"
    return "file", path[1]


def read_secret(key: str, value: str) -> str:
    """The secret that the value of a key is or names, without white space around it.

    Raises BadInput, which never holds the secret, for a variable that is not set, and for a file that is missing, empty
    or not its owner's alone.
    """
    if not is_reference(value):
        return value
    kind, name = source(value)
    secret = os.environ.get(name, "") if kind == "env" else _read_private(key, Path(name).expanduser())
    if not secret.strip():
        what = f"the environment variable {name} is not set here" if kind == "env" else f"{name} is empty"
        raise BadInput(f"{key}: {what}; it is to hold the secret")
    return secret.strip()


def _read_private(key: str, path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise BadInput(f"{key}: {path} can be used by others (mode {mode:04o}); chmod 600 {path}")
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8"
        raise BadInput(f"{key}: {path} cannot be read ({reason.lower()})") from None


def hide(text: str, secrets: Iterable[str]) -> str:
    """A text with secrets, and their pieces of 8 characters and more, such as a token in a path, redacted."""
    for secret in secrets:
        for piece in (secret, *_PIECE.findall(secret)):
            text = text.replace(piece, REDACTED)
    return text
