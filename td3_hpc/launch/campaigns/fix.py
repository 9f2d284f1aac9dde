"""`campaign fix`: the remedy of a NO-GO verdict is shown, put into the campaign's file, and the campaign resumed."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from td3_hpc.campaign.remedy import CorrectedFile, Remedy, corrected, find_remedy, listed
from td3_hpc.code import PACKAGE
from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput, ExitCode
from td3_hpc.launch.campaigns.chain import Log, Place
from td3_hpc.launch.campaigns.resume import Review, begun, carry_out, review
from td3_hpc.shipped import is_installed


@dataclass(frozen=True)
class Prepared:
    """A remedy that can be applied; nothing is changed yet."""

    path: Path
    before: bytes
    """What stands in the campaign's file now."""
    remedy: Remedy
    corrected: CorrectedFile
    here: Place
    """With the corrected campaign."""
    review: Review

    def explanation(self) -> Iterator[str]:
        """What was missed, what changes, and what becomes of the runs there are; a line each."""
        remedy = self.remedy
        yield f"stage {remedy.stage}, seed {remedy.seed}, is NO-GO ({remedy.verdict.written}):"
        for gate in remedy.verdict.missed("blocking"):
            yield f"  {gate.title}: {gate.achieved}, where {gate.target} was asked for"
            yield f"    remedy: {listed(gate.change) or gate.remedy or 'see the report'}"
        yield from (f"  {conflict}" for conflict in remedy.conflicts)
        names = str(self.path), str(self.path)
        old, new = self.before.decode().splitlines(), self.corrected.text.splitlines()
        yield from difflib.unified_diff(old, new, *names, lineterm="")
        for stage, seed in begun(self.here, self.review.anew):
            yield f"stage {stage}, seed {seed}, begins again; the run there is goes to {stage}/set-aside"
        for stage, seed in self.review.judged_again:
            yield f"stage {stage}, seed {seed}, keeps its steps and is judged again"


def prepare(
    here: Place, path: Path, stage: str | None, seed: int | None, accept_verdicts: bool, package: Path = PACKAGE
) -> Prepared:
    """The remedy of the newest NO-GO verdict (of a stage, of a seed), checked like a `resume`; changes nothing.

    path: the campaign's file. Raises BadInput where there is no such verdict, it suggests no change, the file has it
    already or cannot take it, or the campaign cannot be resumed.
    """
    if is_installed(path):
        raise BadInput(
            f"{path}: is shipped, and not to be edited; copy it into configs/campaigns, as `td3-hpc init .` does"
        )
    remedy = find_remedy(here.directory, stage, seed)
    before = path.read_bytes()
    result = corrected(path, before.decode(), remedy)
    there = replace(here, campaign=result.campaign)
    return Prepared(path, before, remedy, result, there, review(there, accept_verdicts, package, again=remedy.stage))


def apply(prepared: Prepared, log: Log, package: Path = PACKAGE) -> ExitCode:
    """Write the campaign's file and resume; raises BadInput, with nothing changed, where it cannot be written."""
    path, directory, remedy = prepared.path, prepared.here.directory, prepared.remedy
    try:
        if path.read_bytes() != prepared.before:
            raise BadInput(f"{path}: was changed meanwhile; give `td3-hpc campaign fix` again")
        replace_file(path.resolve(), prepared.corrected.text.encode())
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror}); nothing was changed") from None
    directory.note("fixed", stage=remedy.stage, seed=remedy.seed, change=dict(remedy.change))
    log(f"{path}: corrected")
    return carry_out(prepared.here, prepared.review, log, package)
