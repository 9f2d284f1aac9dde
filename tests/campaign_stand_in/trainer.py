"""Stands in for the trainer in tests of campaigns: counts steps, saves its count, writes a verdict.

`agent.tau` above 0.5 fails a gate. `<campaign>/plan.json` may say: seconds a step takes (`step_s`; of one stage
`slow`: {stage: seconds}), the stages that get no further than a step (`stuck`: {stage: step}), the stages that do not
hear signals (`deaf`: [stage]).
All commands but `train` are the real ones. It imports nothing of the package, to start quickly.
"""

import hashlib
import json
import signal
import sys
import time
from pathlib import Path

import yaml

EXIT = {"GO": 0, "NO-GO": 3}
EXIT_FAILED, EXIT_PREEMPTED = 1, 75
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
stopped: list[int] = []


def train(config_path: Path, run: Path) -> int:
    config = yaml.safe_load(config_path.read_text())
    plan_path, verdict_path = run.parent.parent / "plan.json", run / "verdict.json"
    plan = json.loads(plan_path.read_text()) if plan_path.exists() else {}
    if not verdict_path.exists():
        deaf = config["name"] in plan.get("deaf", [])
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN if deaf else lambda number, frame: stopped.append(number))
        (run / "config.yaml").write_bytes(config_path.read_bytes())
        status = count(config, run, plan)
        if status:
            return status
        verdict_path.write_text(json.dumps(judge(config, run)))
    verdict = json.loads(verdict_path.read_text())
    print(f"{verdict['verdict']}: {verdict['reason']}")
    return EXIT[verdict["verdict"]]


def count(config: dict, run: Path, plan: dict) -> int:
    """Count to the last step; an exit status where something came before."""
    state = run / "state"
    state.mkdir(exist_ok=True)
    step = max((int(path.name.split("-s")[1].split("-")[0]) for path in state.glob("checkpoint-*")), default=0)
    record(run, "attempt", step, resumed_from=step)
    while step < config["training"]["total_steps"]:
        if step >= plan.get("stuck", {}).get(config["name"], step + 1):
            record(run, "failed", step, reason="gets no further")
            return EXIT_FAILED
        time.sleep(plan.get("slow", {}).get(config["name"], plan.get("step_s", 0.01)))
        step += 1
        record(run, "interval", step, first_step=step, last_step=step, steps_per_second=1.0)
        (state / f"checkpoint-e0001-s{step:09d}-0001.json").touch()
        if stopped:
            record(run, "stopped", step, signal=signal.Signals(stopped[0]).name)
            return EXIT_PREEMPTED
    record(run, "finished", step)
    return 0


def record(run: Path, event: str, step: int, **fields: object) -> None:
    with (run / "record.jsonl").open("a") as file:
        file.write(json.dumps({"event": event, "step": step, "time": time.time(), **fields}) + "\n")


def judge(config: dict, run: Path) -> dict:
    notes = json.loads((run / "submission" / "submission.json").read_text())
    tau, simulator = config["agent"]["tau"], config["simulator"]
    failed = tau > 0.5
    gate = {
        "name": "tau",
        "title": "Target networks move slowly",
        "group": "metric",
        "status": "fail" if failed else "pass",
        "severity": "blocking",
        "target": "agent.tau of 0.5 at most",
        "achieved": str(tau),
        "confidence": 1.0,
        "why": "read",
        "evidence": [],
        "cause": "the target networks follow at once" if failed else "",
        "remedy": "",
        "change": {"agent.tau": 0.005} if failed else {},
    }
    bound_to = {
        "simulator": {"kind": simulator["kind"], "version": simulator["version"]},
        "town": config["environment"]["town"],
        "config_sha256": hashlib.sha256((run / "config.yaml").read_bytes()).hexdigest(),
        "code_sha256": notes["code_sha256"],
        "image_sha256": (notes["image"] or {}).get("sha256"),
    }
    return {
        "verdict": "NO-GO" if failed else "GO",
        "reason": f"agent.tau is {tau}",
        "stage": config["name"],
        "step": config["training"]["total_steps"],
        "written": "2026-01-01T00:00:00+00:00",
        "gates": [gate],
        "bound_to": bound_to,
    }


if __name__ == "__main__":
    if sys.argv[1] == "train":
        sys.exit(train(Path(sys.argv[2]), Path(sys.argv[4])))
    from td3_hpc.entry import main

    main()
