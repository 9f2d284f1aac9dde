"""What a campaign's job does when it starts, from the verdicts of the stages before and what earlier jobs have left."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from td3_hpc.campaign.admission import Admission, admit
from td3_hpc.campaign.directory import CampaignDirectory, place_of
from td3_hpc.checkpoint_names import furthest_step
from td3_hpc.errors import BadInput, ExitCode
from td3_hpc.launch.policy.verbs import FRUITLESS, Exit, GiveUp, Plan, Run, Sbatch, Scancel, Start, Verb, Withdraw
from td3_hpc.submission_folder import SubmissionFolder


@dataclass(frozen=True)
class RunFiles:
    """What the files of one run say."""

    run: Run
    directory: Path
    step: int
    """The furthest of any checkpoint."""
    queued_at: tuple[int | None, ...] = ()
    """Its furthest step at each time that it was queued; None: it only waited."""
    status: int | None = None
    """The newest attempt's exit status; None where none has ended."""

    @property
    def hopeless(self) -> str:
        """Why no further job of it would help; empty where one may."""
        logs = self.directory / "logs"
        if self.status == ExitCode.BAD_INPUT:
            return f"its input is wrong, see the log in {logs}"
        return self.fruitless

    @property
    def fruitless(self) -> str:
        """Why another job of it would get no further; empty where it may."""
        if self.queued_at[-FRUITLESS:] != (self.step,) * FRUITLESS:
            return ""
        return f"{FRUITLESS} jobs got no further than step {self.step}, see {self.directory / 'logs'}"


def read_run(directory: CampaignDirectory, run: Run) -> RunFiles:
    """The files of a run as they are now."""
    path = directory.run(*run)
    folder = SubmissionFolder(path)
    outcome = folder.outcome()
    steps = tuple(step for step, _ in folder.queued())
    return RunFiles(run, path, furthest_step(path), steps, outcome.status if outcome else None)


def plan_start(admission: Admission, own: RunFiles, unfinished: Sequence[RunFiles], last: bool, queued: bool) -> Plan:
    """The plan of a run's job.

    unfinished: the runs that it waits for. last: of the last stage, after which nobody comes to submit it again.
    queued: there is a queue; without one, its user submits again.
    """
    match admission.decision:
        case "go":
            return _run(own, last) if queued else Plan((Start(),))
        case "no-go":
            first: list[Verb] = [Scancel(own.run)] if last and queued else []
            return Plan((*first, Exit(ExitCode.NO_GO, "NO-GO; see the line above")))
        case "wait" if queued:
            return Plan(_wait(own, unfinished))
        case "wait":
            what = "the stage before is unfinished; submit the campaign again to continue"
            return Plan((Exit(ExitCode.PREEMPTED, what),))
        case "stuck":
            return Plan((Exit(ExitCode.FAILED, "not admitted; see the line above"),))
        case _:
            return Plan((Exit(ExitCode.PREEMPTED, "not started"),))


def _run(own: RunFiles, last: bool) -> Plan:
    """Start; when the stage is over, cancel what waits behind it: the rest of a chain, for which the next stage would
    wait, and of the last stage the job of its own that is queued first."""
    first: list[Verb] = []
    if last:
        first = [GiveUp(own.run, own.fruitless) if own.fruitless else Sbatch(own.run, own.step, (own.run,))]
    over = (Scancel(own.run),)
    return Plan((*first, Start()), {ExitCode.DONE: over, ExitCode.NO_GO: over})


def _wait(own: RunFiles, unfinished: Sequence[RunFiles]) -> tuple[Verb, ...]:
    """Submit again what is unfinished and has no job, and this run behind all of that."""
    again: list[Verb] = []
    for before in unfinished:
        reason = before.hopeless
        again.append(GiveUp(before.run, reason) if reason else Sbatch(before.run, before.step))
    myself = Sbatch(own.run, None, tuple(before.run for before in unfinished))
    return (Withdraw(), *again, myself, Exit(ExitCode.PREEMPTED, "waits for the stage before"))


def write_plan(path: Path, queued: bool) -> Admission:
    """Decide on a run of a campaign, prepare its directory where it may start, and leave the plan for its script.

    Raises BadInput where the directory is no campaign's run, and as `admit` does.
    """
    place = place_of(path)
    if place is None:
        raise BadInput(f"{path}: not a run of a campaign (<campaign>/<stage>/seed-<n>)")
    directory, stage, seed = place
    campaign = directory.campaign()
    admission = admit(directory, campaign, stage, seed)
    last = stage == campaign.stages[-1].name
    unfinished = [read_run(directory, run) for run in admission.waits_for]
    plan = plan_start(admission, read_run(directory, (stage, seed)), unfinished, last, queued)
    SubmissionFolder(path).write_plan(str(plan))
    return admission
