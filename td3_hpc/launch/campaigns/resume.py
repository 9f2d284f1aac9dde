"""`campaign resume`: go on after a correction, with passed stages left as they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from td3_hpc.campaign.admission import Admissions, verdict_digest
from td3_hpc.campaign.plan import Stage
from td3_hpc.code import PACKAGE
from td3_hpc.config import CONFIG_FILE
from td3_hpc.config.changes import CHANGEABLE, changes
from td3_hpc.errors import BadInput, ExitCode
from td3_hpc.gates.verdict import VERDICT_FILE, Verdict, read_verdict
from td3_hpc.launch.campaigns.chain import (
    Log,
    Place,
    live_jobs,
    note_origin,
    require_ready,
    require_slurm,
    stage_differences,
    start,
    without_verdict,
)
from td3_hpc.launch.jobs.campaign_files import freeze_campaign
from td3_hpc.launch.jobs.freeze import Frozen, identify
from td3_hpc.submission_folder import SubmissionFolder

Run = tuple[str, int]
"""Stage and seed."""


@dataclass
class Review:
    """What a correction means for the runs there are."""

    frozen: Frozen
    """What the jobs would run now."""
    mistakes: list[str] = field(default_factory=list)
    accepted: dict[Run, list[str]] = field(default_factory=dict)
    """Passed runs whose verdict was earned on something else, and on what."""
    anew: list[Run] = field(default_factory=list)
    """Runs to begin again: the correction makes them other runs."""
    judged_again: list[Run] = field(default_factory=list)
    """NO-GO runs that keep their steps."""
    unchanged: list[Run] = field(default_factory=list)
    """NO-GO runs that the correction does not touch."""


def resume(here: Place, accept_verdicts: bool, log: Log, package: Path = PACKAGE) -> ExitCode:
    """Take the corrected campaign file, code, image and profile over, and continue. Raises BadInput, nothing changed.

    Passed runs stay, and must be as they were; where code or image are others, only with `accept_verdicts`, which the
    ledger records. A NO-GO run begins again, its old form set aside, unless the correction leaves its steps valid: then
    it goes on or is judged again. An unfinished run goes on.
    """
    return carry_out(here, review(here, accept_verdicts, package), log, package)


def review(here: Place, accept_verdicts: bool, package: Path = PACKAGE, again: str | None = None) -> Review:
    """What `resume` would do, and nothing done; raises BadInput as it does.

    again: a stage of which passed runs, too, begin again where their configuration has changed.
    """
    directory = here.directory
    require_slurm(here)
    live = live_jobs(here)
    if live:
        raise BadInput(f"{directory.root}: has jobs ({', '.join(job.id for job in live)}); cancel the campaign first")
    found = _compare(here, identify(here.profile, package), again)
    if found.accepted and not accept_verdicts:
        for (stage, seed), what in found.accepted.items():
            found.mistakes.append(
                f"stage {stage}, seed {seed}, passed with {' and '.join(what)}: its verdict admits nothing now. Give "
                "--accept-verdicts to let it count (the ledger records that), or give another name to the campaign to "
                "earn it again"
            )
    outcome = Admissions(directory, here.campaign).outcome()
    if outcome.decision == "no-go" and not (found.anew or found.judged_again or found.mistakes or found.accepted):
        found.mistakes.append(
            f"{outcome.reason.rstrip('.')}. Nothing of that has changed; its report names the change to make"
        )
    if found.mistakes:
        raise BadInput("\n".join(f"{directory.root}: {mistake}" for mistake in found.mistakes))
    require_ready(here, found.anew)
    return found


def carry_out(here: Place, review: Review, log: Log, package: Path = PACKAGE) -> ExitCode:
    """Take over what was reviewed, and continue."""
    _apply(here, review, log, package)
    return start(here, log)


def begun(here: Place, runs: Iterable[Run]) -> list[Run]:
    """Those of the runs that have begun: only they have something to set aside."""
    return [run for run in runs if (here.directory.run(*run) / CONFIG_FILE).exists()]


def _compare(here: Place, frozen: Frozen, again: str | None) -> Review:
    review, old = Review(frozen), here.directory.campaign()
    before = {stage.name: (index, stage) for index, stage in enumerate(old.stages)}
    for index, stage in enumerate(here.campaign.stages):
        for seed in here.campaign.seeds:
            run = here.directory.run(stage.name, seed)
            if stage.name not in before or not SubmissionFolder(run).path.is_dir():
                continue
            old_index, old_stage = before[stage.name]
            verdict = _verdict(run)
            what = stage_differences(old_stage, stage)
            if verdict is not None and verdict.verdict == "GO":
                lasting = [change for change in what if change != "gates"]  # a passed run is not judged again
                if index != old_index:
                    lasting.append("its place in the campaign")
                if stage.name == again and changes(old_stage.config, stage.config, CHANGEABLE):
                    review.anew.append((stage.name, seed))
                elif lasting:
                    review.mistakes.append(
                        f"stage {stage.name} has passed, and differs now: {'; '.join(lasting)}. Undo it, or give "
                        "another name to the campaign"
                    )
                elif earned_on := _other_origin(verdict, frozen):
                    review.accepted[stage.name, seed] = earned_on
                continue
            changed = changes(old_stage.config, stage.config, CHANGEABLE)
            shorter = stage.config.training.total_steps < old_stage.config.training.total_steps
            other_origin = verdict is not None and _other_origin(verdict, frozen)
            other_start = stage.continues and _others(old.stages[:old_index], here.campaign.stages[:index])
            if changed or shorter or "start" in what or other_origin or other_start:
                review.anew.append((stage.name, seed))
            elif verdict is not None and what:
                review.judged_again.append((stage.name, seed))
            elif verdict is not None:
                review.unchanged.append((stage.name, seed))
    return review


def _others(before: Sequence[Stage], now: Sequence[Stage]) -> bool:
    """Whether the last of these, from whose checkpoint the next stage goes on, is another one."""
    if not before or not now:
        return bool(before) != bool(now)
    return before[-1].name != now[-1].name or bool(changes(before[-1].config, now[-1].config, CHANGEABLE))


def _verdict(run: Path) -> Verdict | None:
    try:
        return read_verdict(run)
    except BadInput:
        return None


def _other_origin(verdict: Verdict, frozen: Frozen) -> list[str]:
    found = []
    if verdict.bound_to.code_sha256 != frozen.code_sha256:
        found.append(f"other code ({verdict.bound_to.code_sha256[:12]}, now {frozen.code_sha256[:12]})")
    if verdict.bound_to.image_sha256 != frozen.image_sha256:
        found.append("another container image")
    return found


def _apply(here: Place, review: Review, log: Log, package: Path) -> None:
    directory, frozen = here.directory, review.frozen
    for stage, seed in begun(here, review.anew):
        aside = directory.set_aside(directory.run(stage, seed))
        log(f"stage {stage}, seed {seed}, begins again; its earlier form is {aside}")
    for stage, seed in review.judged_again:
        directory.set_aside(directory.run(stage, seed), VERDICT_FILE)
        log(f"stage {stage}, seed {seed}, keeps its steps and is judged again")
    for stage, seed in review.accepted:
        run = directory.run(stage, seed)
        digest = verdict_digest(run)
        earned = {"stage": stage, "seed": seed, "verdict_sha256": digest, "now_code_sha256": frozen.code_sha256}
        directory.note("accepted", **earned, now_image_sha256=frozen.image_sha256)
        log(f"stage {stage}, seed {seed}: its verdict is accepted for the present code and image")
    freeze_campaign(directory, here.campaign, frozen, without_verdict(here), package)
    note_origin(here, "resumed", frozen)
