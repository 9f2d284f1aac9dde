"""`python -m td3_hpc.launch.doctor.probe STAGE --run-dir D`: the doctor's job, in the place of the training.

One attempt measures, waits for the signals, and stops with exit status 75, as a training does; the next one notes that
it was started. What kills an attempt is noted by the one after it, which goes on with the rest.
"""

import argparse
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType

from td3_hpc.config import load_stage
from td3_hpc.errors import ExitCode, UserError
from td3_hpc.launch.doctor.context import Context, NotMeasured
from td3_hpc.launch.doctor.measurements import MEASUREMENTS
from td3_hpc.launch.doctor.notes import Notes, sent_file
from td3_hpc.launch.doctor.result import Delivery, Restart

SIGNALS = {"usr1": signal.SIGUSR1, "term": signal.SIGTERM}
ARRIVAL_S = 15.0
"""A signal that is not here this long after it was sent does not arrive any more."""
DOCTOR_S = 300.0
"""Without a word from the doctor for so long, it has gone."""
TRIES = 2


class Arrivals:
    """When each signal arrived first."""

    def __init__(self) -> None:
        self.times: dict[int, float] = {}
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.times.setdefault(number, time.time())


def main() -> int:
    """Run one attempt; returns its exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("stage", type=Path)
    parser.add_argument("--run-dir", type=Path, required=True)
    options = parser.parse_args()
    arrivals, notes = Arrivals(), Notes(options.run_dir)
    _note_start(notes)
    context = Context(load_stage(options.stage), options.run_dir)
    try:
        for name in MEASUREMENTS:
            _measure(name, context, notes)
            if arrivals.times:  # not the doctor's: the job is preempted, and goes on here next time
                return ExitCode.PREEMPTED
    finally:
        context.close()
    for name, number in SIGNALS.items():
        _await_signal(name, number, arrivals, notes, options.run_dir)
    if not notes.done("restart"):
        notes.write()
        return ExitCode.PREEMPTED
    notes.put("finished", True)
    return ExitCode.DONE


def _note_start(notes: Notes) -> None:
    previous = notes.values.get("written")
    if previous is not None and not notes.done("restart"):
        notes.values["restart"] = Restart(restarted=True, seconds=time.time() - previous).model_dump()
    notes.values["job"] = os.environ.get("SLURM_JOB_ID", "")
    notes.values.setdefault("node", os.environ.get("SLURMD_NODENAME") or socket.gethostname())
    notes.write()


def _measure(name: str, context: Context, notes: Notes) -> None:
    if notes.done(name):
        return
    if notes.begin(name) >= TRIES:
        notes.fail(name, "the job ended in the middle of it, twice; see its log")
        return
    print(f"measuring {name}", flush=True)
    try:
        notes.put(name, MEASUREMENTS[name](context).model_dump())
    except Exception as error:  # one that fails keeps none of the others back
        what = "" if isinstance(error, (NotMeasured, UserError)) else f"{type(error).__name__}: "
        notes.fail(name, f"{what}{' '.join(str(error).split())}"[:500])


def _await_signal(name: str, number: signal.Signals, arrivals: Arrivals, notes: Notes, run_dir: Path) -> None:
    if notes.done(name):
        return
    if notes.begin(name):
        notes.put(name, Delivery(arrived=False, killed=True).model_dump())
        return
    arrivals.times.clear()
    notes.put("waiting_for", name)
    print(f"waiting for {number.name}", flush=True)
    began, sent, seen = time.monotonic(), sent_file(run_dir, name), None
    while time.monotonic() < began + DOCTOR_S:
        if seen is None and sent.exists():
            seen = time.monotonic()  # the file's time is of another machine's clock
        if seen is not None and (number in arrivals.times or time.monotonic() > seen + ARRIVAL_S):
            break
        time.sleep(0.05)
    notes.values.pop("waiting_for")
    if not sent.exists():
        notes.fail(name, "the doctor had gone before it sent it")
    elif number in arrivals.times:
        seconds = arrivals.times[number] - float(sent.read_text(encoding="utf-8"))
        notes.put(name, Delivery(arrived=True, seconds=seconds).model_dump())
    else:
        notes.put(name, Delivery(arrived=False).model_dump())


if __name__ == "__main__":
    sys.exit(main())
