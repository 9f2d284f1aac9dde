"""Simulators that die, hang, or never answer."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from td3_hpc.drills.drill import Caught, NotCaught, drill
from td3_hpc.drills.proxy import Proxy
from td3_hpc.drills.training_run import (
    EVALUATION_STEPS,
    PATIENCE_S,
    STAGE,
    expect_same_bytes,
    training_run,
)
from td3_hpc.record import EvaluationCycle, SimulatorChanged, WorkerReplaced
from td3_hpc.supervision import ports

_ANSWERS = 300
"""So many answers of the simulator belong to a cycle that has begun: more than setting up the first episode takes."""


@drill("simulator-killed", "the simulator is killed in the middle of an episode", "SIGKILL to the training simulator")
def killed(workspace: Path) -> Caught:
    """Restarted, and the episode rebuilt."""
    return _strike(workspace, signal.SIGKILL, "died")


@drill("simulator-hangs", "the simulator hangs", "SIGSTOP to the training simulator")
def hangs(workspace: Path) -> Caught:
    """It is there, listens, and says nothing."""
    return _strike(workspace, signal.SIGSTOP, "hung")


def _strike(workspace: Path, number: signal.Signals, state: str) -> Caught:
    """Signal the training simulator in the middle of an episode."""
    with training_run(workspace) as run:
        run.start()
        run.wait_for_step(10)
        os.kill(run.simulator_pid("training"), number)
        struck = time.time()
        run.expect_done()
        losses: list[SimulatorChanged | WorkerReplaced] = [*run.events(SimulatorChanged), *run.events(WorkerReplaced)]
        found = [
            event
            for event in losses
            if event.time >= struck and event.purpose == "training" and event.state in (state, "lost", "hung")
        ]
        if not found:
            raise NotCaught("the record names no loss of the simulator")
        expect_same_bytes(run, workspace)
    first = min(event.time for event in found)
    states = ", ".join(dict.fromkeys(event.state for event in found))
    return Caught(
        f"watchdog ({states}): another is started, the episode rebuilt, and the run ends with the bytes of an "
        "undisturbed one",
        f"{first - struck:.1f} s",
    )


@drill(
    "evaluation-never-returns",
    "an evaluation never returns",
    "a TCP proxy before the evaluation's simulator swallows every answer in the middle of the cycle",
)
def evaluation_never_returns(workspace: Path) -> Caught:
    """The simulator is healthy; what it says does not arrive."""
    with ExitStack() as stack:
        training_port = stack.enter_context(_simulator())
        proxy = Proxy(stack.enter_context(_simulator()))
        stack.callback(proxy.close)
        run = stack.enter_context(training_run(workspace))
        external = ("simulator.kind=external", f"simulator.port={training_port}")
        run.start(*external, f"simulator.evaluation_port={proxy.port}", "evaluation.episodes=8")
        run.wait_for_step(EVALUATION_STEPS)
        before = proxy.answers
        run.wait_for(lambda: proxy.answers > before + _ANSWERS, "an evaluation that is going on")
        struck = time.time()
        proxy.swallow()
        if run.events(EvaluationCycle):
            raise NotCaught("the evaluation was over before the proxy swallowed")
        run.expect_done()
        lost = [event for event in run.events(WorkerReplaced) if event.purpose == "evaluation" and event.time >= struck]
        if not lost:
            raise NotCaught("the record names no loss of the evaluation's environment")
        cycles = [event.cycle for event in run.events(EvaluationCycle)]
        if cycles != [1, 2]:
            raise NotCaught(f"evaluation cycles {cycles} were completed, not 1 and 2")
    reason = lost[0].reason.rstrip(".")
    return Caught(
        f"watchdog ({reason}): the environment is replaced, both cycles complete, training resumes after each",
        f"{lost[0].time - struck:.1f} s (configured: {STAGE['simulator']['hang_timeout_s']} s)",
    )


@contextmanager
def _simulator() -> Iterator[int]:
    """An embedded simulator of somebody else's: its port."""
    with closing(ports.reserve(0)) as block:
        command = [sys.executable, "-m", "td3_hpc.simulator", "--port", str(block.first), "--town", "Hamlet"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
            if not ready or b"ready" not in process.stdout.readline():
                raise NotCaught("the simulator for the drill did not start")
            yield block.first
        finally:
            process.kill()
            process.communicate()
