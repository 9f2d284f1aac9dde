"""May a run start? Read from the verdicts of the stages before it, whatever Slurm says of their jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from td3_hpc.campaign.carry_over import carry_over
from td3_hpc.campaign.directory import CampaignDirectory
from td3_hpc.campaign.plan import Campaign
from td3_hpc.code import file_digest
from td3_hpc.config import CONFIG_FILE, load_resolved
from td3_hpc.config.changes import changes
from td3_hpc.errors import BadInput
from td3_hpc.gates.verdict import VERDICT_FILE, Verdict, read_verdict
from td3_hpc.record import RECORD_FILE, AttemptStarted, read_events
from td3_hpc.submission_folder import SubmissionFolder

#: Steps from which on a stage starts only where a resume has been tested: it will be interrupted.
LONG = 100_000
#: So many unfinished runs are named one by one.
LISTED = 3


@dataclass(frozen=True)
class Admission:
    """Whether a run may start, and why."""

    decision: Literal["go", "no-go", "wait", "stuck", "cancelled"]
    """`wait`: runs of the stage before are unfinished. `stuck`: one of them will not finish."""
    reason: str
    waits_for: tuple[tuple[str, int], ...] = field(default=())
    """Stage and seed of the unfinished runs."""

    @property
    def final(self) -> bool:
        """Whether waiting would change nothing."""
        return self.decision in ("no-go", "stuck")


class Admissions:
    """The decisions for one campaign's runs, from its directory as it is now: each file is read once."""

    def __init__(self, directory: CampaignDirectory, campaign: Campaign) -> None:
        self._directory = directory
        self._campaign = campaign
        self._accepted = {
            (event["verdict_sha256"], event["now_code_sha256"], event["now_image_sha256"])
            for event in directory.events()
            if event["event"] == "accepted"
        }
        self._doctor_resumed = any(event.get("resume_tested") for event in directory.events())
        # With N seeds a decision asks N runs of the stage before, and each of them as many again.
        self._decided: dict[tuple[int, int], Admission] = {}
        self._verdict, self._notes = cache(read_verdict), cache(_notes_of)
        self._without_verdict, self._earned_on = cache(self._unjudged), cache(self._judged_as_configured)
        self._resume_was_tested = cache(self._resume_tested)

    def decide(self, index: int, seed: int) -> Admission:
        """May the run of the stage at an index with a seed start?"""
        if (index, seed) not in self._decided:
            self._decided[index, seed] = self._decide(index, seed)
        return self._decided[index, seed]

    def _decide(self, index: int, seed: int) -> Admission:
        if index == 0:
            return Admission("go", "the first stage needs no verdict")
        decisions = {other: self.run_decision(index - 1, other, seed) for other in self._campaign.seeds}
        own = decisions[seed]
        if own.final:
            return own
        combined = self._combine_seeds(self._campaign.stages[index - 1].name, decisions)
        if combined.decision == "go" and own.decision != "go":
            return Admission("wait", own.reason, own.waits_for)
        stage = self._campaign.stages[index]
        if combined.decision == "go" and stage.config.training.total_steps >= LONG and not self._resume_was_tested():
            return Admission("stuck", _untested(stage.name, stage.config.training.total_steps))
        return combined

    def _resume_tested(self) -> bool:
        """Whether the doctor saw a job start again on this cluster, or a run of this campaign was resumed.

        A stage that continues another one begins with a checkpoint, too, but in the first epoch of its directory.
        """
        if self._doctor_resumed:
            return True
        runs = [
            self._directory.run(stage.name, seed) for stage in self._campaign.stages for seed in self._campaign.seeds
        ]
        attempts = [attempt for run in runs for attempt in read_events(run / RECORD_FILE, AttemptStarted)]
        return any(attempt.epoch > 1 and attempt.resumed_from for attempt in attempts)

    def outcome(self) -> Admission:
        """The whole campaign: go where its last stage passed, no-go or stuck where it will not."""
        last = len(self._campaign.stages) - 1
        decisions = {seed: self.run_decision(last, seed) for seed in self._campaign.seeds}
        return self._combine_seeds(self._campaign.stages[last].name, decisions)

    def _combine_seeds(self, stage: str, decisions: Mapping[int, Admission]) -> Admission:
        """What the runs of a stage with every seed come to."""
        count, needed = len(decisions), self._campaign.seeds_required
        passed = sum(decision.decision == "go" for decision in decisions.values())
        lost = [decision for decision in decisions.values() if decision.final]
        if passed >= needed:
            return Admission("go", f"stage {stage} is GO" + (f" for {passed} of {count} seeds" if count > 1 else ""))
        if count - len(lost) < needed:
            need = f"{needed} of {count} seeds must pass stage {stage}; " if count > 1 else ""
            return Admission(lost[0].decision, need + lost[0].reason)
        waiting = [decision for decision in decisions.values() if decision.decision == "wait"]
        listed = "; ".join(decision.reason for decision in waiting)
        if len(waiting) > LISTED:
            listed = f"stage {stage} is unfinished for {len(waiting)} of {count} seeds"
        return Admission("wait", listed, tuple(run for decision in waiting for run in decision.waits_for))

    def run_decision(self, index: int, seed: int, for_seed: int | None = None) -> Admission:
        """What the run of a stage and seed is worth, to the next stage's run of `for_seed` where that is given."""
        stage = self._campaign.stages[index]
        run, who = self._directory.run(stage.name, seed), f"stage {stage.name}, seed {seed}"
        try:
            verdict = self._verdict(run)
        except BadInput as error:
            return Admission("stuck", str(error))
        if verdict is None:
            return self._without_verdict(index, seed)
        if for_seed is not None:
            differs = self._differences(index, seed, verdict, for_seed)
            if differs:
                return Admission("no-go", f"{who}: its verdict was earned on {'; '.join(differs)}")
        if verdict.verdict == "NO-GO":
            return Admission("no-go", f"{who} is NO-GO: {verdict.reason}")
        return Admission("go", f"{who} is GO")

    def _unjudged(self, index: int, seed: int) -> Admission:
        """What a run without a verdict is worth."""
        stage = self._campaign.stages[index].name
        upstream = self.decide(index, seed)
        if upstream.final:
            return upstream
        if reason := SubmissionFolder(self._directory.run(stage, seed)).gave_up:
            return Admission("stuck", f"stage {stage}, seed {seed}: {reason}")
        return Admission("wait", f"stage {stage}, seed {seed} is unfinished", ((stage, seed),))

    def _differences(self, index: int, seed: int, verdict: Verdict, for_seed: int) -> list[str]:
        """What a run's verdict was earned on and is not so for the next stage's run of a seed, in words."""
        later, bound = self._campaign.stages[index + 1], verdict.bound_to
        notes = self._notes(self._directory.run(later.name, for_seed))
        found = []
        earned_on, runs_on = bound.simulator, later.config.simulator
        if (earned_on.kind, earned_on.version) != (runs_on.kind, runs_on.version):
            found.append(f"{earned_on.kind} {earned_on.version}, not {runs_on.kind} {runs_on.version}")
        code, image = notes.get("code_sha256"), (notes.get("image") or {}).get("sha256")
        run = self._directory.run(self._campaign.stages[index].name, seed)
        if self._accepted and (verdict_digest(run), code, image) in self._accepted:
            return found
        if not self._earned_on(index, seed, bound.config_sha256):
            found.append("another configuration")
        if not notes:  # not submitted yet
            return found
        if bound.code_sha256 != code:
            found.append(f"other code ({bound.code_sha256[:12]}, not {str(code)[:12]})")
        if bound.image_sha256 != image:
            found.append("another container image")
        return found

    def _judged_as_configured(self, index: int, seed: int, config_sha256: str) -> bool:
        """Whether a run's verdict was earned on its configuration.

        The verdict names the bytes of the run's config.yaml, which are other ones in every format; so that file's
        meaning is compared, and its digest tells that it is the one that was judged.
        """
        stage = self._campaign.stages[index]
        path = self._directory.run(stage.name, seed) / CONFIG_FILE
        try:
            return file_digest(path) == config_sha256 and not changes(load_resolved(path), stage.with_seed(seed))
        except (OSError, BadInput):
            return False


def _notes_of(run: Path) -> dict[str, Any]:
    return SubmissionFolder(run).notes()


def _untested(stage: str, steps: int) -> str:
    return (
        f"stage {stage} has {steps:,} steps, and no resume was tested: with Slurm, run `td3-hpc doctor --cluster NAME` "
        "and submit the campaign again; with scheduler: local, stop an earlier stage once by Ctrl-C while it runs"
    )


def admit(directory: CampaignDirectory, campaign: Campaign, stage: str, seed: int) -> Admission:
    """Decide on a run of a campaign, and prepare its directory where it may start.

    Raises CheckpointDamaged and OSError where the stage before has no whole checkpoint to continue from.
    """
    run, index = directory.run(stage, seed), campaign.index(stage)
    if directory.cancelled:
        return Admission("cancelled", "the campaign was cancelled; `td3-hpc campaign submit` continues it")
    admission = Admissions(directory, campaign).decide(index, seed)
    if admission.decision == "go" and campaign.stages[index].continues:
        stage_before = campaign.stages[index - 1]
        before = directory.run(stage_before.name, seed)
        step = carry_over(before, run, reached=stage_before.config.training.total_steps)
        if step is not None:
            return Admission("go", f"{admission.reason}; continues from its checkpoint of step {step}")
    return admission


def verdict_digest(run: Path) -> str:
    """SHA-256 of a run's verdict.json."""
    return file_digest(run / VERDICT_FILE)
