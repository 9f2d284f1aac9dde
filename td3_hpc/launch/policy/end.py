"""What follows when the step of a stage's job has ended, or cannot begin.

It is written into the job's script, before anything starts: no Python can be asked after SIGKILL, or where the image or
Apptainer does not start.
"""

from typing import Literal

from td3_hpc.errors import ExitCode
from td3_hpc.launch.policy.verbs import Exclude, Exit, Plan, Requeue, Verb

Again = Literal["requeue", "chain", "by hand"]
"""Who starts an unfinished run again: Slurm, the next job of its chain, or its user."""

#: Left by itself with a checkpoint, or met by a second USR1, USR2 or TERM while leaving.
STOPPED = (ExitCode.PREEMPTED, 138, 140, 143)
KILLED = 137
#: Of Apptainer itself, or of a library.
AS_IF_SOMETHING_WERE_MISSING = (135, 139, 255)
#: Of `timeout`.
NO_ANSWER = 124


def plan_end(again: Again) -> Plan:
    """By the step's exit status; one that is not named, or whose verbs do not end the job, becomes the job's own.
    What is no exit status:

    unjudged   it is 0, and the trainer has left no verdict
    lacks      before the step: something that the job needs is not on this node
    """
    killed = _unfinished(again, "killed, out of memory perhaps")
    unjudged = _unfinished(again, "left no verdict, as if the container did nothing")
    after: dict[int | str, tuple[Verb, ...]] = {
        ExitCode.DONE: (Exit(ExitCode.DONE, "done"),),
        ExitCode.NO_GO: (Exit(ExitCode.NO_GO, "NO-GO; see $run/report.md"),),
        **dict.fromkeys(STOPPED, (_unfinished(again, "stopped"),)),
        KILLED: (killed,),
        "unjudged": (unjudged,),
        "lacks": _lacks(again, "this node lacks what the job needs; see the line above, and submit again"),
    }
    if again != "by hand":
        after[ExitCode.FAILED] = (Exclude("simulator", "the simulator never came up"),)
        for status in AS_IF_SOMETHING_WERE_MISSING:
            after[status] = (Exclude("begun", f"exit status {status}, as where something is missing,"),)
    return Plan((), after)


def plan_unplanned(again: Again, contained: bool) -> Plan:
    """What follows, before the step, where asking for the plan of a campaign's job ended with exit status N (`plan-N`;
    `plan-other`: any that is not named) or left none. contained: its Python runs in a container."""
    older = ", or the image is older than this script: build it again" if contained else ""
    stopped = _unfinished(again, "stopped before it began")
    after: dict[int | str, tuple[Verb, ...]] = {
        f"plan-{ExitCode.FAILED}": (Exit(ExitCode.FAILED, "not admitted; see the line above"),),
        f"plan-{ExitCode.BAD_INPUT}": (
            Exit(ExitCode.BAD_INPUT, f"the campaign cannot be read{older}; see the line above"),
        ),
        f"plan-{ExitCode.PREEMPTED}": (Exit(ExitCode.PREEMPTED, "not started"),),
        **{f"plan-{status}": (stopped,) for status in (*STOPPED[1:], KILLED)},
        f"plan-{NO_ANSWER}": (_unfinished(again, "did not begin within ten minutes"),),
        "plan-0": (_unfinished(again, "was not told what to do, as if the container did nothing"),),
        "plan-other": _lacks(
            again, f"{'the container' if contained else 'Python'} did not start; see the lines above, and submit again"
        ),
    }
    return Plan((), after)


def _unfinished(again: Again, why: str) -> Verb:
    match again:
        case "requeue":
            return Requeue(why)
        case "chain":
            return Exit(ExitCode.PREEMPTED, f"{why}; the chain's next job goes on; after its last one, submit again")
        case _:
            return Exit(ExitCode.PREEMPTED, f"{why}; the same command continues from the newest checkpoint")


def _lacks(again: Again, what: str) -> tuple[Verb, ...]:
    """What this node lacks, another one had where the run has got somewhere: then the profile is not wrong."""
    wrong = Exit(ExitCode.BAD_INPUT, what)
    return (wrong,) if again == "by hand" else (Exclude("begun", "what was there on another node is missing"), wrong)
