"""The report of a run: Markdown and a self-contained HTML page, written from the run's record alone."""

from collections.abc import Callable
from pathlib import Path

from td3_hpc import __version__
from td3_hpc.config import CONFIG_FILE
from td3_hpc.errors import BadInput
from td3_hpc.formatting import without_brackets
from td3_hpc.gates import GateResult
from td3_hpc.gates.history import RunHistory, read_history
from td3_hpc.gates.verdict import Verdict, judge_history
from td3_hpc.record import RECORD_FILE, RunFailed, RunStopped
from td3_hpc.report import comparison_section as compare
from td3_hpc.report import drivers
from td3_hpc.report import gate_sections as sections
from td3_hpc.report import long_run_sections as outlook
from td3_hpc.report import measurement_sections as course
from td3_hpc.report.document import Chip, ChipStatus, Document, Section, Text, Tile, linked
from td3_hpc.report.figures import Drawn, draw_figures
from td3_hpc.report.rendering import write

#: What a damaged or half-written record may do to code that reads it.
DAMAGE = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, OSError)


def write_report(run_dir: Path, compare_with: Path | None = None) -> Path:
    """Write report.md, report.html and figures/ in the run directory; returns the Markdown file's path.

    `compare_with` is the run before this one. What is missing or damaged is said in the report, which shows the rest.
    Raises BadInput where this is no run's directory, or the run to compare with has no configuration, UserError where
    the report cannot be written.
    """
    history = read_history(run_dir)
    if not any((run_dir / name).exists() for name in (CONFIG_FILE, RECORD_FILE)):
        raise BadInput(f"{run_dir}: not a run's directory (no {CONFIG_FILE}, no {RECORD_FILE}), nor a campaign's")
    return write(lambda: make_document(history, compare_with), run_dir)


def make_document(history: RunHistory, compare_with: Path | None = None) -> Document:
    """The report's content; draws its figures."""
    warnings = list(history.problems)
    verdict = _verdict(history, warnings)
    figures = _figures(history, warnings)
    parts: list[tuple[str, Callable[[], Section]]] = []
    if verdict is not None:
        parts += [
            ("Open items", lambda: sections.actions(history, verdict)),
            ("Next actions", lambda: outlook.next_actions(history, verdict)),
            ("Critical metrics", lambda: sections.metrics(verdict)),
            ("Validation checkpoints", lambda: sections.checkpoints(verdict)),
            ("TD3 mechanisms", lambda: sections.mechanisms(verdict)),
        ]
        if compare_with is not None:
            previous = read_history(compare_with)
            before = judge_history(previous)
            parts.append((compare.TITLE, lambda: compare.issues(history, verdict, previous, before)))
    parts += [
        ("Gradients and values", lambda: course.gradients(history, figures)),
        ("Rewards", lambda: course.rewards(history, figures)),
        ("Evaluation", lambda: course.evaluation(history, figures)),
        ("Attempts, preemptions, incidents", lambda: course.attempts(history)),
        ("Resources", lambda: course.resources(history)),
    ]
    if verdict is not None:
        parts.append(("Risks of the 1M-step run", lambda: outlook.risks(history, verdict)))
        parts.append(("Milestones of the 1M-step run", lambda: outlook.milestones(history, verdict)))
    parts.append(("Evidence", lambda: sections.evidence_section(history, verdict)))
    captions = {name: drawn.caption for name, drawn in figures.items()}
    opening = _made("Does it drive?", lambda: drivers.section(history, captions), warnings)
    made = [_made(title, make, warnings) for title, make in parts]
    return Document(
        title=history.stage.name if history.stage else history.run_dir.resolve().name,
        subtitle=_subtitle(history),
        verdict=_banner(history, verdict),
        reason=_reason(history, verdict, warnings),
        tiles=_tiles(verdict) if verdict else (),
        sections=made,
        run_dir=history.run_dir,
        warnings=warnings,
        headlines=_headlines(history, verdict, warnings),
        opening=opening,
    )


def _verdict(history: RunHistory, warnings: list[str]) -> Verdict | None:
    if history.stage is None:
        return None
    try:
        return judge_history(history)
    except BadInput as error:
        warnings.append(str(error))
        return None


def _figures(history: RunHistory, warnings: list[str]) -> dict[str, Drawn]:
    drawn, problems = draw_figures(history, history.run_dir / "figures")
    warnings += problems
    return drawn


def _made(title: str, make: Callable[[], Section], warnings: list[str]) -> Section:
    try:
        return make()
    except DAMAGE as error:
        warnings.append(f"{title}: cannot be made from this record ({error!r})")
        anchor = title.lower().replace(",", "").replace(" ", "-")
        return Section(title, anchor, [Text("The record does not have what belongs here.")])


# ---- the head of the report
def _banner(history: RunHistory, verdict: Verdict | None) -> Chip:
    if verdict is None or not history.events:
        return Chip("not_judged", "NO VERDICT")
    if not history.finished and not verdict.ends_run:
        return Chip("watch", "NOT COMPLETE") if history.can_go_on else Chip("fail", "FAILED")
    return Chip("pass" if verdict.verdict == "GO" else "fail", verdict.verdict)


def _headlines(history: RunHistory, verdict: Verdict | None, warnings: list[str]) -> list[Chip]:
    if verdict is None or not history.events:
        return []
    try:
        found = [drivers.headline(history, verdict.gates), drivers.sight(history, verdict.gates)]
    except DAMAGE as error:
        warnings.append(f"whether it drives cannot be told from this record ({error!r})")
        return []
    return [chip for chip in found if chip is not None]


def _reason(history: RunHistory, verdict: Verdict | None, warnings: list[str]) -> str:
    if verdict is None or not history.events:
        return "The run cannot be judged: " + ("; ".join(warnings) or "nothing is recorded yet") + "."
    if history.finished or verdict.ends_run:
        return verdict.reason
    total = history.config.training.total_steps
    last = history.last_word
    if isinstance(last, RunFailed):
        return f"The run failed at step {history.step:,} of {total:,}: {last.cause.rstrip('.')}."
    stopped = f"was stopped by {last.signal}" if isinstance(last, RunStopped) else "is running, or was killed"
    return f"The run stands at step {history.step:,} of {total:,} and {stopped}; `td3-hpc train` continues it."


def _subtitle(history: RunHistory) -> str:
    if history.stage is None:
        return f"Written by td3-hpc {__version__}"
    config = history.stage
    simulator = f"simulator {config.simulator.kind} {config.simulator.version}"
    return (
        f"Stage `{config.name}`, seed {config.seed}, town {config.environment.town}, {simulator}, td3-hpc {__version__}"
    )


def _tiles(verdict: Verdict) -> list[Tile]:
    gates = {result.name: result for result in verdict.gates}
    blocking = [result for result in verdict.gates if result.severity == "blocking"]
    passed = sum(result.status == "pass" for result in blocking)
    failed = sum(result.status == "fail" for result in blocking)
    standing: tuple[str, ChipStatus] = ("all passed", "pass")
    if failed:
        standing = (f"{failed} failed", "fail")
    elif passed < len(blocking):
        standing = (f"{len(blocking) - passed} not judged", "info")
    tiles = [Tile("Blocking gates", f"{passed} / {len(blocking)}", *standing)]
    for name, label in (
        ("total_steps", "Steps"),
        ("evaluations", "Evaluation cycles"),
        ("actor_cnn_gradient", "Actor CNN gradient"),
        ("q_magnitude", "Values of Q"),
        ("route_completion", "Route completion"),
        ("steps_per_second", "Speed"),
    ):
        if name in gates:
            tiles.append(_tile(label, gates[name]))
    return tiles


def _tile(label: str, result: GateResult) -> Tile:
    details = [f"target {without_brackets(result.target)}"]
    achieved = result.achieved
    if result.interval is not None and result.value is not None:
        achieved = f"{result.value:.3g} {result.unit}"
        details.insert(0, "95 %: {:.3g} to {:.3g}".format(*result.interval))
    return Tile(label, linked(achieved, result.name), "; ".join(details), result.status)
