"""A stage's last act: GO or NO-GO, in a file of the run directory, bound to what it was earned on."""

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from td3_hpc.code import code_digest, file_digest
from td3_hpc.config import CONFIG_FILE, read_yaml, validate
from td3_hpc.config.gates import GatesConfig
from td3_hpc.durable import replace_file
from td3_hpc.errors import BadInput, ExitCode, UserError
from td3_hpc.gates import GateResult, judge_gates
from td3_hpc.gates.history import RunHistory, read_history
from td3_hpc.record import AttemptStarted
from td3_hpc.submission_folder import SubmissionFolder

VERDICT_FILE = "verdict.json"
GATES_FILE = "gates.yaml"


@dataclass(frozen=True)
class SimulatorIdentity:
    """Which simulator a verdict was earned on."""

    kind: str
    version: str


@dataclass(frozen=True)
class BoundTo:
    """What a verdict holds for; with any of these different it says nothing."""

    simulator: SimulatorIdentity
    town: str
    config_sha256: str
    code_sha256: str
    image_sha256: str | None
    """None where the run used no container."""


@dataclass(frozen=True)
class Verdict:
    """The judgement of one run."""

    verdict: Literal["GO", "NO-GO"]
    reason: str
    """Why, in one sentence."""
    stage: str
    step: int
    written: str
    """UTC, ISO 8601."""
    gates: list[GateResult]
    bound_to: BoundTo

    @property
    def exit_code(self) -> ExitCode:
        """What the stage exits with."""
        return ExitCode.DONE if self.verdict == "GO" else ExitCode.NO_GO

    def missed(self, severity: str) -> list[GateResult]:
        """The gates of a severity that were missed."""
        return [gate for gate in self.gates if gate.severity == severity and gate.status in ("fail", "watch")]

    @property
    def ends_run(self) -> bool:
        """The run goes no further, however many steps are left: the test of its picture was missed."""
        return _ends_run(self.missed("blocking"))


_ADAPTER = TypeAdapter(Verdict)


def judge(run_dir: Path) -> Verdict:
    """Judge a run by its record, its configuration and its gates; writes nothing.

    Raises BadInput where there is no such run, or its configuration or gates.yaml cannot be read.
    """
    return judge_history(read_history(run_dir))


def judge_history(history: RunHistory) -> Verdict:
    """The same, of a history that is already read."""
    results = judge_gates(history, run_gates(history))
    missed = [gate for gate in results if gate.severity == "blocking" and gate.status == "fail"]
    return Verdict(
        verdict="GO" if history.finished and not missed else "NO-GO",
        reason=_reason(history, results, missed),
        stage=history.config.name,
        step=history.step,
        written=datetime.fromtimestamp(time.time(), timezone.utc).isoformat(timespec="seconds"),
        gates=results,
        bound_to=_bound_to(history),
    )


def write_verdict(run_dir: Path) -> Verdict:
    """Judge a run and write verdict.json atomically. Raises UserError where it cannot be written."""
    return _write(run_dir, judge(run_dir))


def _write(run_dir: Path, verdict: Verdict) -> Verdict:
    try:
        replace_file(run_dir / VERDICT_FILE, _ADAPTER.dump_json(verdict, indent=1))
    except OSError as error:
        raise UserError(
            f"{run_dir / VERDICT_FILE}: cannot be written ({error.strerror}); `td3-hpc train` writes it once it can"
        ) from error
    return verdict


def read_verdict(run_dir: Path) -> Verdict | None:
    """The verdict in a run directory, None where there is none; raises BadInput where it is damaged."""
    path = run_dir / VERDICT_FILE
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise BadInput(
            f"{path}: damaged ({str(error).splitlines()[0]}); `td3-hpc train` on the finished run writes it again"
        ) from None


def final_verdict(run_dir: Path) -> Verdict:
    """The verdict of a run whose steps are all done: the one in the directory, where it is of this very run.

    A missing or damaged one, or one from before the run was made longer or its gates were changed, is written anew.
    """
    try:
        verdict = read_verdict(run_dir)
    except BadInput:
        verdict = None
    now = judge(run_dir)
    return verdict if verdict is not None and _subject(verdict) == _subject(now) else _write(run_dir, now)


def _subject(verdict: Verdict) -> tuple[object, ...]:
    """What was judged, and by what."""
    asked = [(gate.name, gate.severity, gate.target) for gate in verdict.gates]
    return verdict.step, verdict.bound_to.config_sha256, asked


def read_gates(run_dir: Path) -> GatesConfig:
    """The gates that the run's campaign set (gates.yaml), or the defaults.

    Raises BadInput for a wrong file, and where a campaign's run has lost it: other gates would give another verdict.
    """
    path = run_dir / GATES_FILE
    if not path.exists():
        if SubmissionFolder(run_dir).notes().get("campaign"):
            raise BadInput(f"{path}: missing, and the run's campaign wrote it; `td3-hpc campaign resume` does again")
        return GatesConfig()
    return validate(GatesConfig, read_yaml(path), str(path))


def run_gates(history: RunHistory) -> GatesConfig:
    """The same, with the limits of the run's own monitors where a gate has none of its own; raises BadInput."""
    return read_gates(history.run_dir).with_limits_of(history.config.monitors)


def _ends_run(missed: list[GateResult]) -> bool:
    return any(gate.name == "picture_matters" for gate in missed)


def _reason(history: RunHistory, results: list[GateResult], missed: list[GateResult]) -> str:
    if not history.finished and not _ends_run(missed):
        return f"The run is not complete: step {history.step:,} of {history.config.training.total_steps:,}."
    if missed:
        more = f" Also failed: {', '.join(gate.title for gate in missed[1:])}." if len(missed) > 1 else ""
        end = "" if history.finished else f" The run ended there, at step {history.step:,}."
        return f"{missed[0].title}: {missed[0].cause}.{more}{end}"
    blocking = [gate for gate in results if gate.severity == "blocking"]
    passed = sum(gate.status == "pass" for gate in blocking)
    untold = len(blocking) - passed
    rest = f"; {untold} could not be judged on this run" if untold else ""
    return f"All {history.step:,} steps are done and {passed} of {len(blocking)} blocking gates passed{rest}."


def _bound_to(history: RunHistory) -> BoundTo:
    config, notes = history.config, SubmissionFolder(history.run_dir).notes()
    image = notes.get("image") or {}
    return BoundTo(
        simulator=SimulatorIdentity(config.simulator.kind, config.simulator.version),
        town=config.environment.town,
        config_sha256=_config_digest(history.run_dir),
        code_sha256=notes.get("code_sha256") or _code_of_attempts(history) or code_digest(),
        image_sha256=image.get("sha256"),
    )


def _code_of_attempts(history: RunHistory) -> str | None:
    """The digest that the last attempt noted of the package it ran."""
    attempts = history.of(AttemptStarted)
    return attempts[-1].environment.code_sha256 or None if attempts else None


def _config_digest(run_dir: Path) -> str:
    return file_digest(run_dir / CONFIG_FILE)
