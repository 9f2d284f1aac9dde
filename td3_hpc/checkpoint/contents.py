"""What lies in a run's state and replay folders, read and judged by nothing yet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from td3_hpc.checkpoint import listing
from td3_hpc.checkpoint.epochs import Epochs, epoch_of, read_epochs
from td3_hpc.checkpoint.errors import CheckpointDamaged
from td3_hpc.checkpoint.manifest import Manifest, read_manifest, read_manifest_of_any_name
from td3_hpc.checkpoint_names import DROPPED, REPLAY_DIR, SET_ASIDE_DIR, STATE_DIR, is_half_written, order_of, save_of

Save = tuple[int, int]
"""Epoch and number."""


@dataclass
class Contents:
    """The files of a run that matter to its checkpoints."""

    run_dir: Path
    epochs: Epochs
    listed: frozenset[str] = frozenset()
    """Names that the listing of the state folder shows."""
    manifests: list[Manifest] = field(default_factory=list)
    """The readable ones under their own names, the newest first."""
    unreadable: dict[Path, str] = field(default_factory=dict)
    """Files under a manifest's name that hold none, and why not."""
    renamed: dict[Path, Manifest] = field(default_factory=dict)
    """Manifests under another name than their own."""
    dropped: dict[Path, Manifest] = field(default_factory=dict)
    """Manifests that retention has dropped and was killed before it had removed their files."""
    aside: list[Manifest] = field(default_factory=list)
    """The readable ones that were set aside."""
    aside_unreadable: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    """State files, segments and half-written files."""

    @property
    def listing_lags(self) -> bool:
        """Whether there are manifests that the listing does not show: then there may be more, and what they need."""
        return any(manifest.name not in self.listed for manifest in self.manifests)

    @property
    def highest_epoch(self) -> int:
        """The highest epoch that any name tells of; a new attempt's must be higher, lest it writes over files."""
        paths = [*self.files, *self.unreadable, *map(self.path, self.manifests), *map(self.path, self.aside)]
        return max([self.epochs.highest, *(save[0] for path in paths if (save := save_of(path)))])

    def path(self, manifest: Manifest) -> Path:
        """Of a manifest under its own name."""
        return self.run_dir / STATE_DIR / manifest.name

    @cached_property
    def needed(self) -> set[Path]:
        """The files that any manifest names, set aside or not."""
        return self.files_of([*self.manifests, *self.renamed.values(), *self.aside])

    def files_of(self, manifests: Iterable[Manifest]) -> set[Path]:
        """The files that some manifests name."""
        return {self.run_dir / path for path in {file.path for manifest in manifests for file in manifest.files()}}

    def orphans(self) -> list[tuple[Path, Save]]:
        """Files of saves that no manifest here needs or, being unreadable, might need."""
        unreadable = [save for path in (*self.unreadable, *self.aside_unreadable) if (save := save_of(path))]
        return [
            (path, save)
            for path in self.files
            if (save := save_of(path)) and path not in self.needed and not any(save <= other for other in unreadable)
            if path.exists()  # a listing may still show it
        ]

    def is_rubbish(self, path: Path, save: Save) -> bool:
        """Whether an orphan is what a killed save or pruning left: half written, never durable, or dropped."""
        claim = self.epochs.claims.get(save[0])
        if is_half_written(path) or path in self.files_of(self.dropped.values()):
            return True
        if claim is None or not claim.tells_saved:
            return False
        saved = save_of(Path(claim.saved)) if claim.saved else None
        return save[1] > (saved[1] if saved else 0)


def read_contents(run_dir: Path) -> Contents:
    """Read them. Raises OSError where a folder cannot be read."""
    state_dir = run_dir / STATE_DIR
    listed = listing.names(state_dir)
    found = Contents(run_dir, read_epochs(state_dir), frozenset(listed))
    names = {name for name in listed if order_of(Path(name))}
    names |= {f"{name.removesuffix('.h5')}.json" for name in listed if name.endswith(".h5") and save_of(Path(name))}
    for claim in found.epochs.claims.values():
        names |= {name for name in (claim.saved, claim.resumed_from) if name and order_of(Path(name))}
    aside = [path for path in listing.paths(state_dir / SET_ASIDE_DIR) if order_of(path)]
    _read_manifests(found, names | {path.name for path in aside})
    for name in listed:
        path = state_dir / name
        if not order_of(path) and not save_of(path) and epoch_of(name) is None and not name.startswith(".claim-"):
            _note_renamed(path, found.dropped if name.endswith(DROPPED) else found.renamed)
    for path in aside:
        if path.exists():
            try:
                found.aside.append(read_manifest(path))
            except CheckpointDamaged:
                found.aside_unreadable.append(path)
    found.files = [
        path
        for path in listing.paths(state_dir, run_dir / REPLAY_DIR)
        if save_of(path) and (path.suffix == ".h5" or is_half_written(path))
    ]
    return found


def _read_manifests(found: Contents, names: Iterable[str]) -> None:
    """Read them by name, and those that they continue: a listing may not show them yet."""
    waiting, seen = set(names), set[str]()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        path = found.run_dir / STATE_DIR / name
        if not path.exists():  # a listing may still show it
            continue
        try:
            manifest = read_manifest(path)
        except CheckpointDamaged as error:
            if not _note_renamed(path, found.renamed):
                found.unreadable[path] = str(error)
            continue
        found.manifests.append(manifest)
        waiting |= {parent for parent in manifest.line or () if order_of(Path(parent))} - seen
    found.manifests.sort(key=lambda manifest: manifest.order, reverse=True)


def _note_renamed(path: Path, among: dict[Path, Manifest]) -> bool:
    if not path.is_file():
        return False
    try:
        among[path] = read_manifest_of_any_name(path)
    except CheckpointDamaged:
        return False
    return True


def in_order(found: Contents, manifests: Iterable[Manifest]) -> Iterator[Manifest | Path]:
    """Manifests and the unreadable ones, the newest first by their names."""
    entries: list[tuple[tuple[int, int, int], Manifest | Path]] = [(one.order, one) for one in manifests]
    entries += [(order, path) for path in found.unreadable if (order := order_of(path))]
    yield from (entry for _, entry in sorted(entries, key=lambda entry: entry[0], reverse=True))
