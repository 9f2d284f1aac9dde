"""What a check finds, and running checks: all of them, whatever one of them finds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from rich.table import Table
from rich.text import Text

from td3_hpc.errors import BadInput, UserError

Status = Literal["ok", "mistake", "note", "not checked"]
Subject = TypeVar("Subject")
_COLOURS: dict[Status, str] = {"ok": "green", "mistake": "bold red", "note": "yellow", "not checked": "yellow"}


@dataclass(frozen=True)
class CheckResult:
    """One line of the table."""

    check: str
    status: Status
    found: str
    """What there is, with the figures it was judged by."""
    change: str = ""
    """What to do about it; empty where nothing is to be done."""


class Mistake(Exception):
    """Raised by a check: the job would fail, or waste its time."""

    def __init__(self, found: str, change: str) -> None:
        super().__init__(found)
        self.found, self.change = found, change


class Doubt(Exception):
    """Raised by a check: it looks wrong, and may be right; nothing is refused for it."""

    def __init__(self, found: str, change: str) -> None:
        super().__init__(found)
        self.found, self.change = found, change


class NotLearnt(Exception):
    """Raised by a check: it cannot be told from here, and how it could be."""

    def __init__(self, reason: str, change: str = "") -> None:
        super().__init__(reason)
        self.reason, self.change = reason, change


def run_checks(checks: Mapping[str, Callable[[Subject], str]], subject: Subject) -> list[CheckResult]:
    """The finding of every check. A check returns what it found in order, or raises Mistake, Doubt or NotLearnt."""
    return [_run(name, check, subject) for name, check in checks.items()]


def _run(name: str, check: Callable[[Subject], str], subject: Subject) -> CheckResult:
    try:
        return CheckResult(name, "ok", check(subject))
    except Mistake as mistake:
        return CheckResult(name, "mistake", mistake.found, mistake.change)
    except Doubt as doubt:
        return CheckResult(name, "note", doubt.found, doubt.change)
    except NotLearnt as unknown:
        return CheckResult(name, "not checked", unknown.reason, unknown.change)
    except BadInput as error:  # a line that says what to do already
        return CheckResult(name, "mistake", str(error))
    except UserError as error:
        return CheckResult(name, "not checked", str(error))


def mistakes(findings: Iterable[CheckResult]) -> list[CheckResult]:
    """Those that keep a job from being queued."""
    return [finding for finding in findings if finding.status == "mistake"]


def refusal(found: Sequence[CheckResult]) -> BadInput:
    """The error that lists them, a line each."""
    lines = [f"{item.check}: {item.found}" + (f"; {item.change}" if item.change else "") for item in found]
    return BadInput("\n".join(lines))


def as_table(findings: Iterable[CheckResult], title: str) -> Table:
    """The findings for people."""
    table = Table("check", "status", "found", "what to change", title=title, show_lines=False, pad_edge=False)
    for finding in findings:
        status = Text(finding.status, style=_COLOURS[finding.status])
        table.add_row(finding.check, status, Text(finding.found), Text(finding.change))
    return table


def as_lines(findings: Iterable[CheckResult]) -> list[str]:
    """The findings for a file or another program, fields separated by tabs, nothing cut off."""
    return ["\t".join([item.check, item.status, item.found, item.change]).rstrip("\t") for item in findings]
