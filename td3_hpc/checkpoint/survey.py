"""Which checkpoint a run continues from, or why it must not go on by itself.

The checkpoints decide, not the epoch files: the newest is the whole one of the highest epoch, step and save. A run
never begins anew where there is a whole checkpoint, or a sign that there was one; it refuses, and the user decides.
Nothing here writes.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from td3_hpc.checkpoint.contents import Contents, in_order, read_contents
from td3_hpc.checkpoint.errors import CheckpointDamaged, NotContinued
from td3_hpc.checkpoint.lineage import Line, line_of
from td3_hpc.checkpoint.manifest import Manifest, problems
from td3_hpc.checkpoint_names import order_of, save_of


class Verified:
    """What verification found, remembered: a checkpoint may be gigabytes."""

    def __init__(self, run_dir: Path, checksums: bool = True) -> None:
        """Without `checksums`, a file of the right size counts as whole."""
        self._run_dir = run_dir
        self._checksums = checksums
        self._faults: dict[bytes, list[str]] = {}

    def faults(self, manifest: Manifest) -> list[str]:
        """What is wrong with the files of a checkpoint; empty: it is whole."""
        key = manifest.to_json()
        if key not in self._faults:
            self._faults[key] = list(problems(self._run_dir, manifest, self._checksums))
        return self._faults[key]

    def newest(self, manifests: Iterable[Manifest]) -> Manifest | None:
        """The first whole one."""
        return next((manifest for manifest in manifests if not self.faults(manifest)), None)


@dataclass
class Survey:
    """What a run continues from, and what does not count."""

    contents: Contents
    run: str
    """Its identity; empty where nothing tells it yet."""
    newest: Manifest | None = None
    line: tuple[str, ...] = ()
    """The manifests that an attempt which continues from `newest` has resumed from, that one included."""
    broken: list[Path] = field(default_factory=list)
    """Manifests that do not verify, or are of another run."""
    others: list[Manifest] = field(default_factory=list)
    """Of another line: of an attempt that had been taken over."""
    messages: list[str] = field(default_factory=list)


def survey(run_dir: Path, verified: Verified, before: int | None = None) -> Survey:
    """Look at a run, as it was before the claim of an epoch where one is given.

    Raises CheckpointDamaged where there are checkpoints and none verifies, NotContinued where the user must decide,
    CheckpointUnreadable and OSError where the file system does not say.
    """
    contents = read_contents(run_dir)
    epochs = contents.epochs
    if before is not None:
        epochs.claims = {epoch: claim for epoch, claim in epochs.claims.items() if epoch < before}
    found = Survey(contents, _identity(contents, verified))
    epochs.disown(found.run)
    found.messages += [
        f"{what}; it does not count" for what in (*epochs.unreadable.values(), *epochs.not_claims.values())
    ]
    own = [manifest for manifest in contents.manifests if manifest.run in ("", found.run)]
    _find_newest(found, own, verified)
    _refuse_renamed(found, verified)
    if found.newest is None:
        _refuse_lost(found)
        return found
    line = line_of(found.newest, own, epochs.claims)
    found.line = (*line.parents, found.newest.name)
    found.others = [
        manifest for manifest in own if not line.holds(manifest.order) and contents.path(manifest) not in found.broken
    ]
    _refuse_begun_anew(found, line, own, verified)
    _refuse_incomplete(found)
    return found


def _identity(contents: Contents, verified: Verified) -> str:
    """The run's identity. Raises NotContinued where there are whole checkpoints of two runs."""
    runs = {manifest.run for manifest in contents.manifests if manifest.run}
    if len(runs) > 1:
        whole = {run: verified.newest(m for m in contents.manifests if m.run == run) for run in runs}
        heads = [head for head in whole.values() if head is not None]
        if len(heads) > 1:
            raise _refusal(contents.run_dir, "holds checkpoints of several runs", heads)
        runs = {head.run for head in heads} or runs
    if not runs:
        runs = {claim.run for _, claim in sorted(contents.epochs.claims.items())[:1] if claim.run}
    return min(runs, default="")


def _find_newest(found: Survey, own: list[Manifest], verified: Verified) -> None:
    """The newest that verifies; those that do not, and those of another run, are broken."""
    contents = found.contents
    reasons: list[str] = []
    for manifest in contents.manifests:
        if manifest not in own:
            found.broken.append(contents.path(manifest))
            reasons.append(f"checkpoint {manifest.name} is set aside: it is of another run, {manifest.run[:8]}")
    for entry in in_order(contents, own):
        path = entry if isinstance(entry, Path) else contents.path(entry)
        faults = [contents.unreadable[path]] if isinstance(entry, Path) else verified.faults(entry)
        if not faults and isinstance(entry, Manifest):
            found.newest = entry
            break
        _refuse_forbidden(contents, entry)
        found.broken.append(path)
        reasons.append(f"checkpoint {path.name} is set aside: {'; '.join(faults)}")
    if found.broken and found.newest is None:
        raise CheckpointDamaged(
            "\n".join(reasons) + f"\n{contents.run_dir}: no checkpoint verifies; restore its files from a backup, or "
            "move the run directory away to start anew"
        )
    found.messages += reasons


def _refuse_forbidden(contents: Contents, entry: Manifest | Path) -> None:
    """A checkpoint that this user may not read can be whole: it is not set aside."""
    files = [entry] if isinstance(entry, Path) else [contents.run_dir / file.path for file in entry.files()]
    for path in files:
        if path.exists() and not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            raise NotContinued(
                f"{path}: this user may not read it, so it cannot be told whether the checkpoint is whole; let the "
                "file's owner make it readable (chmod), or give another --run-dir"
            )


def _refuse_renamed(found: Survey, verified: Verified) -> None:
    """A manifest under another name, newer than what is left, and whole: somebody has renamed it."""
    contents = found.contents
    for path, manifest in contents.renamed.items():
        if contents.path(manifest).exists() or manifest.run not in ("", found.run):
            found.messages.append(f"{path.name} holds the manifest {manifest.name}; under this name it does not count")
        elif (found.newest is None or manifest.order > found.newest.order) and not verified.faults(manifest):
            raise _refusal(
                contents.run_dir, f"{path.name} is the manifest {manifest.name} under another name", [manifest], path
            )


def _refuse_lost(found: Survey) -> None:
    """No checkpoint: every sign that there was one forbids to begin anew."""
    contents, epochs = found.contents, found.contents.epochs
    anew = max((epoch for epoch, claim in epochs.claims.items() if claim.content.get("anew")), default=0)
    for epoch, claim in sorted(epochs.claims.items(), reverse=True):
        lost = claim.saved or claim.resumed_from
        if lost and epoch >= anew:
            raise _lost(contents.run_dir, f"epoch-{epoch:04}.json tells of {lost}")
    for path, save in contents.orphans():
        claim_of = epochs.claims.get(save[0])
        first_of_old = claim_of is not None and not claim_of.tells_saved and save[1] == 1
        if not contents.is_rubbish(path, save) and not first_of_old and save[0] >= anew:
            raise _lost(contents.run_dir, f"{path.name} is of one")


def _refuse_begun_anew(found: Survey, line: Line, own: list[Manifest], verified: Verified) -> None:
    """An attempt that began from nothing although whole checkpoints of earlier ones lie there."""
    newest, contents = found.newest, found.contents
    assert newest is not None
    epochs = contents.epochs
    claim = epochs.newest
    false = [what for epoch, what in epochs.not_claims.items() if epoch > max([newest.epoch, *epochs.claims])]
    if false:
        raise _refusal(contents.run_dir, false[0], [newest])
    if claim is not None and claim.resumed_from is None and 1 <= newest.epoch < claim.epoch:
        what = f"epoch-{claim.epoch:04}.json claims to begin the run anew, and left no checkpoint"
        raise _refusal(contents.run_dir, what, [newest])
    strangers = [other for other in found.others if line_of(other, own, epochs.claims).root != line.root]
    head = verified.newest(strangers)
    if head is not None:
        raise _refusal(contents.run_dir, f"attempt {line.root} began the run anew", [newest, head])


def _refuse_incomplete(found: Survey) -> None:
    """A checkpoint that the newest attempt knew, or files of a later one, tell that a copy is not complete."""
    newest, contents = found.newest, found.contents
    assert newest is not None
    claim = contents.epochs.newest
    if claim is not None:
        for known in (claim.saved, claim.resumed_from):
            order = order_of(Path(known)) if known else None
            if order and order > newest.order and not (contents.run_dir / "state" / str(known)).exists():
                what = f"epoch-{claim.epoch:04}.json tells of {known}, which is not here: is a copy incomplete?"
                raise _refusal(contents.run_dir, what, [newest])
    last = (max([newest.epoch, *contents.epochs.claims]), 0)
    own_saves = {save_of(path) for path in found.broken}
    for path, save in contents.orphans():
        of_old = claim is not None and not claim.tells_saved and claim.epoch == newest.epoch == save[0]
        if save not in own_saves and (save[0] > last[0] or (of_old and save[1] > newest.number + 1)):
            what = f"{path.name} is of a later checkpoint, whose manifest is not here: is a copy incomplete?"
            raise _refusal(contents.run_dir, what, [newest])


def _refusal(run_dir: Path, what: str, heads: list[Manifest], file: Path | None = None) -> NotContinued:
    names = [f"{head.name} (step {head.step})" for head in heads]
    which = "newest whole checkpoint is" if len(heads) == 1 else "newest whole checkpoints are"
    one = "it" if len(heads) == 1 else "one of them"
    argument = file or run_dir / "state" / heads[0].name
    return NotContinued(
        f"{run_dir}: {what}. The {which} {' and '.join(names)}; to go on from {one}: `td3-hpc checkpoint continue "
        f"{run_dir} {argument}`; to begin anew: another --run-dir"
    )


def _lost(run_dir: Path, what: str) -> NotContinued:
    return NotContinued(
        f"{run_dir}: no checkpoint is here, but {what}: is a copy incomplete? Bring back what is missing in state/ and "
        "replay/; to begin anew: another --run-dir, or `td3-hpc checkpoint set-aside` on this one"
    )
