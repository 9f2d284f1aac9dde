"""Stands in for the trainer in tests of campaigns: counts steps, saves its count, writes a verdict.

`agent.tau` above 0.5 fails a gate. `<campaign>/plan.json` may say: seconds a step takes (`step_s`), the stages that get
no further than a step (`stuck`: {stage: step}), the stages that do not hear signals (`deaf`: [stage]).
All commands but `train` are the real ones.
"""

import json
import signal
import sys
import time
from pathlib import Path

from td3_hpc.campaign.admission import config_digest, read_notes
from td3_hpc.campaign.gates import GateResult
from td3_hpc.campaign.verdict import VERDICT_FILE, BoundTo, SimulatorIdentity, Verdict, read_verdict
from td3_hpc.config import StageConfig, dump_yaml, load_stage

EXIT_PREEMPTED = 75
stopped: list[int] = []


def train() -> int:
    config, run = load_stage(Path(sys.argv[2])), Path(sys.argv[4])
    plan_file = run.parent.parent / "plan.json"
    plan = json.loads(plan_file.read_text()) if plan_file.exists() else {}
    verdict = read_verdict(run)
    if verdict is None:
        if config.name not in plan.get("deaf", []):
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
                signal.signal(number, lambda number, frame: stopped.append(number))
        else:
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
                signal.signal(number, signal.SIG_IGN)
        (run / "config.yaml").write_text(dump_yaml(config))
        if not count(config, run, plan):
            return EXIT_PREEMPTED
        verdict = judge(config, run)
        (run / VERDICT_FILE).write_text(json.dumps(verdict, default=lambda item: vars(item)))
    print(f"{verdict.verdict}: {verdict.reason}")
    return int(verdict.exit_code)


def count(config: StageConfig, run: Path, plan: dict) -> bool:
    """Count to the last step; False where a signal came before."""
    state = run / "state"
    state.mkdir(exist_ok=True)
    saved = sorted(int(path.name.split("-s")[1].split("-")[0]) for path in state.glob("checkpoint-*"))
    step = saved[-1] if saved else 0
    record(run, "attempt", step, resumed_from=step)
    while step < config.training.total_steps:
        if step >= plan.get("stuck", {}).get(config.name, step + 1):
            record(run, "failed", step, reason="gets no further")
            sys.exit(1)
        time.sleep(plan.get("step_s", 0.01))
        step += 1
        record(run, "interval", step, first_step=step, last_step=step, steps_per_second=1.0)
        (state / f"checkpoint-e0001-s{step:09d}-0001.json").touch()
        if stopped:
            record(run, "stopped", step, signal=signal.Signals(stopped[0]).name)
            return False
    record(run, "finished", step)
    return True


def record(run: Path, event: str, step: int, **fields: object) -> None:
    with (run / "record.jsonl").open("a") as file:
        file.write(json.dumps({"event": event, "step": step, "time": time.time(), **fields}) + "\n")


def judge(config: StageConfig, run: Path) -> Verdict:
    notes = read_notes(run)
    failed = config.agent.tau > 0.5
    gate = GateResult(
        name="tau",
        title="Target networks move slowly",
        group="metric",
        status="fail" if failed else "pass",
        severity="blocking",
        target="agent.tau of 0.5 at most",
        achieved=str(config.agent.tau),
        confidence=1.0,
        why="read",
        evidence=(),
        cause="the target networks follow at once" if failed else "",
        remedy="",
        change={"agent.tau": 0.005} if failed else {},
    )
    image = notes["image"] or {}
    return Verdict(
        verdict="NO-GO" if failed else "GO",
        reason=f"agent.tau is {config.agent.tau}",
        stage=config.name,
        step=config.training.total_steps,
        written="2026-01-01T00:00:00+00:00",
        gates=[gate],
        bound_to=BoundTo(
            SimulatorIdentity(config.simulator.kind, config.simulator.version),
            config.environment.town,
            config_digest(config),
            notes["code_sha256"],
            image.get("sha256"),
        ),
    )


if __name__ == "__main__":
    if sys.argv[1] == "train":
        sys.exit(train())
    from td3_hpc.cli import main

    main()
