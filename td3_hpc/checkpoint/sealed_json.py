"""Small JSON files that carry their own checksum."""

import json
from collections.abc import Mapping
from typing import Any

from td3_hpc.checkpoint.hdf5_file import checksum


def seal(body: Mapping[str, Any]) -> bytes:
    """The file's content: the body with its checksum as a last entry."""
    return json.dumps({**body, "checksum": checksum(_canonical(body))}, indent=1).encode()


def unseal(content: bytes) -> dict[str, Any]:
    """The body. Raises ValueError where the checksum does not fit, or the content is none of this kind."""
    try:
        body = json.loads(content)
        stated = body.pop("checksum")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    if not isinstance(body, dict) or checksum(_canonical(body)) != stated:
        raise ValueError("its checksum does not fit")
    return body


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
