"""The gates and how they are run. A gate is a function here by its name in `GatesConfig`; `@gate` gives it its title.

@gate("No NaN or infinity", "metric")
def finite(history: RunHistory, settings: Gate) -> Finding: ...
"""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from td3_hpc.config.gates import Gate, GatesConfig, Severity
from td3_hpc.gates.findings import Confidence, Finding
from td3_hpc.gates.history import Evidence, RunHistory

Group = Literal["checkpoint", "metric", "mechanism", "driving"]
Status = Literal["pass", "fail", "watch", "not_judged"]


@dataclass(frozen=True)
class GateResult:
    """One gate's line in the verdict."""

    name: str
    title: str
    group: Group
    status: Status
    severity: Severity
    target: str
    achieved: str
    confidence: float
    """From 0 to 1; `why` says what it rests on."""
    why: str
    evidence: tuple[Evidence, ...]
    cause: str
    remedy: str
    change: Mapping[str, Any]
    value: float | None = None
    """The number behind `achieved`; None where it is none, or the verdict is from before it was kept."""
    unit: str = ""
    """Unit of the value, the interval and the target."""
    interval: tuple[float, float] | None = None
    """95 % interval of the value, where there is one."""


@dataclass(frozen=True)
class _Registered:
    title: str
    group: Group
    judge: Callable[[RunHistory, Any], Finding]


GATES: dict[str, _Registered] = {}
Judge = TypeVar("Judge", bound=Callable[..., Finding])


def gate(title: str, group: Group) -> Callable[[Judge], Judge]:
    """Make a function the gate of its name."""

    def register(judge: Judge) -> Judge:
        GATES[judge.__name__] = _Registered(title, group, judge)
        return judge

    return register


def judge_gates(history: RunHistory, config: GatesConfig) -> list[GateResult]:
    """Every gate that is not off, in the order of the schema."""
    results = []
    for name in GatesConfig.model_fields:
        settings: Gate | Literal[False] = getattr(config, name)
        if settings:
            results.append(_judge(name, GATES[name], history, settings))
    return results


def _judge(name: str, registered: _Registered, history: RunHistory, settings: Gate) -> GateResult:
    finding = _finding(registered, history, settings)
    if finding.pending and not finding.met and history.can_go_on:
        total = history.config.training.total_steps
        so_far = f"the run has come to step {history.step:,} of {total:,}: {finding.cause}"
        finding = replace(finding, met=None, confidence=Confidence(0.0, so_far), cause="", change={})
    return GateResult(
        name=name,
        title=registered.title,
        group=registered.group,
        status=_status(finding.met, settings.severity),
        severity=settings.severity,
        target=finding.target,
        achieved=finding.achieved,
        confidence=round(finding.confidence.value, 4),
        why=finding.confidence.why,
        evidence=finding.evidence,
        cause=finding.cause,
        remedy=finding.remedy,
        change=dict(finding.change),
        value=finding.value,
        unit=finding.unit,
        interval=finding.interval,
    )


def _finding(registered: _Registered, history: RunHistory, settings: Gate) -> Finding:
    """The gate's finding. A record that it cannot make sense of (damaged, of another version) does not pass it."""
    try:
        return registered.judge(history, settings)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        cause = f"the record does not have what this gate reads ({error!r} in {place.name})"
        return Finding(False, "–", "–", Confidence(0.0, "nothing could be read"), (), cause, "run the stage again")


def _status(met: bool | None, severity: Severity) -> Status:
    if met is None:
        return "not_judged"
    if met:
        return "pass"
    return "watch" if severity == "optional" else "fail"
