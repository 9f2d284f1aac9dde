"""Stands in for the trainer in tests of the job around it: counts steps, saves its count when told to stop, exits 75.

`<run>/plan.json` says how: `total` steps of `step_s` seconds; optionally a checkpoint every `save_every` steps, a
`status` to end with, a port to `listen` at, signals to be `deaf_to`, or `gets_nowhere`: stop at once without
saving. A save that a signal asked for takes `save_s`. Attempts before number `simulator_from` fail as a run does whose
simulator never came up.
"""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
EXIT_FAILED, EXIT_PREEMPTED = 1, 75

run = Path(sys.argv[sys.argv.index("--run-dir") + 1])
plan = json.loads((run / "plan.json").read_text())
state = run / "state"
received: list[str] = []


def log(event: str, **items: object) -> None:
    line = {"event": event, "time": time.time(), **items}
    with (run / "events.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def note(number: int, frame: object) -> None:
    name = signal.Signals(number).name
    log("signal", name=name)
    if name not in plan.get("deaf_to", []):
        received.append(name)


def main() -> int:
    if (run / "verdict.json").exists():  # as the trainer, where there is nothing left to do
        return int(plan.get("status", 0))
    state.mkdir(exist_ok=True)
    for number in STOP_SIGNALS:
        signal.signal(number, note)
    saved = sorted(state.glob("checkpoint-*"))
    step = int(saved[-1].name.split("-s")[1].split("-")[0]) if saved else 0
    log("started", step=step, environment=dict(os.environ), config=Path(sys.argv[2]).read_text())
    if int(os.environ.get("SLURM_RESTART_COUNT", 0)) < plan.get("simulator_from", 0):
        with (run / "record.jsonl").open("a") as record:
            record.write('{"event": "attempt"}\n{"event": "failed", "code": "simulator_never_ready"}\n')
        return EXIT_FAILED
    if plan.get("gets_nowhere"):
        return EXIT_PREEMPTED
    with socket.socket() as listener:
        if "listen" in plan:
            listener.bind(("0.0.0.0", plan["listen"]))
            listener.listen()
        while step < plan["total"]:
            time.sleep(plan["step_s"])
            step += 1
            if received:
                time.sleep(plan.get("save_s", 0))
            if received or step % plan.get("save_every", step + 1) == 0:
                (state / f"checkpoint-e0001-s{step:09d}-0001.json").touch()
            if received:
                for number in STOP_SIGNALS:
                    signal.signal(number, signal.SIG_IGN)
                log("saved", step=step)
                return EXIT_PREEMPTED
    log("finished", step=step)
    status = int(plan.get("status", 0))
    if status in (0, 3):
        (run / "verdict.json").touch()
    return status


sys.exit(main())
