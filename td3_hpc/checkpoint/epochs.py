"""Epoch files: which attempt may write. They fence; they say nothing of which checkpoints may be deleted.

Each carries a checksum, its own number and the run's identity, so that a copy under another name, a cut one or another
run's is known for what it is. Those of earlier versions have none of these and are taken at their word.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from td3_hpc.checkpoint import listing
from td3_hpc.checkpoint.sealed_json import unseal
from td3_hpc.durable import insist, is_answer

_NAME = re.compile(r"^epoch-(\d{4,})\.json$")
_PROBED = 1000
"""Files of the first so many epochs are looked for by name, whatever the listing says."""


@dataclass(frozen=True)
class Claim:
    """An attempt's claim of the run."""

    epoch: int
    content: Mapping[str, Any]

    @property
    def run(self) -> str:
        """Identity of the run; empty where an earlier version wrote it."""
        return str(self.content.get("run") or "")

    @property
    def resumed_from(self) -> str | None:
        """Name of the manifest that the attempt continues; None for a run's beginning."""
        return str(self.content["resumed_from"]) if self.content.get("resumed_from") else None

    @property
    def saved(self) -> str | None:
        """Name of the newest manifest that the attempt has made durable, None for none yet."""
        return str(self.content["saved"]) if self.content.get("saved") else None

    @property
    def tells_saved(self) -> bool:
        """Whether `saved` is known: earlier versions did not note it."""
        return "saved" in self.content


@dataclass
class Epochs:
    """What the epoch files of a run say."""

    claims: dict[int, Claim] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)
    """Number in the name -> what is wrong, with the file's name."""
    not_claims: dict[int, str] = field(default_factory=dict)
    """Copies under another name, and other runs' files."""

    @property
    def highest(self) -> int:
        """The highest number in a name, whatever the file is worth; 0 for none."""
        return max([0, *self.claims, *self.unreadable, *self.not_claims])

    @property
    def newest(self) -> Claim | None:
        """The claim of the highest number."""
        return self.claims[max(self.claims)] if self.claims else None

    def disown(self, run: str) -> None:
        """Count the claims of other runs for nothing."""
        for epoch, claim in list(self.claims.items()):
            if claim.run and run and claim.run != run:
                del self.claims[epoch]
                self.not_claims[epoch] = f"{epoch_name(epoch)} is of another run, {claim.run[:8]}"


def epoch_name(epoch: int) -> str:
    """Name of an epoch's file."""
    return f"epoch-{epoch:04}.json"


def epoch_of(name: str) -> int | None:
    """Number in an epoch file's name; None for another file."""
    match = _NAME.match(name)
    return int(match.group(1)) if match else None


def read_epochs(directory: Path) -> Epochs:
    """All epoch files of a state folder. Raises OSError where the file system does not give them."""
    found = Epochs()
    for epoch in _numbers(directory, 1):
        _read(directory, epoch, found)
    return found


def read_epochs_from(directory: Path, first: int) -> Epochs:
    """The epoch files numbered `first` or higher, by name where the listing lags."""
    found = Epochs()
    for epoch in _numbers(directory, first):
        _read(directory, epoch, found)
    return found


def _numbers(directory: Path, first: int) -> Iterator[int]:
    listed = {epoch for name in listing.names(directory) if (epoch := epoch_of(name)) and epoch >= first}
    probed = set(range(first, min(max(listed, default=0), first + _PROBED)))
    yield from sorted(listed | probed)
    after = max(listed, default=first - 1) + 1
    while (directory / epoch_name(after)).exists():
        yield after
        after += 1


def _read(directory: Path, epoch: int, found: Epochs) -> None:
    path = directory / epoch_name(epoch)
    try:
        raw = insist(path.read_bytes)
    except FileNotFoundError:
        return
    except OSError as error:
        if not is_answer(error):
            raise
        found.unreadable[epoch] = f"{path.name} cannot be read ({error.strerror})"
        return
    try:
        content = unseal(raw) if b'"checksum"' in raw else json.loads(raw)
        if not isinstance(content, dict) or "pid" not in content:
            raise ValueError("not an epoch file")
    except (ValueError, RecursionError) as error:
        found.unreadable[epoch] = f"{path.name} is damaged ({error})"
        return
    if content.get("epoch", epoch) != epoch:
        found.not_claims[epoch] = f"{path.name} is a copy of {epoch_name(int(content['epoch']))}, not a claim"
    else:
        found.claims[epoch] = Claim(epoch, content)
